"""The commands that have a group of their own: `toxiproxy`, `proxy`, `docker`, `findings`, `torch`, `record`."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from harness.cli import group_options as g
from harness.cli import options as o
from harness.cli import streams

toxiproxy = typer.Typer(help="The real proxy server, as an alternative to the embedded one.", rich_markup_mode=None)
proxy = typer.Typer(help="The embedded proxy engine, for any client of Toxiproxy's API.", rich_markup_mode=None)
docker = typer.Typer(help="The Docker engine that worlds of containers need, and its images.", rich_markup_mode=None)
findings = typer.Typer(help="What the explorer has found.", rich_markup_mode=None)
torch = typer.Typer(help="Versions of torch, for --python torch:VERSION (needs uv).", rich_markup_mode=None)
record = typer.Typer(help="The track record: which failures which torch has.", rich_markup_mode=None)


@toxiproxy.command()
def install() -> int:
    """Build the pinned server into the cache (needs Go)."""
    from harness.machine.toxiproxy.install import install as build

    print(build())
    return 0


@proxy.command()
def serve(
    port: g.ApiPort = 8474,
    host: g.ApiHost = "127.0.0.1",
    seed: g.EngineSeed = None,
    allow_host: g.AllowHost = None,
    token_file: g.TokenFile = None,
) -> int:
    """Serve until it is ended; prints the API's address as one line of JSON."""
    from harness.engine.__main__ import main as serve_engine

    words = ["--host", host, "--port", str(port), *(["--seed", seed] if seed is not None else [])]
    words += [word for name in allow_host or () for word in ("--allow-host", name)]
    return serve_engine([*words, *(["--token-file", str(token_file)] if token_file is not None else [])])


@docker.command("build")
def build_images(
    base: g.Base = None, rebuild: g.Rebuild = False, checkout: g.Checkout = None, torch: g.Torch = ""
) -> int:
    """Build the images of ranks and proxy server, and of the harness if asked for."""
    from harness.machine.docker import engine, harness_image, images

    with engine.connect(timeout_s=images.CALL_WITHIN_S) as client:
        chosen = images.build(client, base, rebuild)
        if checkout is not None:
            harness_image.build(client, checkout, chosen, torch)
    return 0


@docker.command("start")
def start_engine(directory: g.EngineDirectory) -> int:
    """Start a private engine in a folder (needs root); prints its address, and the line that exports it."""
    from harness.machine.docker import private_engine

    url = private_engine.start(directory).url
    print(url)
    # On standard error: `export DOCKER_HOST="$(rdzv-harness docker start DIR)"` takes the address alone.
    streams.say(f"to use it: export DOCKER_HOST={shlex.quote(url)}")
    return 0


@docker.command("stop")
def stop_engine(directory: g.EngineDirectory) -> int:
    """End the private engine of a folder, and all that it made."""
    from harness.machine.docker import private_engine

    private_engine.stop(directory)
    return 0


@findings.command("list")
def list_findings(folder: o.FindingsDir = o.FINDINGS_DIR) -> int:
    """Print a line for each finding."""
    from harness.cli import finding_commands

    return finding_commands.list_findings(folder)


@findings.command("show")
def show_finding(cause: o.Cause, folder: o.FindingsDir = o.FINDINGS_DIR) -> int:
    """Print one finding: how often it fails, its scenario, its time line, what to do with it."""
    from harness.cli import finding_commands

    return finding_commands.show(cause, folder)


@findings.command()
def promote(
    cause: o.Cause,
    name: o.ScenarioName = "",
    directory: o.Directory = o.REGRESSIONS,
    folder: o.FindingsDir = o.FINDINGS_DIR,
) -> int:
    """Write the scenario of a finding that fails each time, with its known failures."""
    from harness.cli import finding_commands

    return finding_commands.promote(cause, folder, name, directory)


@torch.command("install")
def install_torch(versions: g.TorchVersions, limit: g.TorchLimit = "40GB") -> int:
    """Install versions of torch into the cache, and print the interpreter of each."""
    from harness.cli import torch_commands

    return torch_commands.install(versions, limit)


@torch.command("list")
def list_torch(available: g.Available = False, as_json: g.VersionsAsJson = False) -> int:
    """Print the versions that are installed: size, last use, Python."""
    from harness.cli import torch_commands

    return torch_commands.list_json(available) if as_json else torch_commands.list_versions(available)


