"""Construct torch's TCPStore within a deadline, which its own constructor does not keep."""

from __future__ import annotations

import datetime
import threading
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from torch.distributed import TCPStore

from .backoff import LONGEST_TRY_S
from .descriptors import (
    TOO_MANY_OPEN,
    Descriptor,
    appeared,
    can_open,
    connected_to,
    listening,
    sockets,
)
from .failures import PortTaken, TimedOut
from .port import check_free, own_address, was_released
from .resolve import Address
from .timers import timers

# One constructor at a time in a process, so that the sockets that appear meanwhile are its own, as far as we make them.
_ONE_AT_A_TIME = threading.Lock()
_GREETING_BYTES = 4
_CUT_EVERY_S = 0.02
# With fewer descriptors, torch's server may end the process by signal 6 (F42): the event loop opens an epoll
# descriptor, one for io_uring where the kernel and libuv have it, and the two of a pipe, without which libuv aborts.
# Only the first loop of a process opens that pipe. Measured: torch 2.6 ends with one or two left, 2.15 with one to
# three. A join has no use for fewer either: it takes both ends of its own connection and of the store's.
_FOR_A_LOOP = 4
# What a first server and its own client open: these four, another pipe, an eventfd, a spare descriptor, the listening
# socket, and both ends of the connection. Measured with torch 2.15; 2.6 opens no io_uring.
_FOR_A_SERVER = 11


@dataclass(frozen=True)
class ConnectedStore:
    """A TCPStore with the socket of its one connection; None if it could not be identified."""

    store: Any
    socket: Optional[Descriptor]
    address: Address
    port: int


def make_server(
    host: str, port: int, timeout: datetime.timedelta, deadline: float, alone: bool = False
) -> ConnectedStore:
    """A TCPStore that serves the port; unless `alone`, it may share a server that this process has there already.

    A server whose port was released lives on as long as its last store, and torch would share it although nobody can
    reach it. So the next server at such a port is one that torch does not share, and further stores of this process
    are its clients, which must keep the store of the server alive.

    Raises as `make_store` does, and PortTaken if the port belongs to another process, or if too few descriptors are
    left. If other threads open the last ones just before torch does, it may end the process all the same.
    """
    _take_turn(deadline)
    try:
        check_free(port, host, deadline)
        released = was_released(port)
        is_client = released and not alone and bool(listening(port))
        try:
            own_timeout = _own_timeout(deadline, LONGEST_TRY_S)
            connected = _construct(
                own_address(),
                port,
                timeout,
                deadline,
                own_timeout,
                is_master=not is_client,
                multi_tenant=not (alone or released),
            )
        except RuntimeError as error:
            # Another process may have taken the port since.
            check_free(port, host, deadline)
            if not (is_client or can_open(_FOR_A_SERVER)):
                raise PortTaken(TOO_MANY_OPEN) from error
            raise error
        if not listening(port):
            # To look takes a descriptor, and torch may have opened the last ones.
            raise PortTaken("address already in use" if can_open(1) else TOO_MANY_OPEN)
        return connected
    finally:
        _ONE_AT_A_TIME.release()


def make_store(
    address: Address, port: int, timeout: datetime.timedelta, deadline: float, longest_try_s: float
) -> ConnectedStore:
    """A TCPStore at a numeric address where a live store has just answered.

    The reverse look-up of the peer's address, which the constructor does (F11), cannot be bounded. All else ends at the
    deadline, give or take half a second.

    Args:
        timeout: of the store's operations.
        deadline: when this call must have ended, `time.monotonic`.
        longest_try_s: the longest timeout that torch's constructor gets. Before torch 2.9 it includes the look-up.

    Raises:
        TimedOut: another constructor of this process, or this one, did not end before the deadline.
        RuntimeError: torch's own errors, which all derive from it.
    """
    _take_turn(deadline)
    try:
        own_timeout = _own_timeout(deadline, longest_try_s)
        return _construct(address, port, timeout, deadline, own_timeout, is_master=False, multi_tenant=True)
    finally:
        _ONE_AT_A_TIME.release()


def _take_turn(deadline: float) -> None:
    if not _ONE_AT_A_TIME.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise TimedOut("another store of this process to be made")


def _construct(
    address: Address,
    port: int,
    timeout: datetime.timedelta,
    deadline: float,
    own_timeout: datetime.timedelta,
    **options: Any,
) -> ConnectedStore:
    before = sockets()
    running = timers()
    number = running.add(deadline, lambda: _cut_unanswered(address, port, before))
    try:
        if options["is_master"] and not can_open(_FOR_A_LOOP):
            raise PortTaken(TOO_MANY_OPEN)
        store = TCPStore(address[1], port, timeout=own_timeout, wait_for_workers=False, **options)
        socket = _socket_of(store, address, port, appeared(before))
    finally:
        running.cancel(number)
    store.set_timeout(timeout)
    return ConnectedStore(store, socket, address, port)


def _own_timeout(deadline: float, longest_try_s: float) -> datetime.timedelta:
    """The timeout that torch's constructor gets.

    Its pauses between two tries grow by half each time and are not cut short at its timeout: it may take two and a half
    times as long (F12). The connection itself is accepted by a kernel that has just answered.
    """
    left = deadline - time.monotonic()
    return datetime.timedelta(milliseconds=max(50, int(1000 * min(longest_try_s, left / 2.5))))


def _cut_unanswered(address: Address, port: int, before: Dict[int, int]) -> Optional[float]:
    """Cut what the constructor waits on: a new connection to this endpoint whose greeting has no answer.

    If another constructor in the process waits on the same silent endpoint at that time, it loses a connection that
    torch itself opens again.
    """
    for one in connected_to(address[1], port, appeared(before)):
        if one.received_bytes() < _GREETING_BYTES:
            one.cut()
    return time.monotonic() + _CUT_EVERY_S


def _socket_of(store: Any, address: Address, port: int, new: List[Descriptor]) -> Optional[Descriptor]:
    """The socket of the store's own connection; of several candidates the only one that a call of the store writes to.

    None if that is not exactly one.
    """
    candidates = new if len(new) == 1 else connected_to(address[1], port, new)
    if len(candidates) == 1:
        return candidates[0]
    sent = [one.written_bytes() for one in candidates]
    store.check(["+?"])
    busy = [one for one, count in zip(candidates, sent) if one.written_bytes() != count]
    return busy[0] if len(busy) == 1 else None
