"""What stood between a rank and the store while its call waited: a process that was frozen or gone, a lost message, a
fault on the path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.history.keys import keys_of, names_on_wire
from harness.history.stalls import describe_stall, explanation
from harness.history.waiting.edges import (
    CERTAIN,
    FROZEN,
    HELD,
    LIKELY,
    LINK_SLOW,
    LINK_TORN,
    NOBODY,
    PORT_TAKEN,
    PROXY,
    QUERY_LOST,
    REPLY_LOST,
    STORE_GONE,
    Cause,
)
from harness.history.waiting.ranks import RankFacts, Span
from harness.history.waiting.stuck import Stuck
from harness.history.wording import fault_named, ranks_named
from harness.scenario.scenario import Fault, Scenario
from harness.values.history import Call, History, Injection
from harness.values.json import whole
from harness.values.plan import JOIN
from harness.values.wire import CUT, DROPPED, KEPT, PASSED, QUERY, WireMessage

KINDS_ON_WIRE: Mapping[str, tuple[str, ...]] = {
    "get": ("wait", "get", "cancel_wait"),
    "wait": ("wait", "cancel_wait"),
    "multi_get": ("wait", "multi_get", "cancel_wait"),
    "queue_pop": ("wait", "queue_pop", "cancel_wait"),
    "num_keys": ("getnumkeys",),
    "set_bytes": ("set",),
    "same_bytes": ("wait", "get", "cancel_wait"),
}
"""The kinds of messages of a store call (torch 2.6 to 2.15); of others the kind is the call's own name."""

NOTHING_PASSES = ("blackhole", "partition", "x_stall", "down")
"""While one of these is in place on a link, no reply can reach the link's rank: known to be so, not only likely."""
NOTHING_LOST = ("x_stall", "down", "disconnect", "unplug", "latency", "delay")
"""What waits behind one of these goes on when it is healed; after any other one, bytes are missing for good."""
SLOW = {"latency": "latency", "delay": "delay"}
"""A slow path explains a wait only if its delay is a large part of it: the attribute that says how long it is."""
SLOWING = (*SLOW, "slicer", "bandwidth")
"""These slow down what passes, and explain a wait only where nothing worse was there."""
FOR_NEW_CONNECTIONS = ("x_refuse", "x_backlog", "x_accept_never_read", "reset_peer", "limit_data", "x_cut")
"""These end connections or keep them from being made: a call on an open one fails at once, but a join tries again."""
ON_LINKS = (*NOTHING_PASSES, *FOR_NEW_CONNECTIONS, "x_hold", *SLOWING)
ON_HOSTS = ("disconnect", "unplug", "loss", "delay", "tcp_reset", "wrong_address", "missing_name", "resolver_gone",
            "slow_resolver", "address_change")  # fmt: skip
ON_THE_PORT = ("impostor", "occupy_port", "strangers")
LOSES_ONE = {"x_drop_query": QUERY_LOST, "x_drop_reply": REPLY_LOST}
PROXY_PART = "the proxy server"


@dataclass(frozen=True)
class _Played:
    """One fault that was in place: as the history has it, as the scenario has it, and when."""

    injection: Injection
    fault: Fault | None
    span: Span

    @property
    def kind(self) -> str:
        return self.injection.kind

    @property
    def name(self) -> str:
        return f"the fault {fault_named(self.injection.fault, self.injection.kind)}"

    @property
    def ranks(self) -> tuple[int, ...]:
        return self.injection.ranks

    @property
    def evidence(self) -> tuple[int, ...]:
        return self.injection.evidence

    @property
    def attributes(self) -> Mapping[str, Any]:
        return {} if self.fault is None else self.fault.attributes

    @property
    def is_on_hosts(self) -> bool:
        return self.kind in ON_HOSTS or bool(self.attributes.get("pairs"))

    def is_between(self, rank: int, master: int | None) -> bool:
        """Whether a fault on hosts can concern what this rank and the master send each other."""
        pairs = self.attributes.get("pairs")
        if not pairs or master is None:
            return rank in self.ranks or master in self.ranks
        sides = [[side if isinstance(side, (list, tuple)) else (side,) for side in pair] for pair in pairs]
        return any((rank in a and master in b) or (master in a and rank in b) for a, b in sides)

    @property
    def is_on_links(self) -> bool:
        return self.kind in ON_LINKS and not self.is_on_hosts

    @property
    def lets_nothing_pass(self) -> bool:
        """Whether it is known that no reply passed while it was in place: it hits every connection, and was proved."""
        every_one = self.fault is not None and self.fault.toxicity == 1.0
        return self.kind in NOTHING_PASSES and every_one and self.injection.touched is True


