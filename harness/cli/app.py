"""The commands; each imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from harness.cli import doctor_options as d
from harness.cli import explore_options as e
from harness.cli import groups
from harness.cli import options as o
from harness.cli.command import RunsCommand
from harness.cli.exit_codes import TABLE
from harness.values.errors import UsageError

app = typer.Typer(
    name="rdzv-harness",
    help="Test and break PyTorch's static TCP rendezvous: one claim, one scenario file.",
    epilog=TABLE,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(groups.toxiproxy, name="toxiproxy")
app.add_typer(groups.proxy, name="proxy")
app.add_typer(groups.docker, name="docker")
app.add_typer(groups.findings, name="findings")
app.add_typer(groups.torch, name="torch")
app.add_typer(groups.record, name="record")


@app.callback()
def every_command(
    context: typer.Context,
    version: o.Version = False,
    config: o.Config = None,
    no_config: o.NoConfig = False,
) -> None:
    from harness.cli import defaults

    context.default_map = defaults.of(context.command, config, no_config)
    if context.obj and context.invoked_subcommand != "run":
        raise UsageError("only `run --subject command` takes words behind `--`")


def _is_configured(context: typer.Context) -> bool:
    """Whether a file has defaults, or none was to be read: then a line that is printed must not read one either."""
    return context.find_root().default_map is not None


def _source(context: typer.Context, parameter: str) -> str:
    """Where the value of an option is from: COMMANDLINE, DEFAULT_MAP (a file of defaults), or DEFAULT."""
    source = context.get_parameter_source(parameter)
    return "" if source is None else source.name


@app.command()
def run(
    context: typer.Context,
    paths: o.Paths = None,
    subject: o.Subject = "static",
    python: o.Python = o.OWN_PYTHON,
    toxiproxy: o.Toxiproxy = "auto",
    isolation: o.Isolation = "auto",
    world: o.World = None,
    tags: o.Tags = None,
    names: o.Names = None,
    jobs: o.Jobs = None,
    repeat: o.Repeat = None,
    until_fail: o.UntilFail = False,
    seed: o.Seed = None,
    require: o.Require = None,
    fail_on_skip: o.FailOnSkip = False,
    keep: o.Keep = 50,
    replays: o.Replays = 2,
    runs_dir: o.RunsDir = o.RUNS_DIR,
    report: o.Reports = None,
    junit: o.JUnit = None,
    json: o.Json = None,
    history: o.History = None,
    quiet: o.Quiet = False,
    deadlines: o.Deadlines = False,
    last_failed: o.LastFailed = False,
    shard: o.PartOfCells = None,
    durations: o.Durations = None,
    fail_fast: o.FailFast = False,
    watch: o.Watch = False,
    cluster: o.OnCluster = None,
    ledger: o.LedgerFile = None,
) -> int:
    """Play scenarios and judge them."""
    from harness.cli import reporting, running, shards
    from harness.cli.selecting import check_subject, checked
    from harness.play.options import RunOptions

    command = tuple(context.obj or ())
    check_subject(subject, command)
    chosen = reporting.chosen(report or (), junit=junit, json=json, history=history)
    request = running.Request(
        tuple(paths or ()),
        tags,
        names,
        repeat,
        until_fail,
        chosen,
        quiet,
        deadlines,
        fail_on_skip,
        last_failed=last_failed,
        shard=None if shard is None else shards.parse(shard),
        durations=durations,
        fail_fast=fail_fast,
        alone=_is_configured(context),
        cluster=cluster,
        ledger=ledger,
    )
    options = RunOptions(
        subject=subject,
        command=command,
        python=python,
        toxiproxy=toxiproxy,
        isolation=isolation,
        world=world,
        jobs=jobs,
        seed=seed,
        runs_dir=runs_dir,
        keep=keep,
        replays=replays,
        require=frozenset(require or ()),
    )
    if watch:
        from harness.cli import watching

        return watching.watch(request, checked(options))
    return running.run(request, checked(options))


@app.command()
def explore(
    context: typer.Context,
    subject: o.Subject = "static",
    python: o.Python = o.OWN_PYTHON,
    toxiproxy: o.Toxiproxy = "embedded",
    isolation: o.Isolation = "auto",
    world: o.World = None,
    span: o.Span = None,
    runs: o.Runs = None,
    seed: o.Seed = None,
    jobs: e.ExploreJobs = None,
    corpus: o.Corpus = o.CORPUS,
    findings: o.FindingsDir = o.FINDINGS_DIR,
    replay: e.Replay = None,
    lane: e.Lane = None,
    until_find: e.UntilFind = False,
    like: e.Like = None,
    require_canary: e.RequireCanary = False,
    keep: o.Keep = 50,
    runs_dir: o.RunsDir = o.RUNS_DIR,
    report: o.Reports = None,
    quiet: o.Quiet = False,
) -> int:
    """Draw scenarios, play and judge them, and shrink and keep what fails."""
    from harness.cli import exploring, reporting
    from harness.cli.selecting import checked
    from harness.play.options import RunOptions

    exploring.check_subject(subject)
    exploring.check_like(like)
    request = exploring.Request(
        span,
        runs,
        corpus,
        findings,
        tuple(lane or ()),
        replay,
        require_canary,
        until_find,
        quiet,
        reporting.chosen(report or ()),
        alone=_is_configured(context),
        like=like,
    )
    options = RunOptions(
        subject=subject,
        python=python,
        toxiproxy=toxiproxy,
        isolation=isolation,
        world=world,
        jobs=jobs or exploring.side_by_side(os.cpu_count() or 1),
        seed=seed,
        runs_dir=runs_dir,
        keep=keep,
    )
    return exploring.explore(request, checked(options))


@app.command()
def validate(paths: o.Paths = None, fail_on_skip: o.FailOnSkip = False) -> int:
    """Check scenario files, without playing them, and warn of what this machine would skip."""
    from harness.cli import looking

    return looking.validate(paths or (), fail_on_skip)


@app.command("list")
def list_members(family: o.Family = None) -> int:
    """List every fault, step, check and world, the built-in scenarios, the failures, or the words of the glossary."""
    from harness.cli import looking, scenarios

    return scenarios.list_scenarios() if family in ("scenario", "scenarios") else looking.list_members(family)


@app.command()
def explain(kind: o.Kind) -> int:
    """Explain a kind (attributes, units, an example), a failure of the catalogue, or a word of the glossary."""
    from harness.cli import looking

    return looking.explain(kind)


@app.command()
def new(
    name: o.Name,
    directory: o.Directory = Path(),
    source: o.Source = None,
    job: o.OwnJob = False,
    example: o.Example = None,
) -> int:
    """Write a commented scenario to begin with, or copy a built-in one, or an example."""
    from harness.cli import scenarios

    if job + (source is not None) + (example is not None) > 1:
        raise UsageError("--from, --job and --example exclude each other; give one of them")
    if example is not None:
        return scenarios.new_example(name, directory, example)
    return scenarios.new(name, directory, source, job)


@app.command()
def schema() -> int:
    """Print the JSON Schema of scenario files."""
    from harness.cli import looking

    return looking.schema()


@app.command(cls=RunsCommand)
def judge(run_dirs: o.RunDirs, runs_dir: o.StoredIn = o.RUNS_DIR) -> int:
    """Judge stored runs again, without torch."""
    from harness.cli import looking

    return looking.judge_again(run_dirs, runs_dir)


@app.command(cls=RunsCommand)
def show(
    run_dir: o.RunDir = None,
    ranks: o.Ranks = None,
    lines: o.Lines = None,
    form: o.ShownAs = "text",
    is_opened: o.Opened = False,
    runs_dir: o.StoredIn = o.RUNS_DIR,
) -> int:
    """Print one run as a time line, a column per rank, or open its page; without one, list the newest."""
    from harness.cli import looking, stored_runs

    if run_dir is None:
        return looking.show_names(runs_dir)
    return looking.show(stored_runs.find(run_dir, runs_dir), looking.Wish(ranks, lines, form, is_opened))


@app.command(cls=RunsCommand)
def html(
    paths: o.StoredRuns,
    output: o.PageFile = o.PAGE,
    history: o.EarlierNights = None,
    is_opened: o.Opened = False,
    runs_dir: o.StoredIn = o.RUNS_DIR,
) -> int:
    """Write one HTML page of stored runs: an overview, and the picture of each."""
    from harness.cli import picturing

    return picturing.html(paths, output, history, is_opened, runs_dir)


@app.command()
def compare(reports: o.JsonReports, fail_on_regression: o.FailOnRegression = False) -> int:
    """Print two or more JSON reports of `run` as one table, claim by claim; they may have different cells."""
    from harness.cli import comparing

    return comparing.compare(reports, fail_on_regression)


@app.command()
def merge(
    paths: o.ShardReports,
    report: o.Reports = None,
    json: o.Json = None,
    junit: o.JUnit = None,
    fail_on_skip: o.FailOnSkip = False,
) -> int:
    """Put the JSON reports of `run --shard` together: each play once, and what is missing named."""
    from harness.cli import merging, reporting

    return merging.merge(paths, reporting.chosen(report or (), json=json, junit=junit), fail_on_skip)


@app.command()
def reproduce(
    what: o.ScriptOf,
    output: o.ScriptFile = Path("repro.py"),
    python: o.Python = o.OWN_PYTHON,
    subject: o.Subject = "static",
    names: o.Names = None,
    runs: o.ScriptRuns = 5,
    issue: o.Issue = False,
    no_run: o.NoRun = False,
) -> int:
    """Write a script that shows a failure with the standard library and torch alone."""
    from harness.cli import reproducing
    from harness.cli.selecting import interpreter

    count = 0 if no_run else runs
    return reproducing.reproduce(reproducing.Wish(what, output, interpreter(python), subject, names, count, issue))


@app.command()
def doctor(
    context: typer.Context,
    python: o.Python = o.OWN_PYTHON,
    require: o.MustPass = None,
    torch: d.Torch = None,
    record: d.Record = None,
) -> int:
    """Check what this machine can do, and what it lacks; of a torch that is named, say which failures it has."""
    from harness.cli import doctor as checks
    from harness.cli import torch_doctor
    from harness.cli.selecting import interpreter, with_torch

    if torch is not None:
        if require or _source(context, "python") == "COMMANDLINE":
            raise UsageError(
                "--torch is answered from a record, and --python and --require look at this machine; give one of them"
            )
        return torch_doctor.report(torch, record)
    path = with_torch(interpreter(python))
    code = checks.report(path, require or ())
    if not require and _source(context, "python") != "DEFAULT":
        torch_doctor.report_interpreter(path, record)
    return code


@app.command()
def completion(shell: o.Shell) -> int:
    """Print the script that completes our command lines in a shell."""
    from harness.cli import completing

    return completing.script(app, shell)
