"""The handler: torch's static rendezvous by its interface, with a join that keeps its promises."""

from __future__ import annotations

import datetime
import os
import socket
import time
import weakref
from contextlib import suppress
from typing import Any, List, Optional

from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
)

from harness.rendezvous import arguments, keys, port
from harness.rendezvous.construct import make_server, make_store
from harness.rendezvous.entry import BACKEND
from harness.rendezvous.failures import Held, Silent
from harness.rendezvous.holders import holder
from harness.rendezvous.join_errors import JoinErrors, unreachable
from harness.rendezvous.joiner import Joiner
from harness.rendezvous.keeper import Keeper
from harness.rendezvous.patience import Patience
from harness.rendezvous.protocol import Joined, Left, Outcome, Refused, Seat
from harness.rendezvous.resolve import resolve
from harness.rendezvous.session import FAILURES, Session, close_run, opened_anew, runs_at
from harness.rendezvous.store import Line, StrictStore
from harness.rendezvous.wire import Wire, connect_any

__all__ = ["StaticTCPRendezvous", "create_rdzv_handler"]

_DEFAULT_TIMEOUT_S = 600
_SHORT_TRY_S = 0.5
_AFTERWARDS_S = 0.7
_ASIDE_S = 1.0

_masters: weakref.WeakSet[StaticTCPRendezvous] = weakref.WeakSet()


class StaticTCPRendezvous(RendezvousHandler):  # type: ignore[misc]
    """Rank 0 serves a TCPStore at the endpoint, the others come to it; who joins is known by rank, run and round.

    Args:
        master_addr: host of the endpoint; used exactly as given.
        master_port: from 1 to 65535.
        rank: this process's, a whole number or its decimal text.
        world_size: how many ranks there are.
        run_id: any text.
        timeout: seconds above 0, of a join and of each operation of the store.

    Raises ValueError for arguments that cannot be meant.

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
        self._line: Optional[Line] = None
        self._incarnation: Optional[keys.Incarnation] = None
        self._is_closed = False
        self._is_shut = False
        self._is_lent = False
        self._asked_anew = 0.0

    def get_backend(self) -> str:
        """Return the name of the rendezvous backend."""
        return BACKEND

    @property
    def use_agent_store(self) -> bool:
        """The store may be shared with workers, as stock's. An agent asks when it starts them: then it is lent."""
        self._is_lent = True
        return True

    def get_run_id(self) -> str:
        """Return the run id of the rendezvous."""
        return self.run_id

    @property
    def _store(self) -> Any:
        """The TCPStore, under the name by which stock has it; None before the first join and after shutdown."""
        return None if self._line is None else self._line.made.store

    def next_rendezvous(self) -> RendezvousInfo:
        """Join the open round; returns when all ranks have joined it, and at the latest a second after the timeout.

        Raises:
            RendezvousTimeoutError: others, or an answer, did not come in time.
            RendezvousConnectionError: refused, reset, unresolvable; or, on rank 0, the port is held.
            RendezvousStateError: not a store, or one that disagrees on rank or world size.
            RendezvousClosedError: the run was closed, or this handler shut down.
        """
        begun = time.monotonic()
        timeout_s = self.timeout.total_seconds()
        endpoint = f"[{self.master_addr}]" if ":" in self.master_addr else self.master_addr
        teller = JoinErrors(f"{endpoint}:{self.master_port}", self.rank, self.run_id, timeout_s, begun)
        if self._is_shut or self._is_closed:
            raise teller.closed("the handler was shut down" if self._is_shut else f"run {self.run_id!r} was closed")
        call = _Call(self, teller, begun + timeout_s)
        try:
            return self._info(call.as_master() if self.rank == 0 else call.as_worker())
        finally:
            call.forget()

    def _info(self, joined: Joined) -> RendezvousInfo:
        self.round, self.roster, self._incarnation = joined.round, list(joined.roster), joined.incarnation
        assert self._line is not None
        store = StrictStore(joined.incarnation.prefix(self.run_id, joined.round), self._line)
        where = RendezvousStoreInfo(self.master_addr, self.master_port)
        return RendezvousInfo(store, self.rank, self.world_size, where)

    def num_nodes_waiting(self) -> int:
        """How many ranks have come to join the next round; torchrun restarts its workers to join it too."""
        late = self._peek(lambda found: found.round(self.round + 1).late)
        if late is None:
            return 1 if self._was_opened_anew() else 0
        return len(set(late.split()))

    def _was_opened_anew(self) -> bool:
        """Whether rank 0, whose server no longer answers here, has opened the run on another; asked once a second."""
        now = time.monotonic()
        if self._is_shut or self._incarnation is None or now < self._asked_anew + _ASIDE_S:
            return False
        self._asked_anew = now
        return opened_anew(self.master_addr, self.master_port, self.run_id, self._incarnation, now + _ASIDE_S)

    def is_closed(self) -> bool:
        """Whether this run was closed by any of its ranks, as far as the server can be asked."""
        self._is_closed = self._is_closed or bool(self._peek(lambda found: found.closed))
        return self._is_closed

    def set_closed(self) -> None:
        """Close the run for everybody: who joins it, now or later, is told so. Takes a second at most."""
        self._is_closed = True
        if self._line is None or self._incarnation is None:
            return
        made, deadline = self._line.made, time.monotonic() + _ASIDE_S
        with suppress(*FAILURES), Wire(made.address, made.port, deadline) as wire:
            close_run(wire, self._incarnation, self.round + 1, self.world_size, deadline)

    def _peek(self, key: Any) -> Optional[str]:
        """What a key of the run holds, empty if it is missing; None if the server cannot be asked."""
        line, incarnation = self._line, self._incarnation
        if line is None or incarnation is None:
            return None
        name = key(incarnation)
        try:
            with line.bounded("check", self.timeout.total_seconds()):
                store = line.made.store
                return str(store.get(name).decode()) if store.check([name]) else ""
        except RuntimeError:
            return None

    def _take_back(self) -> None:
        """Let go of a server that was lent, so that the next round gets a fresh one at the port.

        An agent's workers keep keys there under no prefix: those of the next round would take them for their own (F25).
        """
        if self._is_lent and self._line is not None and not self._is_shared() and not self.is_closed():
            port.release(self.master_port)
            self._line = None

    def shutdown(self) -> bool:
        """Let go of the connection and, on rank 0, of the port, unless another handler of this process serves there."""
        self._is_shut = True
        line, self._line = self._line, None
        if line is None:
            return True
        own, left = line.made.line, weakref.ref(line)
        del line
        if self.rank == 0:
            # With the last store goes torch's server, by itself.
            if left() is not None and not self._is_shared():
                port.release(self.master_port)
        elif own is not None:
            own.cut()
        return True

    def _is_shared(self) -> bool:
        others = (one for one in _masters if one is not self and one.master_port == self.master_port)
        return any(one._line is not None for one in others)


