"""The masters of this process: the handlers of rank 0 that have served a port, some of them the same one."""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import contextmanager
from typing import Any, Iterator, List

from . import port
from .construct import make_server
from .failures import TimedOut
from .join_errors import unreachable
from .store import BoundedStore

_masters: weakref.WeakSet[Any] = weakref.WeakSet()
_ONE_AT_A_TIME = threading.Lock()
_LET_GO_S = 1.0
"""So long a master waits to let its port go, if another one begins to serve meanwhile."""


def serve(handler: Any, deadline: float) -> None:
    """Give a master its store: it serves the port, or shares a server that another master of this process has there.

    No other master lets the port go meanwhile, since that would end the server that this one is about to share.

    Raises as `make_server` does, but Unreachable in place of torch's own errors; TimedOut also if another master began
    or ended until the deadline (`time.monotonic`).
    """
    with _alone(deadline) as is_alone:
        if not is_alone:
            raise TimedOut("another master of this process to begin or to end")
        endpoint = (handler.master_addr, handler.master_port)
        try:
            server = make_server(*endpoint, handler.timeout, deadline, handler._is_agent_store)
        except RuntimeError as error:
            raise unreachable(error) from error
        handler._bounded_store = BoundedStore(server)
        handler._kept = _held_by_others(handler)
        _masters.add(handler)


def let_go(handler: Any, because: str) -> bool:
    """End a master's store, and free the port unless another master serves it; false if it stays bound."""
    with _alone(time.monotonic() + _LET_GO_S):
        bounded, handler._bounded_store = handler._bounded_store, None
        if bounded is None or is_shared(handler):
            return True
        bounded.end(because)
        remaining = [weakref.ref(one) for one in (bounded, *handler._kept)]
        del bounded
        handler._kept.clear()
        # Torch's server ends by itself with its last store.
        return all(one() is None for one in remaining) or port.release(handler.master_port)


def release(handler: Any) -> None:
    """Free a master's port, so that it serves another store there, unless another master serves it."""
    with _alone(time.monotonic() + _LET_GO_S):
        if not is_shared(handler):
            port.release(handler.master_port)
            handler._bounded_store = None


def is_shared(handler: Any) -> bool:
    """Whether another master still serves the port of this one."""
    return any(one._bounded_store is not None for one in _others(handler))


def _others(handler: Any) -> List[Any]:
    """The other masters at the port of this one."""
    return [one for one in _masters if one is not handler and one.master_port == handler.master_port]


def _held_by_others(handler: Any) -> List[Any]:
    """The stores of the others, of which one may be that of the server; it must live as long as a client of it."""
    return [held for one in _others(handler) for held in (one._bounded_store, *one._kept) if held is not None]


@contextmanager
def _alone(deadline: float) -> Iterator[bool]:
    """Whether no other thread begins or ends to serve meanwhile; waits for that until the deadline."""
    is_alone = _ONE_AT_A_TIME.acquire(timeout=max(0.0, deadline - time.monotonic()))
    try:
        yield is_alone
    finally:
        if is_alone:
            _ONE_AT_A_TIME.release()
