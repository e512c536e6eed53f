"""The handler: torch's interface of a static rendezvous, with a join that keeps its promises."""

from __future__ import annotations

import datetime
import os
import socket
import time
from contextlib import suppress
from typing import Any, Callable, List, Optional

from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
)

from . import BACKEND, arguments, keys
from .backoff import Backoff
from .construct import make_store
from .descriptors import TOO_MANY_OPEN, can_open
from .failures import PortTaken, TimedOut, Unreachable
from .holders import holder
from .join_errors import JoinErrors, unreachable
from .master_join import MasterJoin
from .masters import is_shared, let_go, release, serve
from .protocol import Join, Joined, Outcome, Participant, Refused, Withdrawn
from .questions import Questions
from .resolve import resolve
from .session import FAILURES, Session, runs_at
from .store import BoundedStore, StrictStore
from .wire import Wire, connect_any
from .worker_join import WorkerJoin

__all__ = ["StaticTCPRendezvous", "create_rdzv_handler"]

_DEFAULT_TIMEOUT_S = 600
_SHUT_DOWN = "the handler was shut down"
_SHORT_TRY_S = 0.5
_BOTH_ENDS = 2
"""Descriptors that a connection of a master to its own server takes."""
_AFTERWARDS_S = 0.7
"""How much of the second after the deadline may be used to withdraw the join, or to learn which runs are open."""


