"""The masters of this process: the handlers of rank 0 that have served a port, some of them the same one."""

from __future__ import annotations

import weakref
from typing import Any, List

masters: weakref.WeakSet[Any] = weakref.WeakSet()


def others(handler: Any) -> List[Any]:
    """The other masters at the port of this one."""
    return [one for one in masters if one is not handler and one.master_port == handler.master_port]


def is_shared(handler: Any) -> bool:
    """Whether another one still serves its port."""
    return any(one._bounded_store is not None for one in others(handler))


def held_by_others(handler: Any) -> List[Any]:
    """The stores of the others, of which one may be that of the server; it must live as long as a client of it."""
    return [held for one in others(handler) for held in (one._bounded_store, *one._kept) if held is not None]
