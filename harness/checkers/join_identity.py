"""A rank that joins is counted once, as itself: seen in the messages of the join."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.disturbances import RELEASING, Disturbances
from harness.history.joins import Join, configured_run_id, handler_of, joins
from harness.history.wording import counted, describe_call
from harness.scenario.scenario import EXIT, Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.verdict import Verdict
from harness.values.wire import PASSED, QUERY, WireMessage

_COUNTER = "init/"
"""What torch's own join adds 1 to, once for each store that waits for workers (torch 2.6 to 2.15)."""
_SLOT = re.compile(r"/?\+[0-9a-f]+\.[0-9]+s([0-9]+)")
"""What a join of static-strict claims: incarnation, round, and after the `s` the rank."""


@dataclass(frozen=True)
class _Counted:
    """A message that counted a join at the server.

    Attributes:
        join: the only one of its process that was running then.
        claimed: the rank that it says, which torch's own join does not.
    """

    join: Join
    message: WireMessage
    claimed: int | None = None


@CHECKERS.register("join_identity")
class JoinIdentity(Checker):
    """Judged by the log of messages that the embedded engine keeps."""

    declaration = Declaration(
        kind="join_identity",
        summary="the joins that reach the server are at most the distinct ranks, each as the rank that it was given",
        example="{check: join_identity}",
        details=(
            "A join of torch adds 1 to a counter of the server; one of `static-strict` claims the slot of its rank. Of"
            " what one server has answered or taken, each run id and rank is counted once, and a slot is claimed by"
            " processes of that rank only. A rank that is counted twice is counted in place of a missing one, even if"
            " this run did not suffer from it. A rank that had joined and let its handler go joins anew. Not judged is"
            " a message while its process was in several joins, and nothing where no proxy server decoded the messages,"
            " or not all of them."
        ),
    )
    explored = True
    safety = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        if history.wire is None or not history.wire.is_complete:
            return self.nothing("no complete log of messages")
        reached = list(_reached(history))
        if not reached:
            return self.nothing("no join was seen on the wire")
        findings = [*_doubled(scenario, history, reached), *_wrong(reached)]
        return self.verdict(findings, f"{counted(len(reached), 'message')} counted each join as itself")


def _reached(history: History) -> Iterator[_Counted]:
    everybody = joins(history)
    for message in history.wire.messages if history.wire is not None else ():
        if message.side != QUERY or message.fate != PASSED or len(message.keys) != 1:
            continue
        slot = _SLOT.fullmatch(message.keys[0]) if message.kind == "compare_set" else None
        if slot is None and (message.kind, message.keys[0]) != ("add", _COUNTER):
            continue
        running = [join for join in everybody if join.call.rank == message.rank and _is_running(history, join, message)]
        if len(running) == 1:
            yield _Counted(running[0], message, None if slot is None else int(slot[1]))


def _is_running(history: History, join: Join, message: WireMessage) -> bool:
    begun_ns, ended_ns = history.window_of(join.call)
    return begun_ns <= message.time_ns <= ended_ns


def _doubled(scenario: Scenario, history: History, reached: list[_Counted]) -> Iterator[Finding]:
    """Joins that torch's server counted although it had counted the same rank before."""
    masters = Disturbances(scenario, history).masters
    known: dict[tuple[int, str, int | None], _Counted] = {}
    for one in reached:
        if one.claimed is not None:
            continue
        server = _servers_before(history, masters, one.message.time_ns)
        identity = server, configured_run_id(scenario, one.join.call), one.join.given_rank
        first = known.get(identity)
        known[identity] = one
        if first is not None and not _was_released(history, first.join, one.message.time_ns):
            who = describe_call(one.join.call)
            yield _finding(one, f"{who} was counted by the server, which had counted {describe_call(first.join.call)}")


def _was_released(history: History, join: Join, until_ns: int) -> bool:
    """Whether a join had returned, and its handler was let go: the next one is a new join, and no retry."""
    handler = join.call.rank, join.call.life, join.handler
    return join.returned and any(
        call.f in RELEASING
        and (call.rank, call.life, handler_of(call)) == handler
        and join.ended_ns <= (call.begun_ns or 0) <= until_ns
        for call in history.calls
    )


def _servers_before(history: History, masters: frozenset[int], time_ns: int) -> int:
    """How often a server may have ended by then: a new one counts anew."""
    return sum(
        call.rank in masters and call.f in (*RELEASING, EXIT) and (call.begun_ns or call.ended_ns or 0) <= time_ns
        for call in history.calls
    )


def _wrong(reached: list[_Counted]) -> Iterator[Finding]:
    for one in reached:
        given = one.join.given_rank
        if one.claimed is not None and given is not None and one.claimed != given:
            yield _finding(one, f"{describe_call(one.join.call)} claimed rank {one.claimed}, and was given {given}")


def _finding(one: _Counted, because: str) -> Finding:
    return Finding(f"{because} (message {one.message.number})", because, one.join.call.evidence)