@dataclass(frozen=True)
class Paths:
    """What is known of the paths from ranks to the store."""

    scenario: Scenario
    history: History
    ranks: RankFacts

    def causes(self, stuck: Stuck, rank: int, master: int | None) -> Iterator[Cause]:
        """Why a call could not reach the store by the path of this rank, the most certain first."""
        found = [*self._processes(stuck, rank, master), *self._wire(stuck, rank), *self._faults(stuck, rank, master)]
        yield from sorted(found, key=lambda cause: cause.sure != CERTAIN)
        if not found:
            yield from self._stalled(stuck)

    @cached_property
    def concerned(self) -> frozenset[int]:
        """The ranks whose own path shows anything: a fault, a stop of the process, messages."""
        hit = {rank for injection in self.history.injections for rank in injection.ranks}
        return frozenset(hit | self.ranks.ever_frozen | set(self.messages))

    @cached_property
    def messages(self) -> Mapping[int, Sequence[WireMessage]]:
        """The messages of each rank's link."""
        found: dict[int, list[WireMessage]] = defaultdict(list)
        for message in self.history.wire.messages if self.history.wire is not None else ():
            found[message.rank].append(message)
        return found

    def on_links(self, stuck: Stuck, rank: int) -> Iterator[Cause]:
        """Only the faults that lost messages on a rank's link, or held them back."""
        yield from (cause for cause in self._faults(stuck, rank, None) if cause.whom == PROXY)

    # -- processes ---------------------------------------------------------------------------------------------

    def _processes(self, stuck: Stuck, rank: int, master: int | None) -> Iterator[Cause]:
        if self.ranks.has_agents:
            return
        yield from self._frozen(stuck, rank, f"rank {rank} itself" if rank == stuck.call.rank else f"rank {rank}")
        if master is None or master == rank:
            return
        end = self.ranks.ended(master, stuck.begun_ns)
        if stuck.call.f != JOIN and end is not None and self.ranks.ended(master, stuck.until_ns) is end:
            phrase = f" for rank {master}, which served the store: it {self.ranks.describe_end(end)}"
            yield Cause(STORE_GONE, CERTAIN, phrase, (master,), evidence=(end.index,))
        if master != stuck.call.rank:
            yield from self._frozen(stuck, master, f"rank {master}, which serves the store,")

    def _frozen(self, stuck: Stuck, rank: int, who: str) -> Iterator[Cause]:
        for span in self.ranks.frozen(rank):
            sure = _how_sure(stuck, span, loses=False)
            if sure:
                phrase = f": {who} was frozen{self.ranks.freezer(rank, span)} {self.ranks.during(span, stuck.until_ns)}"
                yield Cause(FROZEN, sure, phrase, (rank,), evidence=(span.op,))

    # -- messages ----------------------------------------------------------------------------------------------

    def _wire(self, stuck: Stuck, rank: int) -> Iterator[Cause]:
        """The messages of the call that did not arrive; of a join, which tries again, it is only likely."""
        for message in self.messages.get(rank, ()):
            if not stuck.begun_ns <= message.time_ns <= stuck.until_ns:
                continue
            if not _is_of(message, stuck.call):
                continue
            became = became_of(message, stuck.until_ns)
            if became is not None:
                why, said = became
                sure = LIKELY if stuck.call.f == JOIN or self._may_be_of_another(message, stuck) else CERTAIN
                side = "query" if message.side == QUERY else "reply"
                phrase = f": its {side} {message.kind} at {self.ranks.at(message.time_ns)} {said}"
                yield Cause(why, sure, phrase + self.doer(message), whom=PROXY)
                return

    def _may_be_of_another(self, message: WireMessage, stuck: Stuck) -> bool:
        """Whether another call of the same rank, at the same time, sends such messages too."""
        return any(
            call is not stuck.call
            and call.rank == stuck.call.rank
            and call.begun_ns is not None
            and call.begun_ns <= message.time_ns
            and (call.ended_ns is None or call.ended_ns >= message.time_ns)
            and _is_of(message, call)
            for call in self.history.calls
        )

    def doer(self, message: WireMessage) -> str:
        """` by the fault lost (x_drop_reply)`: the toxic that did it; empty if none did."""
        if not message.by:
            return ""
        for injection in self.history.injections:
            if message.by in (injection.fault, *(f"{injection.fault}-{side}" for side in ("upstream", "downstream"))):
                return f" by the fault {fault_named(injection.fault, injection.kind)}"
        return f" by {message.by}"

    # -- faults ------------------------------------------------------------------------------------------------

    def _faults(self, stuck: Stuck, rank: int, master: int | None) -> Iterator[Cause]:
        faults = {fault.name: fault for fault in self.scenario.faults}
        for injection in sorted(self.history.injections, key=lambda injection: injection.kind in SLOWING):
            if injection.injected_ns is None or injection.touched is False:
                continue
            until_ns = injection.healed_ns if injection.healing_ns is None else injection.healing_ns
            span = Span(injection.injected_ns, until_ns, 0)
            cause = self._fault(stuck, rank, master, _Played(injection, faults.get(injection.fault), span))
            if cause is not None:
                yield cause

    def _fault(self, stuck: Stuck, rank: int, master: int | None, played: _Played) -> Cause | None:
        if (rank == master and played.kind not in ON_THE_PORT) or _is_quick(stuck, played):
            return None
        if played.kind in LOSES_ONE and rank in played.ranks and self.history.wire is None:
            return self._lost_one(stuck, rank, played)
        sure = _how_sure(stuck, played.span, loses=played.kind not in NOTHING_LOST)
        if not sure:
            return None
        by = _one(master if rank == stuck.call.rank else rank)
        during = self.ranks.during(played.span, stuck.until_ns)
        if played.is_on_links and rank in played.ranks:
            if played.kind in FOR_NEW_CONNECTIONS and stuck.call.f != JOIN:
                return None
            did = "let nothing pass" if played.lets_nothing_pass else "was in place"
            links = f"the {'link' if len(played.ranks) == 1 else 'links'} of {ranks_named(played.ranks)}"
            sure = sure if played.lets_nothing_pass else LIKELY
            phrase = f": {played.name} {did} on {links} {during}"
            why = LINK_SLOW if played.kind in SLOWING else LINK_TORN
            return Cause(why, sure, phrase, by, PROXY, evidence=played.evidence)
        if played.is_on_hosts and played.is_between(rank, master):
            why = LINK_SLOW if played.kind in SLOWING else LINK_TORN
            return Cause(why, LIKELY, f": {played.name} was in place {during}", by, evidence=played.evidence)
        if played.kind in ON_THE_PORT and stuck.call.f == JOIN:
            phrase = f": {played.name} was on the master's port {during}"
            return Cause(PORT_TAKEN, LIKELY, phrase, whom=NOBODY, evidence=played.evidence)
        return None

    def _lost_one(self, stuck: Stuck, rank: int, played: _Played) -> Cause | None:
        """A toxic that swallows one message, where no log of the wire says which one it was."""
        given = played.attributes
        side = "query" if played.kind == "x_drop_query" else "reply"
        fits = stuck.call.f == JOIN or (
            given.get(side) in (*kinds_of(stuck.call), "*") and given.get("key") in (None, "*", *keys_of(stuck.call))
        )
        overlaps = played.span.overlap_ns(stuck.begun_ns, stuck.until_ns) > 0
        if played.injection.touched is not True or not fits or not overlaps:
            return None
        phrase = f": {played.name} swallowed a {side} on the link of rank {rank}"
        return Cause(LOSES_ONE[played.kind], LIKELY, phrase, whom=PROXY, evidence=played.evidence)

    def _stalled(self, stuck: Stuck) -> Iterator[Cause]:
        stall = explanation(self.history, (stuck.begun_ns, stuck.until_ns))
        if stall is not None and stall.part.startswith(PROXY_PART):
            yield Cause(FROZEN, LIKELY, f": {describe_stall(self.history, stall)}", whom=PROXY)


