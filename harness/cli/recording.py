"""`record run` and `record bisect`: playing scenarios against several torches, into a record or to find a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness import clock
from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, INTERRUPTED, NOTHING_SELECTED, SOME_ERROR, SOME_FAILED
from harness.cli.selecting import load_all, select
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from harness.cli.shards import Shard
    from harness.judge.result import Result
    from harness.play.options import RunOptions
    from harness.record.bisect import Bisected
    from harness.record.playing import Progress
    from harness.record.words import Word
    from harness.scenario.scenario import Scenario

REASONS_SHOWN = 5


@dataclass(frozen=True)
class Request:
    """What is played into which record.

    Attributes:
        record: the folder of the record.
        repeat: how often each cell is played.
        shard: only this part of the cells.
        cluster: the machines that play, as `KIND:ADDRESS`; None is this one.
        ledger: where a cluster's results are kept too.
    """

    paths: tuple[Path, ...]
    subjects: tuple[str, ...]
    record: Path
    repeat: int
    tags: str | None = None
    names: str | None = None
    shard: Shard | None = None
    cluster: str | None = None
    ledger: Path | None = None


class Environment(Protocol):
    """An interpreter that is there for a block, under a name for people."""

    @property
    def name(self) -> str: ...

    def open(self) -> AbstractContextManager[str]: ...


class Playing(Protocol):
    """What is needed of a runner; `harness.campaign.runner.Runner` is one."""

    @property
    def facts(self) -> Any: ...

    def prepare(self, scenario: Scenario) -> None: ...

    def run_source(self, source: Any) -> Iterator[Result]: ...


MakeRunner = Callable[["RunOptions"], AbstractContextManager[Playing]]


def run(
    request: Request, options: RunOptions, environments: Sequence[Environment], make_runner: MakeRunner | None = None
) -> int:
    """Play what the record lacks, one torch at a time; returns the exit code.

    What was played is kept, however this ends: the same call goes on from there.

    Raises UsageError or ScenarioError before anything is played.
    """
    cells = selected(request)
    if not cells:
        return NOTHING_SELECTED
    empty = 0
    try:
        for environment in environments:
            with environment.open() as python:
                for subject in request.subjects:
                    chosen = replace(options, python=python, subject=subject)
                    with (make_runner or _runner)(chosen) as runner:
                        empty += _play(request, runner, subject, cells)
    except KeyboardInterrupt:
        return interrupted(request)
    return SOME_ERROR if empty else AS_EXPECTED


def selected(request: Request) -> list[Scenario]:
    """The cells that are played; if there are none, why is said."""
    cells = select(load_all(request.paths), request.tags, request.names)
    cells = request.shard.of(cells) if request.shard is not None else cells
    if not cells:
        streams.say("nothing selected: no cell fits --tags, -k and --shard; `rdzv-harness validate` lists the files")
    return cells


def interrupted(request: Request) -> int:
    """Say where a call goes on that was interrupted; returns the exit code."""
    streams.say(f"interrupted; what was played is in {request.record}, and the same call goes on from there")
    return INTERRUPTED


def _runner(options: RunOptions) -> AbstractContextManager[Playing]:
    from harness.campaign.runner import Runner
    from harness.cli.running import check_machine

    check_machine(options)
    return Runner(options)


def _play(request: Request, runner: Playing, subject: str, cells: Sequence[Scenario]) -> int:
    """Play one torch and one subject; returns how many plays said nothing, skipped ones left out."""
    from harness.record import folder, playing

    torch = _build(runner, cells)
    results = folder.load_or_new(request.record, torch, subject)
    trials = playing.missing(results, cells, request.repeat)
    if not trials:
        streams.say(f"{subject}, torch {torch}: nothing is missing")
        return 0
    streams.say(f"{subject}, torch {torch}: {len(trials)} plays are missing")
    progress = playing.play(
        runner, results, trials, lambda kept: _save(request.record, kept), streams.say, clock.now_ns, len(cells)
    )
    say_progress(progress)
    return progress.unsettled


def say_progress(progress: Progress) -> None:
    """Say how far the plays of one torch and one subject are, and why some said nothing."""
    streams.say(progress.sentence(clock.now_ns()))
    for reason in progress.reasons()[:REASONS_SHOWN]:
        streams.say(f"  without a verdict: {reason}")


def _save(record: Path, results: Any) -> None:
    from harness.record import folder

    folder.save(record, results)


def _build(runner: Playing, cells: Sequence[Scenario]) -> str:
    """The torch that the ranks have, with its build."""
    from harness.campaign.torch_build import build_of

    torch = build_of(runner, cells)
    if not torch:
        raise UsageError("this machine can play none of these scenarios; `rdzv-harness validate` says what they need")
    return torch


# -- bisect -------------------------------------------------------------------------------------------------------


def bisect(
    path: Path,
    ends: tuple[str, str],
    repeat: int,
    names: str | None,
    options: RunOptions,
    environments: Sequence[Environment],
    make_runner: MakeRunner | None = None,
) -> int:
    """Find between which releases a scenario's claims changed, and print it; returns the exit code.

    Args:
        ends: a release that keeps the claims, and one that breaks them, in any order.
        environments: named after their releases.

    Raises UsageError for ends that there are not.
    """
    from harness.record.bisect import bisected
    from harness.record.words import in_order

    cells = select(load_all([path]), None, names)
    if not cells:
        streams.say(f"nothing selected: no cell of {path} fits -k")
        return NOTHING_SELECTED
    by_name = {environment.name: environment for environment in environments}
    versions = in_order(by_name)
    places = sorted(_place(versions, end) for end in ends)
    make = make_runner or _runner

    def play(version: str) -> Word:
        with by_name[version].open() as python, make(replace(options, python=python)) as runner:
            word = _word(runner, cells, repeat)
        streams.say(f"torch {version}: {word}")
        return word

    try:
        found = bisected(versions[places[0] : places[1] + 1], play)
    except KeyboardInterrupt:
        streams.say("interrupted")
        return INTERRUPTED
    return _report(found)


def _place(versions: Sequence[str], end: str) -> int:
    if end not in versions:
        raise UsageError(f"torch {end} is not among those that can be played: {', '.join(versions)}; name one of them")
    return versions.index(end)


def _word(runner: Playing, cells: Sequence[Scenario], repeat: int) -> Word:
    from harness.campaign.source import Repeats
    from harness.record.observed import observed
    from harness.record.words import word_of

    results = list(runner.run_source(Repeats(cells, repeat)))
    return word_of([observed(result, "")[0] for result in results], ())


def _report(found: Bisected) -> int:
    print(found.change or found.because)
    return SOME_FAILED if found.change is None else AS_EXPECTED
