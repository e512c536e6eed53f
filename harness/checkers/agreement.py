"""Processes that returned agree: each is the rank it was given, and the master waited for all of one world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import combinations
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.joins import Join, joins, ranks_missing
from harness.history.wording import counted, joined, ranks_named
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.json import mapping, whole
from harness.values.verdict import Verdict

CHOOSE_RANKS = frozenset(("c10d", "etcd", "etcd-v2"))
"""The backends of torch that do not promise a process the rank that it asks for. Others say so in what they return."""

_LOCALHOST = frozenset(("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"))


@CHECKERS.register("agreement")
class Agreement(Checker):
    """Safety of the join itself."""

    declaration = Declaration(
        kind="agreement",
        summary="each process returns as the rank that it was given, and the ranks of a round in one world",
        example="{check: agreement}",
        details=(
            "Each process counts by its last return. The master (the process that was given rank 0) returns only when"
            " as many distinct ranks of its run id as its world size have begun; a rank out of range does not count as"
            " one of them. A process returns as the rank, and in a world of the size, that it was given. Links differ,"
            " so of the endpoint only this is judged: a process that was given another host does not get `localhost` or"
            " a loopback address back. Neither is judged where the subject chooses the ranks itself: `c10d`, `etcd`,"
            " `etcd-v2`, torch's dynamic rendezvous over any store, and a backend whose class of handlers says so with"
            " `chooses_ranks = True`. Where a subject reports no round, all joins of a run id are one round. Where it"
            " reports rosters, two rosters of one round that have a name in common must be equal."
        ),
    )
    standing = True
    safety = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        everybody = joins(history)
        returned = [join for join in everybody if join.returned]
        if not returned:
            return self.nothing("no rendezvous returned")
        findings = [finding for group in _groups(returned) for finding in _disagreements(group)]
        promised = [join for join in returned if not _chooses_ranks(history, join)]
        findings += [finding for join in promised for finding in (*_not_as_given(join), *_lost_at_loopback(join))]
        findings += [finding for join in returned if join.is_master for finding in _early(join, everybody)]
        return self.verdict(findings, f"{counted(len(returned), 'join')} returned without disagreement")


def _groups(returned: list[Join]) -> list[list[Join]]:
    """The last return of each process, by run id and round."""
    groups: dict[tuple[str | None, int | None], dict[int, Join]] = defaultdict(dict)
    for join in sorted(returned, key=lambda join: join.ended_ns):
        groups[join.run_id, join.round][join.call.rank] = join
    return [list(group.values()) for group in groups.values()]


def _disagreements(group: list[Join]) -> Iterator[Finding]:
    yield from _doubled(group)
    yield from _out_of_range(group)
    sizes = {join.world_size: join for join in group if join.world_size is not None}
    if len(sizes) > 1:
        each = [f"rank {join.call.rank} has {size}" for size, join in sizes.items()]
        yield _finding(f"the world size differs: {joined(each)}", list(sizes.values()))
    yield from _rosters(group)


def _chooses_ranks(history: History, join: Join) -> bool:
    """Whether the subject gives out ranks, and with rank 0 the master's address, by itself."""
    said = mapping(join.call.returned).get("chooses_ranks") is True
    return said or history.begin.get("subject") in CHOOSE_RANKS


def _not_as_given(join: Join) -> Iterator[Finding]:
    given = join.call.arguments
    raw = "rank" in mapping(given.get("config"))  # what the handler itself was given instead
    for what, wanted, got in (
        ("rank", None if raw else join.given_rank, join.returned_rank),
        ("a world of", whole(given.get("world_size")), join.world_size),
    ):
        if wanted is not None and got is not None and wanted != got:
            yield _finding(f"process {join.call.rank} was given {what} {wanted}, and returned {what} {got}", [join])


def _lost_at_loopback(join: Join) -> Iterator[Finding]:
    """With such an address a process on another host would look for the master in itself."""
    returned, given = mapping(join.call.returned).get("master_addr"), join.call.arguments.get("endpoint")
    if isinstance(returned, str) and isinstance(given, str) and _is_loopback(returned):
        host = given.rpartition(":")[0]
        if host and not _is_loopback(host):
            because = (
                f"process {join.call.rank} was given the endpoint {given}, and returned the master's address {returned}"
            )
            yield _finding(because, [join])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.casefold().rstrip(".") in _LOCALHOST


def _rosters(group: list[Join]) -> Iterator[Finding]:
    """Rosters with no name in common are not compared: the master was started again and opened the run anew."""
    with_roster = [join for join in group if join.roster]
    for one, other in combinations(with_roster, 2):
        if one.roster != other.roster and set(one.roster) & set(other.roster):
            ranks = f"{one.call.rank} and {other.call.rank}"
            yield _finding(f"processes {ranks} returned with different rosters{_of_run(one)}", [one, other])


def _doubled(group: list[Join]) -> Iterator[Finding]:
    holders: dict[int, list[Join]] = defaultdict(list)
    for join in group:
        if join.returned_rank is not None:
            holders[join.returned_rank].append(join)
    for rank, doubled in holders.items():
        if len(doubled) > 1:
            who = joined([str(join.call.rank) for join in doubled])
            both = "both" if len(doubled) == 2 else "all"
            yield _finding(f"processes {who} {both} returned as rank {rank}{_of_run(doubled[0])}", doubled)


def _out_of_range(group: list[Join]) -> Iterator[Finding]:
    for join in group:
        rank, size = join.returned_rank, join.world_size
        if rank is not None and size is not None and not 0 <= rank < size:
            yield _finding(f"process {join.call.rank} returned as rank {rank} of a world of {size}", [join])


def _early(master: Join, everybody: tuple[Join, ...]) -> Iterator[Finding]:
    """A master that returned although its world had not begun."""
    size = master.world_size
    if size is None:
        return
    missing = ranks_missing([join for join in everybody if join.run_id == master.run_id], size, master.ended_ns)
    if missing:
        others = [join for join in everybody if join.run_id != master.run_id and join.begun_ns <= master.ended_ns]
        of_that = " of that run" if others else ""
        because = (
            f"rank {master.call.rank}, the master{_of_run(master)}, returned a world of {size} before"
            f" {ranks_named(missing)}{of_that} had begun to join{_of_others(others)}"
        )
        yield _finding(because, [master])


def _of_others(joins_of_others: Sequence[Join]) -> str:
    """Which processes joined other runs meanwhile: one of them may have been taken for a rank of this one."""
    by_run: dict[str | None, list[int]] = defaultdict(list)
    for join in joins_of_others:
        by_run[join.run_id].append(join.call.rank)
    parts = [f"{ranks_named(sorted(set(ranks)))} joined run {run_id}" for run_id, ranks in by_run.items()]
    return f"; {joined(parts)} meanwhile" if parts else ""


def _of_run(join: Join) -> str:
    return "" if join.run_id is None else f" of run {join.run_id}"


def _finding(because: str, by: list[Join]) -> Finding:
    return Finding(because, evidence=tuple(index for join in by for index in join.call.evidence))
