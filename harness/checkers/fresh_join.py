"""Ranks that begin to join together, for the first time and undisturbed, all return."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding, unless_stalled
from harness.history.disturbances import RELEASING, Disturbances
from harness.history.joins import Join, configured_run_id, handler_config, joins, window_of
from harness.history.lateness import lateness
from harness.history.timed_calls import timed_call
from harness.history.wording import counted, describe_call, describe_end, with_stacks
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.json import whole
from harness.values.verdict import Verdict

SHORTEST_NS = 500_000_000
"""A join with a shorter timeout may end for lack of time."""
PART = 4
"""The ranks begin within the shortest timeout divided by this, and the machine is late by no more than that."""
_IN_THE_WAY = ("set_closed", "fork_child", "bind")


@CHECKERS.register("fresh_join")
class FreshJoin(Checker):
    """Liveness of the join; after faults too, once they are healed."""

    declaration = Declaration(
        kind="fresh_join",
        summary="where all ranks of a run begin to join together and nothing disturbs them, all return",
        example="{check: fresh_join}",
        details=(
            "Judged are run ids that each rank, from 0 to the world size, joins exactly once in the whole run, all of"
            f" them within a quarter of the shortest timeout ({SHORTEST_NS // 10**6} ms at least), at the world's own"
            " endpoint and with one world size. During these joins no fault is in place on their ranks or a master, on"
            " the port or on a host; faults that were healed before do not count. Not judged are joins with settings of"
            " their own (`config`), of torchrun's agents, at a port that another process is or was to serve, and after"
            " a `set_closed`, `fork_child` or `bind`, each of which can keep a join from returning; with"
            " `static-strict` also not while another join, or a `clone`, of a process goes on that a fault has hit."
        ),
    )
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        groups = [] if scenario.world.torchrun is not None else list(_groups(scenario, history))
        if not groups:
            return self.nothing("no world began to join at once and undisturbed")
        findings = [_alone(history, group, join) for group in groups for join in group if not join.returned]
        return self.verdict(findings, f"{counted(len(groups), 'run')} joined by all ranks")


def _groups(scenario: Scenario, history: History) -> Iterator[list[Join]]:
    disturbances = Disturbances(scenario, history)
    runs: dict[str, list[Join]] = defaultdict(list)
    for join in joins(history):
        runs[configured_run_id(scenario, join.call)].append(join)
    for group in runs.values():
        if _is_whole(group) and _is_plain(scenario, group) and _is_undisturbed(scenario, history, disturbances, group):
            yield group


def _is_whole(group: Sequence[Join]) -> bool:
    """Whether each rank joins once, with the same world size."""
    sizes = {whole(join.call.arguments.get("world_size")) for join in group}
    ranks = sorted(join.given_rank for join in group if join.given_rank is not None)
    return sizes == {len(group)} and ranks == list(range(len(group)))


def _is_plain(scenario: Scenario, group: Sequence[Join]) -> bool:
    """Whether all look for the world's own endpoint, with no settings of their own."""
    configs = [handler_config(scenario, join.call) for join in group]
    return all(one is not None and one.host is None and one.port is None and not one.config for one in configs)


def _is_undisturbed(scenario: Scenario, history: History, disturbances: Disturbances, group: Sequence[Join]) -> bool:
    window = window_of(history, group)
    allowed_ns = _allowed_ns(scenario, history, group)
    ranks = {join.call.rank for join in group}
    masters = disturbances.masters
    return (
        allowed_ns is not None
        and max(join.begun_ns for join in group) - window[0] <= allowed_ns
        and lateness(history, window).total_ns <= allowed_ns
        and masters <= {join.call.rank for join in group if join.is_master}
        and not disturbances.hit({*ranks, *masters}, window)
        and not disturbances.holds_up(group, window)
        and not _has_gone(history, group, window)
        and not disturbances.released(range(scenario.world.size), window[1], _IN_THE_WAY)
    )


def _has_gone(history: History, group: Sequence[Join], window: tuple[int, int]) -> bool:
    """Whether a member's process ended, or let a handler go, in the window."""
    members = {(join.call.rank, join.call.life) for join in group}
    return any(
        (call.rank, call.life) in members
        and call.f in (*RELEASING, "exit")
        and (call.begun_ns or call.ended_ns or 0) <= window[1]
        and (call.ended_ns is None or call.ended_ns >= window[0])
        for call in history.calls
    )


def _allowed_ns(scenario: Scenario, history: History, group: Sequence[Join]) -> int | None:
    """A part of the shortest timeout; None if it is too short, or if a join died with its process."""
    timed = [timed_call(scenario, history, join.call) for join in group]
    shortest_ns = min((one.timeout_ns for one in timed if one is not None), default=0)
    return None if None in timed or shortest_ns < SHORTEST_NS else shortest_ns // PART


def _alone(history: History, group: Sequence[Join], join: Join) -> Finding:
    happened = describe_end(join.call)
    because = f"{describe_call(join.call)} {happened}, though all {len(group)} ranks had begun to join, undisturbed"
    if join.call.error is not None and join.call.error.first_line:
        because += f": {join.call.error.first_line}"
    because = with_stacks(history, join.call, because)
    window = window_of(history, group)
    return unless_stalled(history, window, because, happened=happened, evidence=join.call.evidence)
