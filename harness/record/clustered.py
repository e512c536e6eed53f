"""Playing what a record lacks on the machines of a cluster: each shard is of one torch and one subject.

A machine judges its plays, and says what the record keeps of each: how calls ended is in the history, which stays
there. So the files are those that one machine would have written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

from harness import clock
from harness.campaign.asking import Answers
from harness.campaign.machines import on_machines
from harness.campaign.orders import RECORD, TORCH, MachineOrder, PlayOrder
from harness.campaign.plan import Lane
from harness.campaign.shipping import Played, shipped
from harness.campaign.source import Trial
from harness.campaign.work import Work
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.record.document import Outcome, Play, Results
from harness.record.identity import cell_name, record_id
from harness.record.observed import observed
from harness.record.playing import Keeper, Progress, missing
from harness.scenario.scenario import Scenario
from harness.values.json import mapping

Row = Mapping[str, Any]


def row_of(play: str, result: Result) -> dict[str, Any]:
    """What a machine says of a play that is over; its id is the cell's name, and the id that it has in the record."""
    one, outcomes = observed(result, _recorded(play))
    kept = {key: outcome.model_dump(mode="json") for key, outcome in outcomes.items()}
    return {**shipped(play, result), "observed": one.model_dump(mode="json"), "outcomes": kept}


def _campaign_id(cell: str, recorded: str) -> str:
    """Two cells may be played alike, and then their plays have one id in a record."""
    return f"{cell}:{recorded}"


def _recorded(play: str) -> str:
    return play.rpartition(":")[2]


def _read(row: Row) -> tuple[Play, dict[str, Outcome]]:
    """What the record keeps of a play; raises ValueError for what no machine says."""
    one = Play.model_validate(row.get("observed"))
    kept = {key: Outcome.model_validate(value) for key, value in mapping(row.get("outcomes")).items()}
    if one.status != mapping(row.get("judgement")).get("status"):
        raise ValueError("what the record is to keep has another status than the result")
    if {claim.of for claim in one.claims.values()} != set(kept):
        raise ValueError("outcomes are missing, or are of no claim")
    if any(outcome.play != _recorded(str(row.get("play"))) for outcome in kept.values()):
        raise ValueError("an outcome is of another play")
    return one, kept


@dataclass(frozen=True)
class _Planned:
    """A play, its id in the record, and the build of torch that its lane has."""

    id: str
    trial: Trial
    lane: Lane
    build: str

    @property
    def campaign_id(self) -> str:
        return _campaign_id(cell_name(self.trial.scenario), self.id)


class RecordWork:
    """The plays that records lack, as a campaign plays them."""

    def __init__(self, plays: Sequence[_Planned], done: Collection[str], options: RunOptions, limit: int) -> None:
        self._plays = plays
        self._options = options
        self._limit = limit
        self.done = done
        self.ids = [play.campaign_id for play in plays]

    @property
    def groups(self) -> Sequence[Hashable]:
        return [(cell_name(play.trial.scenario), play.lane.subject) for play in self._plays]

    @property
    def lanes(self) -> Sequence[Lane]:
        return [play.lane for play in self._plays]

    def at(self, number: int) -> tuple[Scenario, int]:
        trial = self._plays[number].trial
        return trial.scenario, trial.attempt

    def played(self, number: int) -> Played:
        play = self._plays[number]
        return Played(play.trial.scenario, play.trial.attempt, play.trial.attempt, play.lane.subject, "")

    def order(self, plays: Sequence[int]) -> MachineOrder:
        planned = [self._plays[number] for number in plays]
        lane = planned[0].lane
        options = replace(on_machines(self._options), python=lane.environment, subject=lane.subject)
        orders = tuple(
            PlayOrder(one.campaign_id, one.trial.scenario, one.trial.attempt, one.trial.attempt) for one in planned
        )
        return MachineOrder(RECORD, options, orders, self._limit, planned[0].build)

    def check(self, number: int, row: Row) -> None:
        _read(row)
        torch = mapping(mapping(row.get("origin")).get("ranks")).get("torch")
        if torch not in (None, self._plays[number].build):
            raise ValueError(f"it played torch {str(torch)[:40]}, and not {self._plays[number].build}")

    def takes(self, row: Row) -> bool:
        return "error" not in row and _read(row)[0].is_conclusive


