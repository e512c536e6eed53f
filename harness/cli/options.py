"""The options of the commands: how each is written, and what `--help` says of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import known_values as known
from harness.reports import kinds


def _print_version(wanted: bool) -> None:
    if wanted:
        from harness import __version__

        print(f"rdzv-harness {__version__}")
        raise typer.Exit


OWN_PYTHON = sys.executable
RUNS_DIR = Path(".rdzv/runs")
PAGE = Path("rdzv-report.html")
FINDINGS_DIR = Path(".rdzv/findings")
REGRESSIONS = Path("scenarios/regressions")

MOST_JOBS = 1000
"""Worlds side by side: each is some processes and a few hundred descriptors."""
MOST_RUNS = 1_000_000
MOST_REPLAYS = 100
"""Runs of a cell, run directories that stay, lines of a time line: a million of them take weeks."""
LARGEST_SEED = (1 << 53) - 1
"""Every reader of JSON takes it as it is, and so does the seed of a repetition."""

Version = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="take defaults of options from its table [tool.rdzv-harness]; by default the nearest pyproject.toml",
    ),
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="take defaults from no file")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH...]",
        help="scenario files, folders of them, or built-in ones: builtin:FOLDER/NAME; by default all built-in ones",
        autocompletion=known.scenarios,
    ),
]
_A_RUN = "latest or -1, -2 for the one before, a name or how it begins, or a path"
RunDir = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help=f"a stored run: {_A_RUN}; none: which runs there are", autocompletion=known.runs
    ),
]
RunDirs = Annotated[
    list[str], typer.Argument(metavar="RUN...", help=f"stored runs: {_A_RUN}", autocompletion=known.runs)
]
StoredIn = Annotated[Path, typer.Option("--runs-dir", metavar="DIR", help="where run directories are")]
FailOnRegression = Annotated[
    bool,
    typer.Option(
        "--fail-on-regression",
        help="exit with 1 if a cell passed or was known in the first report and is red in the last",
    ),
]
JsonReports = Annotated[
    list[Path], typer.Argument(metavar="REPORT...", help="two reports or more, written by `run --json`")
]
ShardReports = Annotated[
    list[Path],
    typer.Argument(
        metavar="REPORT|DIR...", help="reports of `run --shard I/N --json FILE`, and folders with such reports"
    ),
]
Family = Annotated[
    str | None,
    typer.Argument(
        metavar="[FAMILY]",
        help="steps, faults, checks, worlds, reports, scenarios, failures, words or another",
        autocompletion=known.families,
    ),
]
Kind = Annotated[
    str,
    typer.Argument(
        metavar="WORD",
        help="a fault, step, check, world or report, a failure (F02), or a word (vacuous)",
        autocompletion=known.words,
    ),
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="the claim in hyphens: a-late-worker-joins; of an example, a new folder")
]
Source = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="BUILTIN",
        help="copy this one; `rdzv-harness list scenarios` names them",
        autocompletion=known.built_in,
    ),
]
OwnJob = Annotated[
    bool, typer.Option("--job", help="for a program of your own (`--subject command`), in place of steps")
]
Example = Annotated[
    str | None,
    typer.Option(metavar="EXAMPLE", help="copy this folder: own_job, a job under torchrun and scenarios that break it"),
]

Subject = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="static, another backend of torch's registry, echo, or command (-- ARGV)",
        autocompletion=known.subjects,
    ),
]
Python = Annotated[str, typer.Option(metavar="PATH", help="the ranks' interpreter, which has torch; or torch:2.9.1")]
Toxiproxy = Annotated[
    str,
    typer.Option(
        metavar="WHICH",
        help="embedded, real, the URL of a running one on loopback, or auto: a real one if found, else embedded",
        autocompletion=known.servers,
    ),
]
Isolation = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="private namespaces, the host, or auto: private where the kernel allows",
        autocompletion=known.isolations,
    ),
]
World = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="play everything in worlds of processes, namespaces or containers; by default as the files say",
        autocompletion=known.worlds,
    ),
]
Tags = Annotated[
    str | None, typer.Option(metavar="EXPR", help="'links and not slow', or 'links,ports' for any of them")
]
Names = Annotated[
    str | None,
    typer.Option("-k", metavar="EXPR", help="words in folder and id, with and, or, not; or exactly one id"),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_JOBS, metavar="N", help="worlds side by side; by default twice the processors"),
]
Repeat = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_RUNS, metavar="N", help="play each cell N times, and report how many passed"),
]
UntilFail = Annotated[bool, typer.Option("--until-fail", help="play again and again, until a result is red")]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, max=LARGEST_SEED, metavar="N", help="seed of everything random; by default drawn, and reported"
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="a need (torch, world, proxy, ...) whose absence is an error, not a skip",
        autocompletion=known.needs,
    ),
]
FailOnSkip = Annotated[
    bool, typer.Option("--fail-on-skip", help="exit with 1 if a cell is, or would be, skipped for want of something")
]
Keep = Annotated[
    int,
    typer.Option(min=0, max=MOST_RUNS, metavar="N", help="how many run directories stay; red ones outlive others"),
]
Replays = Annotated[
    int,
    typer.Option(
        min=0,
        max=MOST_REPLAYS,
        metavar="N",
        help="how often a run is played again that says nothing: a part of the harness or a process was late",
    ),
]
RunsDir = Annotated[Path, typer.Option(metavar="DIR", help="where run directories go")]
Reports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="KIND=PATH",
        help=f"write a report ({', '.join(kinds())}); - or no path is standard output; may be repeated",
        autocompletion=known.reports,
    ),
]
JUnit = Annotated[Path | None, typer.Option(metavar="FILE", help="short for --report junit=FILE")]
Json = Annotated[Path | None, typer.Option(metavar="FILE", help="short for --report json=FILE")]
History = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="short for --report history=FILE: a line is added, and earlier ones are in the HTML report"
    ),
]
Deadlines = Annotated[
    bool, typer.Option("--deadlines", help="also print how long calls took to their error, by timeout and phase")
]
LastFailed = Annotated[
    bool,
    typer.Option("--last-failed", help="only what was red when it was played last in this --runs-dir; else all"),
]
PartOfCells = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="only the I-th of N parts of the cells, the same on every machine; as 2/3"
    ),
]
Durations = Annotated[
    int | None, typer.Option(min=0, max=MOST_RUNS, metavar="N", help="also print the N slowest plays; 0 is all")
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="end at the first red result; what still runs is healed and ended")
]
Watch = Annotated[
    bool, typer.Option("--watch", help="then wait, and play the files again that change, until Ctrl-C ends it")
]
OnCluster = Annotated[
    str | None, typer.Option("--cluster", metavar="WHERE", help="play on dask://HOST:PORT, dask:local:N or local:N")
]
LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", metavar="FILE", help="with --cluster: keep results, play only what it lacks")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="only red results, and the summary")]

Cause = Annotated[
    str,
    typer.Argument(
        metavar="CAUSE",
        help="its name, as `findings list` prints it, or how only its name begins",
        autocompletion=known.findings,
    ),
]
FindingsDir = Annotated[Path, typer.Option("--findings", metavar="DIR", help="where findings are")]
ScenarioName = Annotated[
    str,
    typer.Option("--name", metavar="NAME", help="of the file: the claim in hyphens; by default made from the title"),
]
ScriptOf = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="a scenario file, a built-in scenario (builtin:FOLDER/NAME), or a finding in .rdzv/findings",
        autocompletion=known.scenarios_and_findings,
    ),
]
ScriptFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="where the script goes")]
ScriptRuns = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="how often it is run; its header says how often it failed")
]
NoRun = Annotated[bool, typer.Option("--no-run", help="write it, and do not run it")]
Issue = Annotated[
    bool, typer.Option("--issue", help="also write a bug report, beside the script and with the suffix .md")
]

StoredRuns = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN|REPORT...",
        help="stored runs (latest, -2, a name, a path), folders, JSON reports",
        autocompletion=known.runs,
    ),
]
PageFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="where the page goes")]
EarlierNights = Annotated[
    Path | None, typer.Option("--history", metavar="FILE", help="what `run --history` has written; it is only read")
]
Opened = Annotated[bool, typer.Option("--open", help="open the page in a browser")]
ShownAs = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORM",
        help="text, or perfetto: trace events for ui.perfetto.dev, as JSON",
        autocompletion=known.forms,
    ),
]

Shell = Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish", autocompletion=known.shells)]
Directory = Annotated[Path, typer.Option("--dir", metavar="DIR", help="the folder it goes to")]
Ranks = Annotated[str | None, typer.Option(metavar="RANKS", help="only these columns, as 0,3 or 4-7")]
Lines = Annotated[
    int | None,
    typer.Option(min=0, max=MOST_RUNS, metavar="N", help="at most N lines for each group of ranks; 0 is all"),
]
MustPass = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="CHECK",
        help="a check that must pass, or all; exit 3 if it does not",
        autocompletion=known.checks_of_doctor,
    ),
]

CORPUS = Path(".rdzv/corpus")

Span = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="explore for so long: 90s, 10m, 3h; by default 10m"),
]
Runs = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_RUNS, metavar="N", help="explore until so many plays; with --replay, play it N times"),
]
Corpus = Annotated[Path, typer.Option(metavar="DIR", help="what was learned so far; it is gone on from, and kept")]

RecordFolder = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="DIR",
        help="the record; by default .rdzv/record if it is there, else the one that ships with the harness",
    ),
]
RecordTo = Annotated[Path, typer.Option("--record", metavar="DIR", help="the record that is added to")]
RecordTorches = Annotated[
    list[str] | None,
    typer.Option(
        "--torch",
        metavar="VERSIONS",
        help="2.9.1, or 2.6..2.15 for all releases of the package index in between, or 2.6.. for all from there; "
        "repeatable; each is installed when its turn comes",
    ),
]
RecordPythons = Annotated[
    list[str] | None,
    typer.Option("--python", metavar="PATH", help="an interpreter with torch, beside those of --torch; repeatable"),
]
RecordSubjects = Annotated[
    list[str] | None,
    typer.Option("--subject", metavar="NAME", help="repeatable; by default static and static-strict"),
]
RecordRepeat = Annotated[
    int, typer.Option("--repeat", min=1, max=MOST_RUNS, metavar="N", help="play each cell N times, with seeds 1 to N")
]
RecordFiles = Annotated[list[Path], typer.Argument(metavar="PATH...", help="result files, or folders of them")]
RecordForm = Annotated[str, typer.Option("--format", metavar="FORM", help="md, html or json")]
RecordPages = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="a folder for the pages, made if need be; by default standard output",
    ),
]
_RESULTS = "a torch of the record (2.8.0), a result file or a folder"
RecordBefore = Annotated[str, typer.Argument(metavar="A", help=_RESULTS)]
RecordAfter = Annotated[str, typer.Argument(metavar="B", help=_RESULTS)]
BisectFile = Annotated[Path, typer.Argument(metavar="FILE", help="a scenario file, or a built-in one")]
BisectGood = Annotated[str, typer.Option("--good", metavar="VERSION", help="a release that keeps its claims")]
BisectBad = Annotated[str, typer.Option("--bad", metavar="VERSION", help="a release that breaks them")]