class _Call:
    """One call of next_rendezvous."""

    def __init__(self, handler: StaticTCPRendezvous, teller: JoinErrors, deadline: float) -> None:
        self._handler = handler
        self._teller = teller
        self._deadline = deadline
        self._patience = Patience(teller.timeout_s)
        self._last: Optional[Exception] = None
        self._begun_try = 0.0
        who = f"{socket.gethostname()}:{os.getpid()}".replace(" ", "_").replace("\n", "_")
        nonce = os.urandom(5).hex()
        self._seat = Seat(handler.run_id, handler.rank, handler.world_size, nonce, who)

    def forget(self) -> None:
        """An error knows this call, and must not be known by it: the circle would keep the store."""
        self._last = None

    # The master.

    def as_master(self) -> Joined:
        """Serve, open the run, and gather everybody; a first round that fails lets go of the port."""
        handler = self._handler
        handler._take_back()
        is_first = handler._incarnation is None or handler._line is None
        found = keys.Incarnation.new() if is_first else handler._incarnation
        assert found is not None
        keeper = Keeper(self._seat, found, handler.round + 1)
        session = Session(keeper, self._deadline, lambda joiner, wire: None, lambda: handler._is_shut)
        try:
            return self._joined(self._gather(session))
        except BaseException:
            if is_first:
                handler._line = None
            raise

    def _gather(self, session: Session) -> Outcome:
        while True:
            self._begun_try = time.monotonic()
            try:
                line = self._serve()
                first = session.machine.ask().operations
                with Wire(line.made.address, line.made.port, self._limit(), first) as wire:
                    outcome = session.over(wire, self._patience.answer_s)
                    if isinstance(outcome, Left) and self._handler.round == 0:
                        self._withdraw(session, wire)
                    return outcome
            except FAILURES as error:
                self._pause_or_raise(error, "")
                session.machine = session.machine.reconnected()

    def _withdraw(self, session: Session, wire: Wire) -> None:
        assert isinstance(session.machine, Keeper)
        with suppress(*FAILURES):
            wire.ask(session.machine.ask_to_close().operations, self._deadline + _AFTERWARDS_S)

    def _serve(self) -> Line:
        handler = self._handler
        if handler._line is None:
            try:
                where = (handler.master_addr, handler.master_port)
                handler._line = Line(make_server(*where, handler.timeout, self._deadline, handler._is_lent))
            except Held as error:
                raise self._teller.held(error, holder(handler.master_port)) from error
            except RuntimeError as error:
                raise unreachable(error) from error
            _masters.add(handler)
        return handler._line

    # A worker.

    def as_worker(self) -> Joined:
        """Find the store and the run, and join it, over as many connections as it takes."""
        session = Session(Joiner(self._seat), self._deadline, self._prepare, lambda: self._handler._is_shut)
        while True:
            self._begun_try = time.monotonic()
            try:
                with self._meet() as wire:
                    outcome = session.over(wire, self._patience.answer_s)
                    self._tell_if_absent(outcome, session, wire)
                return self._joined(outcome)
            except FAILURES as error:
                late = self._pause_or_leave(error, session)
                if late is not None:
                    return self._joined(late)

    def _meet(self) -> Wire:
        # The greeting alone: with more behind it, a link that sends in pieces of 5 bytes ended the join (F01).
        limit = self._limit()
        addresses = resolve(self._handler.master_addr, min(limit, time.monotonic() + self._patience.connect_s))
        return connect_any(addresses, self._handler.master_port, limit, self._patience.connect_s)

    def _prepare(self, joiner: Joiner, wire: Wire) -> None:
        """Have a live store of this incarnation, at the address where it was just met."""
        handler, line = self._handler, self._handler._line
        is_same = handler._incarnation == joiner.incarnation and not joiner.again
        if line is not None and is_same and line.leads_to(wire.address, self._deadline):
            return
        handler._line = None
        begun = time.monotonic()
        try:
            made = make_store(
                wire.address, handler.master_port, handler.timeout, self._deadline, self._patience.store_s
            )
        except RuntimeError as error:
            self._patience.grow_for_store(time.monotonic() - begun)
            raise unreachable(error) from error
        handler._line, handler._incarnation = Line(made), joiner.incarnation

    def _tell_if_absent(self, outcome: Outcome, session: Session, wire: Wire) -> None:
        """At the deadline, raise with the runs that are there if ours is not."""
        machine = session.machine
        if not isinstance(outcome, Left) or (isinstance(machine, Joiner) and machine.may_have_claimed):
            return
        if self._handler._is_shut:
            return
        runs: List[str] = []
        with suppress(*FAILURES):
            wire.cancel_wait(self._deadline + _AFTERWARDS_S)
            runs = runs_at(wire, self._deadline + _AFTERWARDS_S)
        there = f"runs there: {', '.join(map(repr, runs))}" if runs else "no run is open there"
        raise self._teller.late(f"rank 0 to open run {self._handler.run_id!r}; {there}")

    def _pause_or_leave(self, error: Exception, session: Session) -> Optional[Outcome]:
        machine = session.machine
        assert isinstance(machine, Joiner)
        phase = f"had joined round {machine.round}" if machine.may_have_claimed else ""
        if self._must_end() and machine.may_have_claimed:
            outcome = self._leave_anew(session)
            if isinstance(outcome, (Joined, Refused)):
                return outcome
        self._pause_or_raise(error, phase)
        session.machine = machine.reconnected()
        return None

    def _leave_anew(self, session: Session) -> Optional[Outcome]:
        """The last chance to take the join back, or to learn that the round is whole."""
        limit = self._deadline + _AFTERWARDS_S
        with suppress(*FAILURES):
            addresses = resolve(self._handler.master_addr, limit)
            with connect_any(addresses, self._handler.master_port, limit) as wire:
                return session.leave_anew(wire)
        return None

    # Both.

    def _joined(self, outcome: Outcome) -> Joined:
        if isinstance(outcome, Joined):
            return outcome
        if isinstance(outcome, Refused):
            raise self._teller.refused(outcome)
        if self._handler._is_shut:
            raise self._teller.closed("the handler was shut down")
        raise self._teller.left(outcome, None)

    def _limit(self) -> float:
        return min(self._deadline, time.monotonic() + self._patience.answer_s)

    def _must_end(self) -> bool:
        return time.monotonic() + self._patience.pause_s >= self._deadline or self._handler._is_shut

    def _pause_or_raise(self, error: Exception, phase: str) -> None:
        """Wait before the next try; at the deadline, and not before, raise what the last one met.

        A try that the deadline left no time for has met nothing.
        """
        is_short = isinstance(error, Silent) and time.monotonic() - self._begun_try < _SHORT_TRY_S
        self._last = self._last if is_short and self._last is not None else error
        if self._handler._is_shut:
            raise self._teller.closed("the handler was shut down")
        if self._must_end():
            time.sleep(max(0.0, self._deadline - time.monotonic()))
            raise self._teller.failed(self._last, phase)
        time.sleep(self._patience.pause_s)
        self._patience.grow(error)


def create_rdzv_handler(params: RendezvousParameters) -> StaticTCPRendezvous:
    """A handler for what torchrun hands on: `rank` and `timeout` are options of the configuration.

    Raises ValueError, as stock does, for what is absent, and for arguments that cannot be meant.
    """
    if "rank" not in params.config:
        raise ValueError("rank is absent in RendezvousParameters. Try add --rdzv-conf rank=R to the cmd request")
    master_addr, master_port = arguments.endpoint_of(params.endpoint)
    timeout = params.config.get("timeout", _DEFAULT_TIMEOUT_S)
    return StaticTCPRendezvous(
        master_addr, master_port, params.config["rank"], params.max_nodes, params.run_id, timeout
    )
