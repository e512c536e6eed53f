"""A round is joined together: no rank returns before all have begun, and all return or all raise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, unless_stalled
from harness.history.disturbances import RELEASING, Disturbances
from harness.history.joins import Join, Rounds, joins, ranks_missing, window_of
from harness.history.wording import and_n_more, counted, describe_call, ranks_named
from harness.scenario.scenario import EXIT, Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.json import whole
from harness.values.verdict import Verdict


@CHECKERS.register("together")
class Together(Checker):
    """All or nothing; on request, since the stock rendezvous does not promise it."""

    declaration = Declaration(
        kind="together",
        summary="no rank returns before all have begun, and all of a round return or all raise",
        example="{check: together}",
        details=(
            "On request only: in the stock rendezvous a worker returns as soon as it is counted, so a clean join is a"
            " race. A process that raised and then returned in the same round counts as returned; one that died or hung"
            " counts as neither."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        groups = _rounds(history)
        settled = [join for group in groups.values() for join in group if join.call.outcome in ("ok", "failed")]
        if not settled:
            return self.nothing("no rendezvous returned or raised")
        findings = [
            finding for group in groups.values() for finding in (*_early(history, group), *_split(history, group))
        ]
        return self.verdict(findings, f"{counted(len(groups), 'round')} joined together")

    def explore(self, scenario: Scenario, history: History) -> Verdict:
        """Only of a subject that knows who joined; whether all or none, where no message and no process can be lost."""
        disturbances = Disturbances(scenario, history)
        if not disturbances.is_strict:
            return self.nothing("the subject does not know who joined, so a clean join is a race")
        groups = list(_rounds(history).values())
        findings = [finding for group in groups if not _was_restarted(group) for finding in _early(history, group)]
        findings += [finding for group in groups for finding in _with_the_dead(history, group)]
        findings += [] if _starts_anew(disturbances) else _twice(groups)
        for group in groups:
            if _is_whole(group) and not _is_disturbed(history, disturbances, group):
                findings += _split(history, group)
        if not any(join.returned for group in groups for join in group):
            return self.nothing("no rendezvous returned")
        return self.verdict(findings, f"{counted(len(groups), 'round')} joined together")


def _rounds(history: History) -> Mapping[tuple[str | None, int], list[Join]]:
    """The joins by run id and round; one that may be for several rounds has come to each."""
    rounds = Rounds(history)
    groups: dict[tuple[str | None, int], list[Join]] = defaultdict(list)
    for join in joins(history):
        for number in rounds.of(join):
            groups[join.run_id, number].append(join)
    return groups


def _was_restarted(group: list[Join]) -> bool:
    """Whether a later life joined: which round one of its joins was for is not known if it raised."""
    return any(join.call.life > 1 for join in group)


def _is_whole(group: list[Join]) -> bool:
    """Whether each rank joined once, and had begun before anybody returned."""
    returns = [join.ended_ns for join in group if join.returned]
    begun_ns = max(join.begun_ns for join in group)
    return _is_one_each(group) and begun_ns <= min(returns, default=begun_ns)


def _is_one_each(group: list[Join]) -> bool:
    """Whether each rank of one world joined once."""
    sizes = {whole(join.call.arguments.get("world_size")) for join in group}
    ranks = sorted(join.given_rank for join in group if join.given_rank is not None)
    return sizes == {len(group)} and ranks == list(range(len(group)))


def _is_disturbed(history: History, disturbances: Disturbances, group: list[Join]) -> bool:
    """Whether a message or a process may have been lost: then one rank may return and another raise."""
    ranks = {*(join.call.rank for join in group), *disturbances.masters}
    window = window_of(history, group)
    return (
        disturbances.hit(ranks, window)
        or disturbances.gone(ranks, window[1])
        or disturbances.released(ranks, window[1], (*RELEASING, "set_closed"))
    )


def _early(history: History, group: list[Join]) -> Iterator[Finding]:
    for join in group:
        size = join.world_size
        if not join.returned or size is None:
            continue
        missing = ranks_missing([*group, *_perhaps_of(history, join)], size, join.ended_ns)
        if missing:
            because = f"{describe_call(join.call)} returned before {ranks_named(missing)} had begun to join"
            yield Finding(because, evidence=join.call.evidence)


def _perhaps_of(history: History, returned: Join) -> list[Join]:
    """The joins of the run that did not return, and so report no round, and may have been for this one.

    A rank that raised may have been counted all the same: then it is a round further than its own returns tell. What
    had ended when the round before returned was for that one at the latest.
    """
    if returned.round is None:
        return []
    of_run = [join for join in joins(history) if join.run_id == returned.run_id]
    before_ns = min((join.ended_ns for join in of_run if join.round == returned.round - 1), default=0)
    return [join for join in of_run if not join.returned and history.window_of(join.call)[1] >= before_ns]


def _with_the_dead(history: History, group: list[Join]) -> Iterator[Finding]:
    """A rank that returned with one whose only process had ended before the last rank began.

    Each process is asked once more after the last rank has come, so the dead one cannot have answered.
    """
    ends = {(call.rank, call.life): call.ended_ns or 0 for call in history.calls if call.step == EXIT}
    last_ns = max(join.begun_ns for join in group)
    for join in group if _is_one_each(group) else ():
        dead = [
            other.given_rank
            for other in group
            if other.given_rank is not None and ends.get((other.call.rank, other.call.life), join.ended_ns) < last_ns
        ]
        if join.returned and dead:
            because = (
                f"{describe_call(join.call)} returned with {ranks_named(dead)}, which had ended before all had come"
            )
            yield Finding(because, evidence=join.call.evidence)


def _starts_anew(disturbances: Disturbances) -> bool:
    """Whether a master may have opened its run anew: then rounds count from 1 again."""
    last_ns = disturbances.history.ops[-1].time_ns
    lives = [join for join in joins(disturbances.history) if join.is_master and join.call.life > 1]
    failed = [join for join in joins(disturbances.history) if join.is_master and not join.returned]
    return bool(lives or failed) or disturbances.released(disturbances.masters, last_ns)


def _twice(groups: list[list[Join]]) -> Iterator[Finding]:
    """Joins of one handler that returned from the same round: the later one waited for nobody."""
    for group in groups:
        first: dict[tuple[int, int, str], Join] = {}
        for join in group:
            if join.round is not None:
                handler = join.call.rank, join.call.life, join.handler
                earlier = first.setdefault(handler, join)
                if earlier is not join:
                    before = describe_call(earlier.call)
                    because = f"{describe_call(join.call)} returned from round {join.round}, as {before} had"
                    yield Finding(because, evidence=join.call.evidence)


def _split(history: History, group: list[Join]) -> Iterator[Finding]:
    returned = {join.call.rank: join for join in group if join.returned}
    rounds = Rounds(history)
    raised = {
        join.call.rank: join
        for join in group
        if join.call.outcome == "failed" and join.call.rank not in returned and len(rounds.of(join)) == 1
    }
    if returned and raised:
        first = next(iter(raised.values()))
        yield unless_stalled(
            history,
            window_of(history, group),
            f"{ranks_named(sorted(returned))} returned, but {describe_call(first.call)} raised"
            + and_n_more(len(raised)),
            evidence=tuple(index for join in (*returned.values(), *raised.values()) for index in join.call.evidence),
        )
