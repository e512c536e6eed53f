"""`explore`: random exploration until a time or a number of plays; what it finds decides the exit code."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, INTERRUPTED, SOME_ERROR, SOME_FAILED
from harness.cli.running import Request as RunRequest
from harness.cli.running import check_machine
from harness.cli.running import run as run_files
from harness.cli.selecting import with_torch
from harness.explore.draft import CANARY, LANES
from harness.values.errors import HarnessError, UsageError
from harness.values.printable import printable
from harness.values.quantity import LONGEST_NS
from harness.values.suggest import nearest
from harness.values.verdict import ERROR

if TYPE_CHECKING:
    from harness.campaign.source import Source
    from harness.cli.reporting import ReportChoice
    from harness.explore.explorer import Explorer
    from harness.explore.parts import Forget, Parts
    from harness.explore.progress import Progress
    from harness.explore.tally import Tally
    from harness.judge.result import Result
    from harness.play.options import RunOptions
    from harness.reports.base import Report

DEFAULT_SPAN_NS = 600_000_000_000
"""Without `--for` and `--runs`."""

WORLDS_PER_PROCESSOR = 4
MOST_WORLDS = 64

FIRST_FIND_SHARE = 1.0
"""Where the first find ends the session, nothing else is played while one is investigated."""

MOST_ERRORS = 0.1
"""If so large a share of the plays says nothing, neither does the session; then the exit code is that of an error."""

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)")


@dataclass(frozen=True)
class Request:
    """What is explored, and for how long; `RunOptions` say how it is played.

    Attributes:
        span: the words of `--for`, or None.
        runs: how many plays; of `replay` how often it is played.
        corpus, findings: their folders.
        lanes: those that are used; empty is all but the canary's.
        replay: the id of a draft or of a finding that is played again, or None.
        wants_canary: whether the canary must be found.
        until_find: whether the first confirmed finding that is new ends it.
        like: a subject whose known causes count for the explored one too; None for none.
        reports: what is written of all findings of the subject when the session is over.
        alone: whether the lines that play a scenario again are to read no file with defaults.
    """

    span: str | None
    runs: int | None
    corpus: Path
    findings: Path
    lanes: tuple[str, ...] = ()
    replay: str | None = None
    wants_canary: bool = False
    until_find: bool = False
    quiet: bool = False
    reports: tuple[ReportChoice, ...] = ()
    like: str | None = None
    alone: bool = False


class Playing(Protocol):
    """What `explore` needs of a runner."""

    @property
    def seed(self) -> int: ...

    def run_source(self, source: Source) -> Iterator[Result]: ...


MakeRunner = Callable[["RunOptions"], tuple[AbstractContextManager[Playing], "Forget"]]
"""A runner, and what says that a run directory of it is needed no longer."""

MakeParts = Callable[[Request, "RunOptions"], AbstractContextManager["Parts"]]
FindFiles = Callable[[Path, Path], Mapping[str, Path]]
"""The scenario files of a corpus and of findings, by their ids."""


def explore(
    request: Request,
    options: RunOptions,
    make_runner: MakeRunner | None = None,
    make_parts: MakeParts | None = None,
    find_files: FindFiles | None = None,
) -> int:
    """Explore, or play one draft again; returns the exit code.

    Raises UsageError before anything is played.
    """
    span_ns = _span_ns(request)
    _lanes(request)
    options = replace(options, python=with_torch(options.python))
    if request.replay is not None:
        return _replay(request, options, find_files or _real_files)
    from harness.cli.reporting import make as make_reports

    reports = make_reports(request.reports)
    with ExitStack() as held:
        parts = held.enter_context((make_parts or _real_parts)(request, options))
        make = make_runner or partial(_real_runner, held)
        code = _explore(request, options, span_ns, parts, make)
    return _report(reports, request.findings, options.subject, code)


def _explore(
    request: Request,
    options: RunOptions,
    span_ns: int | None,
    parts: Parts,
    make_runner: MakeRunner,
) -> int:
    from harness import clock
    from harness.cli.again import line_of_file
    from harness.explore.comparison import other_subjects
    from harness.explore.explorer import Explorer
    from harness.explore.parts import Settings
    from harness.explore.progress import Progress, summary_lines
    from harness.reports.console import terminal

    console = terminal()
    progress = Progress(console, clock.now_ns, request.quiet)
    runner, forget = make_runner(options)
    with runner as playing:
        settings = Settings(
            seed=playing.seed,
            lanes=_lanes(request),
            runs=request.runs,
            span_ns=span_ns,
            share=FIRST_FIND_SHARE if request.until_find else Settings.share,
            canary=request.wants_canary,
            until_find=request.until_find,
            others=other_subjects(options.subject),
        )
        explorer = Explorer(parts, settings, forget, clock.now_ns)
        what, problems = _play(playing, explorer, progress)
    tally = explorer.tally
    about = f"{what or options.subject}, seed {playing.seed}"
    again = partial(line_of_file, replace(options, world=None), alone=request.alone)  # each draft names its world
    for line in summary_lines(tally, progress.seconds, about, again, request.wants_canary):
        console.print(line, soft_wrap=True)
    for problem in problems:
        streams.say(f"error: {problem}")
    return SOME_ERROR if problems else _exit_code(tally, request.wants_canary)


def _report(reports: Sequence[Report], findings: Path, subject: str, code: int) -> int:
    """Write the reports, each although another fails; returns the exit code."""
    from harness.cli.finding_results import results

    found = results(findings, subject) if reports else []
    for report in reports:
        try:
            for result in found:
                report.finished(result)
            report.closed(found, interrupted=code == INTERRUPTED)
        except HarnessError as error:
            streams.say(f"error: {error}")
            code = code if code == INTERRUPTED else SOME_ERROR
    return code


def _play(playing: Playing, explorer: Explorer, progress: Progress) -> tuple[str, list[HarnessError]]:
    """Play what the explorer wants; returns what was tested, and what ended it early or could not be stored.

    Raises UsageError if nothing can be played.
    """
    problems: list[HarnessError] = []
    what = ""
    try:
        for result in playing.run_source(explorer):
            what = what or _about(result)
            progress.show(explorer.tally)
    except KeyboardInterrupt:
        explorer.tally.is_interrupted = True
    except HarnessError as error:
        if isinstance(error, UsageError) and not explorer.tally.runs:
            raise
        problems.append(error)
    finally:
        progress.close()
    try:
        explorer.close()
    except HarnessError as error:
        problems.append(error)
    return what, problems


def _about(result: Result) -> str:
    """The subject and its torch; empty if the result does not say."""
    from harness.reports.parts.facts import about

    found = about(result)
    torch = f" on torch {found.torch}" if found.torch else ""
    return printable(f"{found.subject}{torch}") if found.subject else ""


def _exit_code(tally: Tally, wants_canary: bool) -> int:
    """The first that applies: interrupted, a session that says nothing, a lost canary, something new."""
    from harness.explore.canary import why_not_found
    from harness.explore.parts import CONFIRMED, UNCONFIRMED

    if tally.is_interrupted:
        return INTERRUPTED
    if tally.runs and not tally.judged:
        streams.say("error: no play says anything about the subject; `rdzv-harness doctor` says what is missing")
        return SOME_ERROR
    if tally.statuses[ERROR] > MOST_ERRORS * tally.runs:
        streams.say(f"error: {tally.statuses[ERROR]} of {tally.runs} plays ended in an error of the harness")
        return SOME_ERROR
    if wants_canary and why_not_found(tally.canary):
        streams.say(f"error: --require-canary: {why_not_found(tally.canary)}")
        return SOME_ERROR
    is_new = any(tally.with_status(status) for status in (CONFIRMED, UNCONFIRMED))
    return SOME_FAILED if is_new else AS_EXPECTED


# -- one draft again -------------------------------------------------------------------------------------------------


def _replay(request: Request, options: RunOptions, find_files: FindFiles) -> int:
    """Play one entry of the corpus or one finding as `run` does."""
    files = find_files(request.corpus, request.findings)
    path = _file_of(request.replay or "", files, request.corpus)
    return run_files(RunRequest((path,), repeat=request.runs, reports=request.reports, quiet=request.quiet), options)


def _file_of(word: str, files: Mapping[str, Path], corpus: Path) -> Path:
    """The file of an id, of which the begin suffices; raises UsageError if it is none or not the only one."""
    fits = [word] if word in files else sorted(name for name in files if name.startswith(word))
    if len(fits) == 1:
        return files[fits[0]]
    if fits:
        raise UsageError(f"--replay {word}: {len(fits)} ids begin so, {fits[0]} and {fits[1]} among them; write more")
    near = nearest(word, files)
    hint = f"did you mean {near}?" if near else f"`rdzv-harness findings list` and {corpus} have the ids"
    raise UsageError(f"--replay {word}: there is no such draft or finding; {hint}")


# -- what was asked for ----------------------------------------------------------------------------------------------


def side_by_side(processors: int) -> int:
    """How many worlds are explored side by side by default: they mostly wait (measured in docs/explore.md)."""
    return min(WORLDS_PER_PROCESSOR * processors, MOST_WORLDS)


def check_subject(subject: str) -> None:
    """Raises UsageError for a subject whose ranks take no steps."""
    if subject == "command":
        raise UsageError("--subject command: its ranks take no steps, so there is nothing to explore; name a backend")


def check_like(like: str | None) -> None:
    """Raises UsageError for a subject of which no cause is known."""
    if like is None:
        return
    from harness.explore.causes import known_subjects

    known = known_subjects()
    if like not in known:
        raise UsageError(f"--like {like}: known causes are kept of {' and '.join(known)}{_near(like, known)}")


def _near(word: str, known: Collection[str]) -> str:
    """The end of an error that says which known word is close; empty if none is."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def _span_ns(request: Request) -> int | None:
    """How long is explored; None if the number of plays decides. Raises UsageError."""
    if request.span is None:
        return None if request.runs is not None else DEFAULT_SPAN_NS
    if request.runs is not None:
        other = "a replay ends after its --runs" if request.replay is not None else "give one of them"
        raise UsageError(f"--for and --runs both say when to end; {other}")
    match = _SPAN.fullmatch(request.span)
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--for {request.span}: write a number and its unit, such as 90s, 10m or 3h")
    span_ns = round(float(match[1]) * _UNITS[match[2]] * 1e9)
    if not 0 < span_ns <= LONGEST_NS:
        raise UsageError(f"--for {request.span}: it must be longer than nothing and at most 24h")
    return span_ns


