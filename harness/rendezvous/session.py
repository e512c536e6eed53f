"""Driving a join: sending what its state asks, keeping its deadline, taking it back when that comes."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Callable, List, Tuple, Union
from urllib.parse import unquote

from harness.rendezvous import keys
from harness.rendezvous.failures import NotAStore, Silent, Unreachable
from harness.rendezvous.joiner import CLAIM, GLANCE, Joiner
from harness.rendezvous.keeper import PUBLISH, Keeper
from harness.rendezvous.operations import Add, Get, MultiGet, MultiSet, Operation, Replies, Set, Wait
from harness.rendezvous.protocol import CLOSED, OUTCOMES, Ask, Left, Outcome, Record
from harness.rendezvous.resolve import resolve
from harness.rendezvous.wire import Wire, connect_any

_GLANCE_S = 1.0
_PAUSE_S = 0.02
# What is left of the second after the deadline: to hear the end of what was asked, and to take the join back.
_HEAR_S, _LEAVE_S = 0.3, 0.7

Machine = Union[Joiner, Keeper]
FAILURES = (Unreachable, NotAStore, Silent)


class Session:
    """One call's join, over as many connections as it takes.

    Args:
        machine: its state.
        deadline: `time.monotonic`.
        prepare: called with a worker's state while the server takes its claim: makes the store before the join answers
            that it is there, so that nothing can fail once the round is whole.
        stopped: asked at times whether to give up at once.
    """

    def __init__(
        self,
        machine: Machine,
        deadline: float,
        prepare: Callable[[Joiner, Wire], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.machine = machine
        self._deadline = deadline
        self._prepare = prepare
        self._stopped = stopped

    def over(self, wire: Wire, patience_s: float) -> Outcome:
        """Go on over this connection, to the outcome; raises one of FAILURES if it is of no more use.

        Args:
            wire: whose first question, if it has asked one, was the one that the state has.
            patience_s: how long the server may take to answer what it can answer at once. While others are waited for,
                nothing lies before what is sent, and the server is known to be near or far: then it may take four times
                as long as for the greeting, and a third of this at least. It looks around each second, or less often
                if four greetings take longer: to stop waiting for an answer that is on its way costs two more.
        """
        glance_s = min(patience_s, max(_GLANCE_S, 4 * wire.round_trip_s))
        near_s = max(glance_s, patience_s / 3)
        if wire.first:
            after = self.machine.hear(wire.first)
            if isinstance(after, OUTCOMES):
                return after
            self.machine = after
        sent: Tuple[Operation, ...] = ()
        while True:
            ask = self.machine.ask()
            if self._is_late():
                return self._leave(wire, waiting=bool(sent))
            if ask.pause:
                time.sleep(_PAUSE_S)
            if sent and sent != ask.operations:
                wire.cancel_wait(self._limit(patience_s))
                sent = ()
            if not sent:
                wire.send((*ask.operations, *ask.ahead), self._limit(patience_s))
                if isinstance(self.machine, Joiner) and self.machine.stage == CLAIM:
                    self._prepare(self.machine, wire)
            is_glance = isinstance(self.machine, Joiner) and self.machine.stage == GLANCE
            replies = self._replies(wire, ask, near_s if is_glance else patience_s, glance_s)
            if replies is None:
                if self._is_late():
                    return self._leave(wire, waiting=True)
                sent = self._glance(wire, near_s)
                continue
            after = self.machine.hear(replies)
            if isinstance(after, OUTCOMES):
                return after
            sent = ask.ahead
            self.machine = after

    def leave_anew(self, wire: Wire) -> Outcome:
        """Take the join back over a new connection, after the deadline."""
        return self._leave(wire, waiting=False)

    def _is_late(self) -> bool:
        publishing = isinstance(self.machine, Keeper) and self.machine.stage == PUBLISH
        return not publishing and (time.monotonic() >= self._deadline or self._stopped())

    def _limit(self, patience_s: float) -> float:
        return min(time.monotonic() + patience_s, self._deadline + _HEAR_S)

    def _replies(self, wire: Wire, ask: Ask, patience_s: float, glance_s: float) -> Union[Replies, None]:
        """The replies; None if it is time to look around while others are waited for."""
        limit = self._limit(patience_s)
        replies: Replies = []
        for operation in ask.operations:
            if isinstance(operation, Wait):
                if not self._wait(wire, operation, glance_s):
                    return None
                replies.append(None)
            else:
                replies.append(wire.receive(operation, limit))
        return replies

    def _wait(self, wire: Wire, operation: Wait, glance_s: float) -> bool:
        limit = min(self._deadline, time.monotonic() + glance_s)
        try:
            wire.receive(operation, limit)
        except Silent:
            return False
        return True

    def _glance(self, wire: Wire, patience_s: float) -> Tuple[Operation, ...]:
        """Look around in the next turn; returns what stays sent meanwhile."""
        if not self.machine.is_waiting:
            return self.machine.ask().operations
        wire.cancel_wait(self._limit(patience_s))
        self.machine = self.machine.glance()
        return ()

    def _leave(self, wire: Wire, waiting: bool) -> Outcome:
        """Take the join back; or go on to the end, if the round is whole already."""
        if isinstance(self.machine, Joiner) and not self.machine.may_have_claimed:
            return Left()
        limit = self._deadline + _LEAVE_S
        if self._stopped():
            limit = time.monotonic() + _LEAVE_S
        if waiting:
            wire.cancel_wait(limit)
        after = self.machine.hear_leaving(wire.ask(self.machine.ask_to_leave().operations, limit))
        while not isinstance(after, OUTCOMES):
            self.machine = after
            after = after.hear(wire.ask(after.ask().operations, limit))
        return after


def runs_at(wire: Wire, deadline: float) -> List[str]:
    """The run ids that are open on a server."""
    (listed,) = wire.ask((Get(keys.RUNS),), deadline)
    names = [unquote(name, errors="surrogatepass") for name in dict.fromkeys(str(listed).split())]
    (records,) = wire.ask((MultiGet(tuple(keys.record(name) for name in names)),), deadline) if names else ((),)
    assert isinstance(records, tuple)
    return [name for name, record in zip(names, records) if record]


def opened_anew(host: str, port: int, run_id: str, incarnation: keys.Incarnation, deadline: float) -> bool:
    """Whether a server at this endpoint has the run in another incarnation; false if that cannot be learned."""
    with suppress(*FAILURES, ValueError):
        with connect_any(resolve(host, deadline), port, deadline) as wire:
            (found,) = wire.ask((Get(keys.record(run_id)),), deadline)
        return bool(found) and Record.of(str(found)).incarnation != incarnation
    return False


def close_run(wire: Wire, incarnation: keys.Incarnation, open_round: int, world_size: int, deadline: float) -> None:
    """Mark a run as closed, and tell those who are joining its open round."""
    round_keys = incarnation.round(open_round)
    slots = MultiGet(round_keys.slots(range(world_size)))
    told = (Set(incarnation.closed, CLOSED), Add(round_keys.version, 1), slots)
    names = wire.ask(told, deadline)[-1]
    assert isinstance(names, tuple)
    nonces = [name.split(" ")[0] for name in names[1:] if " " in name]
    pairs = [(key, CLOSED) for nonce in nonces for key in (round_keys.fate(nonce), round_keys.call(nonce))]
    # The last reply says that the server has it all.
    wire.ask((*((MultiSet(tuple(pairs)),) if pairs else ()), Get(incarnation.closed)), deadline)