@torch.command("remove")
def remove_torch(versions: g.TorchVersions) -> int:
    """Remove versions from the cache, unless they are in use."""
    from harness.cli import torch_commands

    return torch_commands.remove(versions)


@record.command("run")
def run_record(
    paths: o.Paths = None,
    torch: o.RecordTorches = None,
    python: o.RecordPythons = None,
    subject: o.RecordSubjects = None,
    repeat: o.RecordRepeat = 5,
    limit: g.TorchLimit = "40GB",
    folder: o.RecordTo = Path(".rdzv/record"),
    jobs: o.Jobs = None,
    tags: o.Tags = None,
    names: o.Names = None,
    shard: o.PartOfCells = None,
    toxiproxy: o.Toxiproxy = "auto",
    isolation: o.Isolation = "auto",
    keep: o.Keep = 50,
    replays: o.Replays = 2,
    runs_dir: o.RunsDir = o.RUNS_DIR,
    cluster: o.OnCluster = None,
    ledger: o.LedgerFile = None,
) -> int:
    """Play scenarios against several torches, and keep how each stands to each claim; goes on where it was ended."""
    from harness.cli import clustering, environments, record_clustering, recording, shards
    from harness.cli.selecting import checked
    from harness.play.options import RunOptions

    request = recording.Request(
        tuple(paths or ()),
        tuple(subject or ("static", "static-strict")),
        folder,
        repeat,
        tags,
        names,
        None if shard is None else shards.parse(shard),
        cluster,
        ledger,
    )
    options = RunOptions(
        toxiproxy=toxiproxy, isolation=isolation, jobs=jobs, keep=keep, replays=replays, runs_dir=runs_dir
    )
    clustering.check(cluster, ledger, options)
    if cluster is not None:
        chosen = record_clustering.torches(python or (), torch or (), limit)
        return record_clustering.run(request, checked(options), chosen)
    return recording.run(request, checked(options), environments.chosen(python or (), torch or (), limit))


@record.command("merge")
def merge_records(paths: o.RecordFiles, folder: o.RecordTo = Path(".rdzv/record")) -> int:
    """Add what other machines have played to a record."""
    from harness.cli import record_commands

    return record_commands.merge(paths, folder)


@record.command("show")
def show_record(
    paths: o.Paths = None, folder: o.RecordFolder = None, form: o.RecordForm = "md", output: o.RecordPages = None
) -> int:
    """Print which failure which torch has, and what changed between releases; or write it as pages."""
    from harness.cli import record_commands

    return record_commands.show(paths or (), folder, form, output)


@record.command("diff")
def diff_records(
    before: o.RecordBefore,
    after: o.RecordAfter,
    folder: o.RecordFolder = None,
    subject: o.RecordSubjects = None,
    form: g.DiffForm = "text",
) -> int:
    """Print what differs between two torches: claims, classes, messages, times to an error; exit code 1 if anything."""
    from harness.cli import record_commands

    return record_commands.diff(before, after, folder, subject or (), form)


@record.command("known")
def check_known(paths: o.Paths = None, folder: o.RecordFolder = None) -> int:
    """Compare the versions that known failures name with the record; exit code 1 if it contradicts one."""
    from harness.cli import record_commands

    return record_commands.known(paths or (), folder)


@record.command("bisect")
def bisect_record(
    file: o.BisectFile,
    good: o.BisectGood,
    bad: o.BisectBad,
    python: o.RecordPythons = None,
    subject: o.Subject = "static",
    repeat: o.RecordRepeat = 3,
    limit: g.TorchLimit = "40GB",
    names: o.Names = None,
    jobs: o.Jobs = None,
    runs_dir: o.RunsDir = o.RUNS_DIR,
) -> int:
    """Find between which releases a scenario's claims changed: both ends first, then the middle of what is left."""
    from harness.cli import environments, recording
    from harness.cli.selecting import checked
    from harness.play.options import RunOptions

    options = checked(RunOptions(subject=subject, jobs=jobs, runs_dir=runs_dir))
    return recording.bisect(
        file, (good, bad), repeat, names, options, environments.between(python or (), good, bad, limit)
    )
