"""Drives a join over its connections: sends what its state asks, keeps the deadline, and withdraws the join there."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Callable, List, Optional, Tuple, Union
from urllib.parse import unquote

from . import keys
from .closing import Closing
from .failures import NotAStore, TimedOut, Unreachable
from .master_join import PUBLISH, MasterJoin
from .operations import Get, MultiGet, Operation, Replies, Wait
from .protocol import OUTCOMES, Outcome, Record, Request, Withdrawn
from .resolve import resolve
from .wire import Wire, connect_any
from .worker_join import CLAIM, RECHECK, WorkerJoin

_RECHECK_S = 1.0
_PAUSE_S = 0.02
# Parts of the second after the deadline: to receive the replies of what was sent, and to withdraw the join.
_RECEIVE_S, _WITHDRAW_S = 0.3, 0.7

FAILURES = (Unreachable, NotAStore, TimedOut)


class Session:
    """The join of one call of next_rendezvous, over as many connections as it takes.

    Args:
        join: its state.
        deadline: `time.monotonic`.
        prepare: called with a worker's state while the server handles its claim. It makes the store before the join
            answers the call, so that nothing can fail once the round is whole.
        stopped: called at times; whether to give up at once.
    """

    def __init__(
        self,
        join: Union[MasterJoin, WorkerJoin],
        deadline: float,
        prepare: Callable[[WorkerJoin, Wire], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.join = join
        self._deadline = deadline
        self._prepare = prepare
        self._stopped = stopped

    def run(self, wire: Wire, answer_s: float) -> Outcome:
        """Continue over this connection, to the outcome; raises one of FAILURES when the connection is useless.

        Args:
            wire: if it has sent a first request, that was the request of the current state.
            answer_s: how long the server may take for an answer that needs no waiting. While the join waits for other
                ranks, no other request is in progress, and the distance of the server is known: a recheck may then take
                four times as long as the greeting, and a third of this at least. It comes each second, or less often if
                four greetings take longer: cancelling a wait whose answer is on its way costs two more round trips.
        """
        recheck_s = min(answer_s, max(_RECHECK_S, 4 * wire.round_trip_s))
        recheck_answer_s = max(recheck_s, answer_s / 3)
        if wire.first:
            after = self.join.hear(wire.first)
            if isinstance(after, OUTCOMES):
                return after
            self.join = after
        sent: Tuple[Operation, ...] = ()
        while True:
            request = self.join.ask()
            if self._is_late():
                return self.withdraw(wire, waiting=bool(sent))
            if request.pause:
                time.sleep(_PAUSE_S)
            if sent and sent != request.operations:
                wire.cancel_wait(self._limit(answer_s))
                sent = ()
            if not sent:
                wire.send((*request.operations, *request.prefetch), self._limit(answer_s))
                if isinstance(self.join, WorkerJoin) and self.join.stage == CLAIM:
                    self._prepare(self.join, wire)
            limit_s = recheck_answer_s if self.join.stage == RECHECK else answer_s
            replies = self._replies(wire, request, limit_s, recheck_s)
            if replies is None:
                if self._is_late():
                    return self.withdraw(wire, waiting=True)
                sent = self._recheck(wire, recheck_answer_s)
                continue
            after = self.join.hear(replies)
            if isinstance(after, OUTCOMES):
                return after
            sent = request.prefetch
            self.join = after

    def withdraw(self, wire: Wire, waiting: bool) -> Outcome:
        """Withdraw the join, or finish it if the round is whole already.

        Args:
            waiting: whether the server still handles a wait of this join, which must be cancelled first.
        """
        if not self.join.may_have_claimed:
            return Withdrawn()
        limit = self._deadline + _WITHDRAW_S
        if self._stopped():
            limit = time.monotonic() + _WITHDRAW_S
        if waiting:
            wire.cancel_wait(limit)
        after = self.join.hear_withdrawal(wire.ask(self.join.ask_to_withdraw().operations, limit))
        while not isinstance(after, OUTCOMES):
            self.join = after
            after = after.hear(wire.ask(after.ask().operations, limit))
        return after

    def _is_late(self) -> bool:
        """Whether to withdraw now; a round that is whole is published even after the deadline."""
        return self.join.stage != PUBLISH and (time.monotonic() >= self._deadline or self._stopped())

    def _limit(self, answer_s: float) -> float:
        return min(time.monotonic() + answer_s, self._deadline + _RECEIVE_S)

    def _replies(self, wire: Wire, request: Request, answer_s: float, recheck_s: float) -> Union[Replies, None]:
        """The replies; None if it is time to recheck while the join waits for other ranks."""
        limit = self._limit(answer_s)
        replies: Replies = []
        for operation in request.operations:
            if isinstance(operation, Wait):
                if not self._wait(wire, operation, recheck_s):
                    return None
                replies.append(None)
            else:
                replies.append(wire.receive(operation, limit))
        return replies

    def _wait(self, wire: Wire, operation: Wait, recheck_s: float) -> bool:
        limit = min(self._deadline, time.monotonic() + recheck_s)
        try:
            wire.receive(operation, limit)
        except TimedOut:
            return False
        return True

    def _recheck(self, wire: Wire, answer_s: float) -> Tuple[Operation, ...]:
        """Recheck in the next turn; returns the operations that stay sent meanwhile."""
        if not self.join.is_waiting:
            return self.join.ask().operations
        wire.cancel_wait(self._limit(answer_s))
        self.join = self.join.recheck()
        return ()


def runs_at(wire: Wire, deadline: float) -> List[str]:
    """The run ids that are open on a server."""
    (listed,) = wire.ask((Get(keys.RUNS),), deadline)
    names = [unquote(name, errors="surrogatepass") for name in dict.fromkeys(str(listed).split())]
    (records,) = wire.ask((MultiGet(tuple(keys.record(name) for name in names)),), deadline) if names else ((),)
    assert isinstance(records, tuple)
    return [name for name, record in zip(names, records) if record]


def incarnation_at(wire: Wire, run_id: str, deadline: float) -> Optional[keys.Incarnation]:
    """The incarnation in which a server has a run; None if it does not have it. Raises one of FAILURES."""
    (found,) = wire.ask((Get(keys.record(run_id)),), deadline)
    try:
        return Record.of(str(found)).incarnation if found else None
    except ValueError:
        return None


def was_reopened(host: str, port: int, run_id: str, incarnation: keys.Incarnation, deadline: float) -> bool:
    """Whether the server at this endpoint has the run in another incarnation; false if that cannot be found out."""
    with suppress(*FAILURES):
        with connect_any(resolve(host, deadline), port, deadline) as wire:
            return incarnation_at(wire, run_id, deadline) not in (None, incarnation)
    return False


def close_run(wire: Wire, run_id: str, deadline: float) -> None:
    """Mark the run that is open on a server as closed, and refuse those who are joining it."""
    closing = Closing(run_id)
    while not closing.is_done:
        closing = closing.hear(wire.ask(closing.ask(), deadline))