class StaticTCPRendezvous(RendezvousHandler):  # type: ignore[misc]
    """Rank 0 serves a TCPStore at the endpoint, the others connect to it; a join is known by rank, run and round.

    Args:
        master_addr: host of the endpoint; used exactly as given.
        master_port: from 1 to 65535.
        rank: this process's, a whole number or its decimal text.
        world_size: how many ranks there are.
        run_id: any text.
        timeout: seconds above 0, for a join and for each operation of the store.

    Raises ValueError for invalid arguments.

    Attributes:
        round: the number of the last round that was joined, from 1; 0 before.
        roster: nonce, host and process of each rank in that round.
    """

    def __init__(
        self,
        master_addr: str,
        master_port: int,
        rank: int,
        world_size: int,
        run_id: str,
        timeout: float,
    ) -> None:
        self.master_addr = arguments.text_of("master_addr", master_addr)
        self.master_port = arguments.port_of(master_port)
        self.world_size = arguments.world_size_of(world_size)
        self.rank = arguments.rank_in(rank, self.world_size)
        self.run_id = arguments.text_of("run_id", run_id, may_be_empty=True)
        self.timeout: datetime.timedelta = arguments.timeout_of(timeout)
        self.round = 0
        self.roster: List[str] = []
        self._bounded_store: Optional[BoundedStore] = None
        self._kept: List[BoundedStore] = []
        self._incarnation: Optional[keys.Incarnation] = None
        self._is_closed = False
        self._is_shut_down = False
        self._is_agent_store = False
        self._questions = Questions(self.master_addr, self.master_port, self.run_id)

    def get_backend(self) -> str:
        """Return the name of the rendezvous backend."""
        return BACKEND

    @property
    def use_agent_store(self) -> bool:
        """Workers may use this store, as with stock. An agent asks this when it starts workers, and then they do."""
        self._is_agent_store = True
        return True

    def get_run_id(self) -> str:
        """Return the run id of the rendezvous."""
        return self.run_id

    @property
    def _store(self) -> Any:
        """The TCPStore, under the name that stock has for it; None before the first join and after shutdown."""
        return None if self._bounded_store is None else self._bounded_store.connected.store

    def next_rendezvous(self) -> RendezvousInfo:
        """Join the open round; returns when all ranks have joined it, and at the latest a second after the timeout.

        Raises:
            RendezvousTimeoutError: other ranks, or an answer, did not come in time.
            RendezvousConnectionError: refused, reset, unresolvable; or, on rank 0, the port is taken.
            RendezvousStateError: not a store, or one that disagrees on rank or world size.
            RendezvousClosedError: the run was closed, or this handler was shut down.
        """
        begun = time.monotonic()
        timeout_s = self.timeout.total_seconds()
        endpoint = f"[{self.master_addr}]" if ":" in self.master_addr else self.master_addr
        errors = JoinErrors(f"{endpoint}:{self.master_port}", self.rank, self.run_id, timeout_s, begun)
        if self._is_shut_down or self._is_closed:
            raise errors.closed(_SHUT_DOWN if self._is_shut_down else f"run {self.run_id!r} was closed")
        call = _Call(self, errors, begun + timeout_s)
        try:
            return self._info(call.join_as_master() if self.rank == 0 else call.join_as_worker(), errors)
        finally:
            call.drop_error()
            if self._is_shut_down:
                # Another thread did that in the meantime, perhaps before this join had made its store.
                self.shutdown()

    def _info(self, joined: Joined, errors: JoinErrors) -> RendezvousInfo:
        self.round, self.roster, self._incarnation = joined.round, list(joined.roster), joined.incarnation
        bounded = self._bounded_store
        if bounded is None:
            raise errors.closed(_SHUT_DOWN)
        witness = joined.incarnation.round(joined.round).roster
        store = StrictStore(joined.incarnation.prefix(self.run_id, joined.round), bounded, witness)
        address = RendezvousStoreInfo(self.master_addr, self.master_port)
        return RendezvousInfo(store, self.rank, self.world_size, address)

    def num_nodes_waiting(self) -> int:
        """How many ranks have come to join the next round; torchrun restarts its workers to join it too.

        This, `is_closed` and `set_closed` take a second or two at most, and are not delayed by calls of the store.
        """
        late = self._value_of(lambda incarnation: incarnation.round(self.round + 1).late)
        if late is None:
            return 1 if self._was_reopened() else 0
        return len(set(late.split()))

    def _was_reopened(self) -> bool:
        """Whether the master, whose old server no longer answers, has opened the run anew."""
        if self._is_shut_down or self._incarnation is None:
            return False
        return self._questions.was_reopened(self._incarnation)

    def is_closed(self) -> bool:
        """Whether this handler can join no more: it was shut down, or any rank has closed the run.

        The second as far as the server answers; before its first join, a handler knows only what it has closed itself.
        """
        self._is_closed = self._is_closed or bool(self._value_of(lambda incarnation: incarnation.closed))
        return self._is_closed or self._is_shut_down

    def set_closed(self) -> None:
        """Close the run for all ranks: a join, now or later, raises RendezvousClosedError.

        A handler without a store asks the endpoint; one that was shut down has left the run to the others.
        """
        self._is_closed = True
        if not self._is_shut_down:
            self._questions.close_run(None if self._bounded_store is None else self._bounded_store.connected)

    def _value_of(self, key_of: Callable[[keys.Incarnation], str]) -> Optional[str]:
        """The value of a key of the run, empty if it is missing; None if the server does not answer."""
        bounded, incarnation = self._bounded_store, self._incarnation
        if bounded is None or incarnation is None:
            return None
        return self._questions.value_of(bounded.connected, incarnation, key_of(incarnation))

    def _release_agent_store(self) -> None:
        """Release a server that workers used, so that the next round gets a fresh one at the port.

        An agent's workers have keys there without a prefix: those of the next round would take them for their own
        (F25).
        """
        if self._is_agent_store and self._bounded_store is not None and not is_shared(self) and not self.is_closed():
            release(self)

    def shutdown(self) -> bool:
        """Close the connection, and free a master's port unless another handler serves it; false if it stays bound."""
        self._is_shut_down = True
        self._questions.close()
        if self.rank == 0:
            return let_go(self, _SHUT_DOWN)
        bounded, self._bounded_store = self._bounded_store, None
        if bounded is not None:
            bounded.end(_SHUT_DOWN)
        return True


