"""Making torch's TCPStore within a deadline that its own constructor does not keep."""

from __future__ import annotations

import datetime
import threading
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from torch.distributed import TCPStore

from harness.rendezvous.descriptors import Descriptor, appeared, leading_to, listening, sockets
from harness.rendezvous.failures import Held, Silent
from harness.rendezvous.patience import LONGEST_TRY_S
from harness.rendezvous.port import check_free, own_address
from harness.rendezvous.resolve import Address
from harness.rendezvous.watch import watch

# Only one constructor at a time in a process: so the sockets that appear meanwhile are its own, as far as we make them.
_ONE_AT_A_TIME = threading.Lock()
_GREETING_BYTES = 4
_CUT_EVERY_S = 0.02


@dataclass(frozen=True)
class Made:
    """A store, and its one connection; None if that could not be told from others."""

    store: Any
    line: Optional[Descriptor]
    address: Address
    port: int


def make_server(host: str, port: int, timeout: datetime.timedelta, deadline: float, alone: bool = False) -> Made:
    """A TCPStore that serves the port, unless `alone` together with those of this process that serve it already.

    A server whose port was taken back lives on as long as its last store, and torch would share it.

    Raises as `make_store` does, and Held if the port is another's.
    """
    _take_turn(deadline)
    try:
        check_free(port, host, deadline)
        try:
            told = _own_timeout(deadline, LONGEST_TRY_S)
            made = _watched(own_address(), port, timeout, deadline, told, is_master=True, multi_tenant=not alone)
        except RuntimeError as error:
            # Somebody was quicker than torch.
            check_free(port, host, deadline)
            raise error
        if not listening(port):
            raise Held("address already in use")
        return made
    finally:
        _ONE_AT_A_TIME.release()


def make_store(address: Address, port: int, timeout: datetime.timedelta, deadline: float, longest_try_s: float) -> Made:
    """A TCPStore at a numeric address where, for a client, a live store has just been met.

    What cannot be bounded: the reverse look-up of the peer's address, which the constructor does (F11). Everything else
    ends at the deadline, give or take half a second.

    Args:
        timeout: what the operations of the store shall keep to.
        deadline: when this call must have ended, `time.monotonic`.
        longest_try_s: what torch's constructor is told at most. Torch before 2.9 counts the look-up into it.

    Raises:
        Silent: another constructor of this process, or this one, did not end before the deadline.
        RuntimeError: torch's own errors; all of its classes derive from it.
    """
    _take_turn(deadline)
    try:
        told = _own_timeout(deadline, longest_try_s)
        return _watched(address, port, timeout, deadline, told, is_master=False, multi_tenant=True)
    finally:
        _ONE_AT_A_TIME.release()


def _take_turn(deadline: float) -> None:
    if not _ONE_AT_A_TIME.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise Silent("another store of this process to be made")


def _watched(
    address: Address, port: int, timeout: datetime.timedelta, deadline: float, told: datetime.timedelta, **how: Any
) -> Made:
    before = sockets()
    guard = watch()
    due = guard.add(deadline, lambda: _cut_unanswered(address, port, before))
    try:
        store = TCPStore(address[1], port, timeout=told, wait_for_workers=False, **how)
        line = _line_of(store, address, port, appeared(before))
    finally:
        guard.withdraw(due)
    store.set_timeout(timeout)
    return Made(store, line, address, port)


def _own_timeout(deadline: float, longest_try_s: float) -> datetime.timedelta:
    """What torch's constructor may be told.

    Its pauses between two tries grow by half each time and are not cut short at its timeout: it may take two and a half
    times as long (F12). The connection itself is made by a kernel that has just answered.
    """
    left = deadline - time.monotonic()
    return datetime.timedelta(milliseconds=max(50, int(1000 * min(longest_try_s, left / 2.5))))


def _cut_unanswered(address: Address, port: int, before: Dict[int, int]) -> Optional[float]:
    """Cut what this call waits on: a connection to this endpoint that was not there, and whose greeting is unanswered.

    Should someone else's constructor meet the same silent endpoint at the same time, it loses a connection that torch
    itself makes again.
    """
    for one in leading_to(address[1], port, appeared(before)):
        if one.received_bytes() < _GREETING_BYTES:
            one.cut()
    return time.monotonic() + _CUT_EVERY_S


def _line_of(store: Any, address: Address, port: int, new: List[Descriptor]) -> Optional[Descriptor]:
    """The store's own connection; where others appeared too, the only one that a question to the store made busy."""
    candidates = new if len(new) == 1 else leading_to(address[1], port, new)
    if len(candidates) == 1:
        return candidates[0]
    sent = [one.written_bytes() for one in candidates]
    store.check(["+?"])
    busy = [one for one, count in zip(candidates, sent) if one.written_bytes() != count]
    return busy[0] if len(busy) == 1 else None