def became_of(message: WireMessage, until_ns: int) -> tuple[str, str] | None:
    """Why a message did not arrive by then, and what became of it in words; None if it arrived."""
    lost = QUERY_LOST if message.side == QUERY else REPLY_LOST
    if message.fate in (DROPPED, CUT):
        return lost, {DROPPED: "was swallowed", CUT: "was cut off"}[message.fate]
    if message.fate == KEPT or (message.held_ns and message.sent_ns is not None and message.sent_ns > until_ns):
        return HELD, "was held back"
    assert message.fate in (PASSED, KEPT)
    return None


def _is_of(message: WireMessage, call: Call) -> bool:
    if call.f == JOIN:
        return True
    return message.kind in kinds_of(call) and (
        not message.keys or not keys_of(call) or any(names_on_wire(key, keys_of(call)) for key in message.keys)
    )


def kinds_of(call: Call) -> tuple[str, ...]:
    """The kinds of messages that a store call sends."""
    return KINDS_ON_WIRE.get(call.f, (call.f,))


def _how_sure(stuck: Stuck, span: Span, loses: bool) -> str:
    """How sure it is that what was so in this span made the call wait; empty if it cannot have."""
    if span.covers(stuck.begun_ns, stuck.needed_until_ns):
        return CERTAIN
    overlap_ns = span.overlap_ns(stuck.begun_ns, stuck.until_ns)
    return LIKELY if (loses and overlap_ns) or 2 * overlap_ns > stuck.lasted_ns else ""


def _is_quick(stuck: Stuck, played: _Played) -> bool:
    """Whether a fault that only delays, delays by less than a quarter of the wait."""
    delay_ns = whole(played.attributes.get(SLOW.get(played.kind, "")))
    return played.kind in SLOW and (delay_ns is None or 4 * delay_ns < stuck.lasted_ns)


def _one(rank: int | None) -> tuple[int, ...]:
    return () if rank is None else (rank,)