@dataclass(frozen=True)
class Wish:
    """What is played into which record.

    Attributes:
        pythons: `torch:VERSION`, or the path of an interpreter on the machines.
        limit: bytes that all installed releases of torch may take together on a machine.
    """

    pythons: Sequence[str]
    subjects: Sequence[str]
    repeat: int
    limit: int


@dataclass(frozen=True)
class Record:
    """Where results are kept."""

    load: Callable[[str, str], Results]
    keep: Callable[[Results], None]


@dataclass(frozen=True)
class Ended:
    """How it ended: the progress of each torch and subject, and why torches were not played, by machine."""

    progress: Sequence[Progress]
    missing: Mapping[str, Mapping[str, str]]


class Playing(Protocol):
    """What is needed of a runner; `harness.campaign.clustered.ClusterRunner` is one."""

    def ask(self, orders: Mapping[str, MachineOrder]) -> Answers: ...

    def play(
        self, work: Work, observer: Any = None, environments: Mapping[str, Collection[str]] | None = None
    ) -> Iterator[tuple[Result, Row]]: ...


def play(
    runner: Playing,
    wish: Wish,
    cells: Sequence[Scenario],
    options: RunOptions,
    record: Record,
    say: Callable[[str], None],
) -> Ended:
    """Play what the record lacks; what was played is kept, however this ends.

    Raises what the runner and the record raise.
    """
    answers = runner.ask({python: _question(wish, python, cells, options) for python in wish.pythons})
    builds = _builds(answers, wish.pythons, say)
    plays: list[_Planned] = []
    done: set[str] = set()
    with ExitStack() as held:
        keepers: dict[tuple[str, str], Keeper] = {}
        for python, build in builds.items():
            for subject in wish.subjects:
                results = record.load(build, subject)
                trials = missing(results, cells, wish.repeat)
                say(f"{subject}, torch {build}: {len(trials) or 'no'} plays are missing")
                done.update(_all_plays(results))
                plays += [
                    _Planned(record_id(one.scenario, one.attempt, build, subject), one, Lane(python, subject), build)
                    for one in trials
                ]
                keeper = Keeper(results, len(trials), record.keep, clock.now_ns)
                keepers[build, subject] = held.enter_context(keeper) if trials else keeper
        work = RecordWork(plays, done - {one.campaign_id for one in plays}, options, wish.limit)
        by_id = {one.campaign_id: one for one in plays}
        has: dict[str, set[str]] = {}
        for python, answer in answers.found.items():
            has.setdefault(answer.machine, set()).add(python)
        for result, row in runner.play(work, None, has) if plays else ():
            planned = by_id[row["play"]]
            one, outcomes = observed(result, planned.id) if "error" in row else _read(row)
            keepers[planned.build, planned.lane.subject].take(result.scenario, planned.id, one, outcomes)
    return Ended([keeper.progress for keeper in keepers.values()], answers.missing)


def _question(wish: Wish, python: str, cells: Sequence[Scenario], options: RunOptions) -> MachineOrder:
    """For the build of a torch: by the cells that one machine would find it out by."""
    orders = tuple(PlayOrder("", cell, 1, 1) for cell in cells)
    return MachineOrder(
        TORCH, replace(on_machines(options), python=python, subject=wish.subjects[0]), orders, wish.limit
    )


def _builds(answers: Answers, pythons: Sequence[str], say: Callable[[str], None]) -> dict[str, str]:
    """The build of each interpreter, in their order, each build once."""
    builds: dict[str, str] = {}
    for python in pythons:
        answer = answers.found.get(python)
        if answer is None:
            continue
        same = next((other for other, build in builds.items() if build == answer.build), None)
        if same is not None:
            say(f"{python} has torch {answer.build}, as {same} has: it is played once")
            continue
        builds[python] = answer.build
    return builds


def _all_plays(results: Results) -> Iterator[str]:
    for cell, digests in results.cells.items():
        for plays in digests.values():
            yield from (_campaign_id(cell, play) for play in plays)
