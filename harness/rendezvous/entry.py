"""The entry point of `static-strict` in the group `torchrun.handlers`, by which torchrun finds it.

Every process that imports torch's rendezvous loads this module, and reports an exception here only as a warning. So
nothing but the standard library is imported before a handler is created.
"""

from __future__ import annotations

from typing import Any, Callable

from . import BACKEND


def get_handler() -> Callable[[Any], Any]:
    """The entry point: returns the function that creates handlers."""
    return create_handler


def create_handler(params: Any) -> Any:
    """A handler for torch's RendezvousParameters; raises ValueError for invalid arguments."""
    from .static import create_rdzv_handler

    return create_rdzv_handler(params)


def register() -> None:
    """Register the backend in this process, where no installed package does it; may be called twice."""
    from torch.distributed.elastic.rendezvous import rendezvous_handler_registry

    rendezvous_handler_registry.register(BACKEND, create_handler)