class _Call:
    """One call of next_rendezvous."""

    def __init__(self, handler: StaticTCPRendezvous, errors: JoinErrors, deadline: float) -> None:
        self._handler = handler
        self._errors = errors
        self._deadline = deadline
        self._backoff = Backoff(errors.timeout_s)
        self._last_error: Optional[Exception] = None
        self._try_begun = 0.0
        process = f"{socket.gethostname()}:{os.getpid()}".replace(" ", "_").replace("\n", "_")
        nonce = os.urandom(5).hex()
        self._participant = Participant(handler.run_id, handler.rank, handler.world_size, nonce, process)

    def drop_error(self) -> None:
        """Drop the last error: its traceback refers to this call, and the cycle would keep the store alive."""
        self._last_error = None

    # The master.

    def join_as_master(self) -> Joined:
        """Serve, open the run, and wait for all ranks; if the first round fails, the port is released."""
        handler = self._handler
        handler._release_agent_store()
        is_first = handler._incarnation is None or handler._bounded_store is None
        incarnation = keys.Incarnation.new() if is_first else handler._incarnation
        assert incarnation is not None
        join = MasterJoin(self._participant, incarnation, handler.round + 1)
        session = Session(join, self._deadline, lambda join, wire: None, lambda: handler._is_shut_down)
        try:
            return self._joined(self._run_master(session), session.join)
        except BaseException:
            if is_first:
                handler._bounded_store = None
            raise

    def _run_master(self, session: Session) -> Outcome:
        while True:
            self._try_begun = time.monotonic()
            try:
                connected = self._serve().connected
                first = session.join.ask().operations
                with Wire(connected.address, connected.port, self._limit(), first) as wire:
                    outcome = session.run(wire, self._backoff.answer_s)
                    if isinstance(outcome, Withdrawn) and self._handler.round == 0:
                        self._delete_record(session, wire)
                    return outcome
            except FAILURES as error:
                self._pause_or_raise(_with_reason(error), "")
                session.join = session.join.reconnected()

    def _delete_record(self, session: Session, wire: Wire) -> None:
        assert isinstance(session.join, MasterJoin)
        with suppress(*FAILURES):
            wire.ask(session.join.ask_to_close().operations, self._deadline + _AFTERWARDS_S)

    def _serve(self) -> BoundedStore:
        handler = self._handler
        if handler._bounded_store is None:
            try:
                serve(handler, self._deadline)
            except PortTaken as error:
                raise self._errors.port_taken(error, holder(handler.master_port)) from error
        bounded = handler._bounded_store
        if bounded is None:
            raise TimedOut("the server, because the handler was shut down")
        return bounded

    # A worker.

    def join_as_worker(self) -> Joined:
        """Find the store and the run, and join it, over as many connections as it takes."""
        join = WorkerJoin(self._participant)
        session = Session(join, self._deadline, self._prepare, lambda: self._handler._is_shut_down)
        while True:
            self._try_begun = time.monotonic()
            try:
                with self._connect() as wire:
                    outcome = session.run(wire, self._backoff.answer_s)
                    self._raise_if_run_is_absent(outcome, session, wire)
                return self._joined(outcome, session.join)
            except FAILURES as error:
                late = self._pause_or_withdraw(error, session)
                if late is not None:
                    return self._joined(late, session.join)

    def _connect(self) -> Wire:
        # The greeting only: with more bytes after it, a link that sends in pieces of 5 bytes ended the join (F01).
        limit = self._limit()
        addresses = resolve(self._handler.master_addr, min(limit, time.monotonic() + self._backoff.connect_s))
        return connect_any(addresses, self._handler.master_port, limit, self._backoff.connect_s)

    def _prepare(self, join: WorkerJoin, wire: Wire) -> None:
        """Have a live store of this incarnation, at the address where the server has just answered."""
        handler, bounded = self._handler, self._handler._bounded_store
        is_same = handler._incarnation == join.incarnation and not join.again
        if bounded is not None and is_same and bounded.answers_at(wire.address, self._deadline):
            return
        handler._bounded_store = None
        begun = time.monotonic()
        try:
            connected = make_store(
                wire.address, handler.master_port, handler.timeout, self._deadline, self._backoff.store_s
            )
        except RuntimeError as error:
            self._backoff.grow_for_store(time.monotonic() - begun)
            raise unreachable(error) from error
        handler._bounded_store, handler._incarnation = BoundedStore(connected), join.incarnation

    def _raise_if_run_is_absent(self, outcome: Outcome, session: Session, wire: Wire) -> None:
        """At the deadline, if the run was never found, raise an error with the runs that are open."""
        if not isinstance(outcome, Withdrawn) or session.join.may_have_claimed or self._handler._is_shut_down:
            return
        runs: List[str] = []
        with suppress(*FAILURES):
            wire.cancel_wait(self._deadline + _AFTERWARDS_S)
            runs = runs_at(wire, self._deadline + _AFTERWARDS_S)
        there = f"runs there: {', '.join(map(repr, runs))}" if runs else "no run is open there"
        raise self._errors.timed_out(f"rank 0 to open run {self._handler.run_id!r}; {there}")

    def _pause_or_withdraw(self, error: Exception, session: Session) -> Optional[Outcome]:
        join = session.join
        if self._must_end() and join.may_have_claimed:
            outcome = self._withdraw_anew(session)
            if isinstance(outcome, (Joined, Refused)):
                return outcome
        self._pause_or_raise(error, f"had joined round {join.round}" if join.may_have_claimed else "")
        session.join = join.reconnected()
        return None

    def _withdraw_anew(self, session: Session) -> Optional[Outcome]:
        """Over a new connection: the last chance to withdraw the join, or to learn that the round is whole."""
        limit = self._deadline + _AFTERWARDS_S
        with suppress(*FAILURES):
            addresses = resolve(self._handler.master_addr, limit)
            with connect_any(addresses, self._handler.master_port, limit) as wire:
                return session.withdraw(wire, waiting=False)
        return None

    # Both.

    def _joined(self, outcome: Outcome, join: Join) -> Joined:
        if isinstance(outcome, Joined):
            return outcome
        if isinstance(outcome, Refused):
            self._handler._is_closed = self._handler._is_closed or outcome.closed
            raise self._errors.refused(outcome)
        if self._handler._is_shut_down:
            raise self._errors.closed(_SHUT_DOWN)
        whole = max(0, join.round - 1)
        raise self._errors.withdrawn(outcome, 0 if whole == self._handler.round else whole)

    def _limit(self) -> float:
        return min(self._deadline, time.monotonic() + self._backoff.answer_s)

    def _must_end(self) -> bool:
        return time.monotonic() + self._backoff.pause_s >= self._deadline or self._handler._is_shut_down

    def _pause_or_raise(self, error: Exception, phase: str) -> None:
        """Pause before the next try; at the deadline, and not before, raise the error of the last one.

        A try for which too little time was left has no error of its own.
        """
        is_short = isinstance(error, TimedOut) and time.monotonic() - self._try_begun < _SHORT_TRY_S
        self._last_error = self._last_error if is_short and self._last_error is not None else error
        if self._handler._is_shut_down:
            raise self._errors.closed(_SHUT_DOWN)
        if self._must_end():
            time.sleep(max(0.0, self._deadline - time.monotonic()))
            raise self._errors.failed(self._last_error, phase)
        time.sleep(self._backoff.pause_s)
        self._backoff.grow(error)


def _with_reason(error: Exception) -> Exception:
    """Why a master cannot connect to its own server, which closes a connection that it has no descriptor to accept."""
    return Unreachable(TOO_MANY_OPEN) if isinstance(error, Unreachable) and not can_open(_BOTH_ENDS) else error


def create_rdzv_handler(params: RendezvousParameters) -> StaticTCPRendezvous:
    """A handler for torchrun's parameters; `rank` and `timeout` are options of the configuration.

    Raises ValueError, like stock, for a missing parameter, and for invalid arguments.
    """
    if "rank" not in params.config:
        raise ValueError("rank is absent in RendezvousParameters. Try add --rdzv-conf rank=R to the cmd request")
    master_addr, master_port = arguments.endpoint_of(params.endpoint)
    timeout = params.config.get("timeout", _DEFAULT_TIMEOUT_S)
    return StaticTCPRendezvous(
        master_addr, master_port, params.config["rank"], params.max_nodes, params.run_id, timeout
    )
