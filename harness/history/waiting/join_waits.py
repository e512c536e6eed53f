"""Why a join did not complete: which ranks it lacked, and what kept them away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from harness.history.joins import MOST_MISSING, Join, Rounds, joins, run_id_of
from harness.history.waiting.edges import (
    BEGAN_LATE,
    CERTAIN,
    DIED,
    GAVE_UP,
    LIKELY,
    NOBODY,
    NOT_GIVEN,
    NOT_REACHED,
    OTHER_SIZE,
    RANKS,
    Cause,
)
from harness.history.waiting.paths import Paths
from harness.history.waiting.ranks import RankFacts
from harness.history.waiting.stuck import Stuck, is_stuck
from harness.history.wording import outcome_phrase, ranks_named
from harness.scenario.scenario import Scenario, Step
from harness.values.history import History
from harness.values.json import whole
from harness.values.plan import JOIN
from harness.values.quantity import format_ns

ALL_WAIT_FOR_ALL = ("static-strict", "echo")
"""Their joins return when the whole world has joined."""
ONLY_THE_MASTER_WAITS = ("static",)
"""A worker of torch's static rendezvous waits for the master's store only; the master waits until as many clients as
the world has ranks have counted themselves (TCPStore.cpp, `waitForWorkers`; torch 2.6 to 2.15)."""


@dataclass(frozen=True)
class JoinWaits:
    """What is known of the joins of a history."""

    scenario: Scenario
    history: History
    ranks: RankFacts
    paths: Paths

    @cached_property
    def _joins(self) -> tuple[Join, ...]:
        return joins(self.history)

    @cached_property
    def _rounds(self) -> Rounds:
        return Rounds(self.history)

    @cached_property
    def _by_rank(self) -> Mapping[tuple[str | None, int | None], Sequence[Join]]:
        """The joins by run and given rank."""
        found: dict[tuple[str | None, int | None], list[Join]] = defaultdict(list)
        for join in self._joins:
            found[join.run_id, join.given_rank].append(join)
        return found

    @cached_property
    def _by_process(self) -> Mapping[tuple[str | None, int], Sequence[Join]]:
        found: dict[tuple[str | None, int], list[Join]] = defaultdict(list)
        for join in self._joins:
            found[join.run_id, join.call.rank].append(join)
        return found

    @cached_property
    def _planned(self) -> Mapping[tuple[str, int], Sequence[int]]:
        """By run and rank, the processes that a step of the scenario lets join so."""
        found: dict[tuple[str, int], dict[int, None]] = defaultdict(dict)
        for process, spec in enumerate(self.scenario.world.ranks):
            for name, config in spec.handlers.items():
                if self._steps(process, name):
                    found[config.run_id, config.rank][process] = None
        return {given: list(processes) for given, processes in found.items()}

    def master_of(self, run_id: str | None) -> int | None:
        """The process that serves the store of a run; None if it is not exactly one, or shares a server with others."""
        masters = {join.call.rank for join in self._joins if join.is_master}
        of_run = {join.call.rank for join in self._joins if join.is_master and join.run_id == run_id}
        if not masters:
            of_run = masters = set(self._given(0, run_id))
        return next(iter(of_run)) if len(of_run) == 1 == len(masters) else None

    def _given(self, number: int, run_id: str | None) -> list[int]:
        """The processes that the scenario gives this rank of this run."""
        return list(self._planned.get((run_id, number), ())) if run_id is not None else []

    def _steps(self, process: int, handler: str) -> list[Step]:
        return [
            step
            for step in self.scenario.steps
            if process in step.ranks and step.do == JOIN and step.handler == handler
        ]

    def lacked(self, stuck: Stuck) -> Iterator[Cause]:
        """The ranks that a join waited for and that were not there."""
        join = self._join_of(stuck)
        if join is not None:
            sure, awaited = self._awaited(join)
            found = [cause for number in awaited for cause in self._lacked(stuck, join, number, sure)]
            yield from found or self._sizes_differ(join)

    def obstacles(self, stuck: Stuck) -> Iterator[Cause]:
        """What stood between the ranks that were there."""
        join = self._join_of(stuck)
        if join is not None:
            yield from self._between(stuck, join, self._awaited(join)[1])

    def _join_of(self, stuck: Stuck) -> Join | None:
        """The join that a call is; None if the history does not say which rank of which world it was given."""
        given = (run_id_of(stuck.call), whole(stuck.call.arguments.get("rank")))
        join = next((one for one in self._by_rank.get(given, ()) if one.call is stuck.call), None)
        complete = join is not None and None not in (join.run_id, join.world_size, join.given_rank)
        return join if complete else None

    def _awaited(self, join: Join) -> tuple[str, list[int]]:
        """The ranks that a join waits for, and how sure that is."""
        subject = str(self.history.begin.get("subject", ""))
        everybody = list(islice((n for n in range(join.world_size or 0) if n != join.given_rank), MOST_MISSING))
        if subject in ONLY_THE_MASTER_WAITS and not join.is_master:
            return CERTAIN, [0] if not self._may_join_another_run(join) else []
        return CERTAIN if subject in (*ALL_WAIT_FOR_ALL, *ONLY_THE_MASTER_WAITS) else LIKELY, everybody

    def _may_join_another_run(self, join: Join) -> bool:
        """Whether a master of another run serves, or is to serve, at the same endpoint: its store would do as well."""
        endpoint = join.call.arguments.get("master_endpoint")
        return any(
            one.is_master and one.run_id != join.run_id and one.call.arguments.get("master_endpoint") == endpoint
            for one in self._joins
        )

    # -- a rank that was not there -----------------------------------------------------------------------------

    def _lacked(self, stuck: Stuck, join: Join, number: int, sure: str) -> Iterator[Cause]:
        its = self._by_rank.get((join.run_id, number), ())
        if any(one.returned and one.ended_ns <= stuck.until_ns for one in its):
            yield from self._not_in_this_round(stuck, join, its)
            return
        begun = [one for one in its if one.begun_ns <= stuck.until_ns]
        if any(one.call.ended_ns is None or one.ended_ns > stuck.begun_ns for one in begun):
            return
        if begun:
            yield self._gone_before(stuck, begun[-1], sure)
        elif its:
            later = format_ns(its[0].begun_ns - stuck.until_ns)
            yield self._late(stuck, its[0], f"which began to join {later} later", sure)
        else:
            yield from self._never_came(stuck, join, number, sure)

    def _not_in_this_round(self, stuck: Stuck, join: Join, its: Sequence[Join]) -> Iterator[Cause]:
        """A rank that has returned before is lacking only if this join is for a later round, by the rounds reported."""
        wanted = self._rounds.of(join)[0]
        rounds = [one.round for one in its if one.returned]
        if (
            None in rounds
            or any(self._rounds.of(one)[-1] >= wanted for one in its)
            or len({one.call.rank for one in its}) > 1
        ):
            return
        process = its[0].call.rank
        steps = [
            step for step in self._steps(process, its[0].handler) if not self._begun(process, step, stuck.until_ns)
        ]
        absence = self.ranks.absence(process, stuck.nearly_over_ns, steps)
        because = "" if absence is None else f": it {absence.clause}"
        phrase = f" for rank {process}, which did not join round {wanted}{because}"
        why, inside = (NOT_REACHED, None) if absence is None else (absence.why, absence.inside)
        yield Cause(
            why, LIKELY, phrase, (process,), inside=inside, evidence=() if absence is None else absence.evidence
        )

    def _begun(self, process: int, step: Step, time_ns: int) -> bool:
        return any(
            call.rank == process and call.begun_ns is not None and call.begun_ns <= time_ns
            for call in self.history.calls_of(step.name)
        )

    def _gone_before(self, stuck: Stuck, last: Join, sure: str) -> Cause:
        before = format_ns(stuck.begun_ns - last.ended_ns)
        why = DIED if last.call.outcome == "died" else GAVE_UP
        clause = f"whose join had ended {before} before: it {outcome_phrase(last.call)}"
        if why == DIED:
            clause = f"which had died in its join {before} before"
        return Cause(why, sure, f" for rank {last.call.rank}, {clause}", (last.call.rank,), evidence=last.call.evidence)

    def _late(self, stuck: Stuck, its: Join, clause: str, sure: str) -> Cause:
        absence = self.ranks.absence(its.call.rank, stuck.nearly_over_ns, [self.scenario.step(its.call.step)])
        because = f": until then it {absence.clause}" if absence is not None and absence.why != BEGAN_LATE else ""
        inside = None if absence is None else absence.inside
        phrase = f" for rank {its.call.rank}, {clause}{because}"
        return Cause(BEGAN_LATE, sure, phrase, (its.call.rank,), RANKS, "", inside, its.call.evidence)

    def _never_came(self, stuck: Stuck, join: Join, number: int, sure: str) -> Iterator[Cause]:
        given = self._given(number, join.run_id)
        if not given:
            if self.scenario.world.ranks:
                yield self._given_to_nobody(join, number, sure)
            return
        if len(given) > 1:
            return
        process = given[0]
        config = self.scenario.world.ranks[process].handlers
        steps = [step for name in config if config[name].rank == number for step in self._steps(process, name)]
        absence = self.ranks.absence(process, stuck.nearly_over_ns, steps)
        if absence is None:
            yield Cause(NOT_REACHED, sure, f" for rank {process}, which never began to join", (process,))
            return
        clause = absence.clause if absence.clause == "never began" else f"never began to join: it {absence.clause}"
        least = LIKELY if LIKELY in (sure, absence.sure) else CERTAIN
        phrase = f" for rank {process}, which {clause}"
        yield Cause(absence.why, least, phrase, (process,), RANKS, "", absence.inside, absence.evidence)

    def _given_to_nobody(self, join: Join, number: int, sure: str) -> Cause:
        """The scenario gives this rank of this run to no process: it says who has another one's, or another size."""
        others = self._other_sizes(join)
        elsewhere = sorted(
            process
            for process, spec in enumerate(self.scenario.world.ranks)
            if any(config.rank == number and config.run_id != join.run_id for config in spec.handlers.values())
        )
        extra = self._doubled(join)
        if not extra and elsewhere:
            extra = f"; {ranks_named(elsewhere)} joined another run"
        elif not extra and others:
            extra = f"; {ranks_named([one.call.rank for one in others])} joined a world of {others[0].world_size}"
        phrase = f": no step of the scenario joins as rank {number} of {join.world_size} in run {join.run_id}{extra}"
        return Cause(NOT_GIVEN, sure, phrase, (), NOBODY)

    def _doubled(self, join: Join) -> str:
        for number in range(min(join.world_size or 0, MOST_MISSING)):
            given = self._given(number, join.run_id)
            if len(given) > 1:
                return f"; {ranks_named(given)} joined as rank {number}"
        return ""

    def _other_sizes(self, join: Join) -> list[Join]:
        sizes = [one for one in self._joins if one.run_id == join.run_id and one.call.rank != join.call.rank]
        return [one for one in sizes if one.world_size not in (None, join.world_size)]

    def _sizes_differ(self, join: Join) -> Iterator[Cause]:
        for other in self._other_sizes(join)[:1]:
            size = f"a world of {other.world_size} instead of {join.world_size}"
            phrase = f" for rank {other.call.rank}, which joined {size}"
            yield Cause(OTHER_SIZE, LIKELY, phrase, (other.call.rank,), evidence=other.call.evidence)

    # -- everybody was there -----------------------------------------------------------------------------------

    def _between(self, stuck: Stuck, join: Join, awaited: Sequence[int]) -> Iterator[Cause]:
        master = self.master_of(join.run_id)
        there = {
            one.call.rank
            for number in awaited
            for one in self._by_rank.get((join.run_id, number), ())
            if one.begun_ns <= stuck.until_ns
        }
        for process in sorted(there):
            yield from self._left(stuck, join, process)
        for process in (join.call.rank, *sorted(there & self.paths.concerned - {master, join.call.rank})):
            yield from self.paths.causes(stuck, process, master)

    def _left(self, stuck: Stuck, join: Join, process: int) -> Iterator[Cause]:
        """A rank whose join failed, or whose process died, while this one still waited, and that did not join again."""
        its = self._by_process[join.run_id, process]
        if any(one.call.ended_ns is None or one.ended_ns > stuck.nearly_over_ns for one in its):
            return
        last = its[-1]
        if last.returned or is_stuck(self.scenario, last.call):
            return
        at = self.ranks.at(last.ended_ns)
        why, clause = GAVE_UP, f"whose join {outcome_phrase(last.call)} at {at}"
        if last.call.outcome == "died":
            why, clause = DIED, f"which died in its join at {at}"
        yield Cause(why, LIKELY, f" for rank {process}, {clause}", (process,), evidence=last.call.evidence)