def _lanes(request: Request) -> Collection[str]:
    """The lanes that are used; raises UsageError for one that does not exist."""
    for lane in request.lanes:
        if lane not in LANES:
            raise UsageError(f"--lane {lane}: there is {', '.join(LANES)}{_near(lane, LANES)}")
    return request.lanes or tuple(lane for lane in LANES if lane != CANARY)


# -- the real ends ---------------------------------------------------------------------------------------------------


def _real_parts(request: Request, options: RunOptions) -> AbstractContextManager[Parts]:
    from harness.explore.wiring import parts
    from harness.machine.process.interpreter import require

    check_machine(options)
    torch = require(Path(options.python), options.needs_torch).torch if options.needs_torch else ""
    world = {} if options.world is None else {"world": options.world}
    return parts(request.corpus, request.findings, options.subject, torch or "", like=request.like or "", **world)


def _real_files(corpus: Path, findings: Path) -> Mapping[str, Path]:
    from harness.explore.wiring import files

    return files(corpus, findings)


def _real_runner(held: ExitStack, options: RunOptions) -> tuple[AbstractContextManager[Playing], Forget]:
    from harness.archive import RunDirs
    from harness.campaign.runner import Runner

    run_dirs = RunDirs(options.runs_dir, options.keep)
    held.callback(run_dirs.release)
    # Drafts are drawn for the world that is asked for, and shrinking may leave it: so each is played as it says.
    return Runner(replace(options, world=None), run_dirs=run_dirs), run_dirs.let_go
