"""How torchrun finds `static-strict`: the entry point of the group `torchrun.handlers`.

Every process that imports torch's rendezvous loads this module, and an exception here is no more than a warning there:
nothing but the standard library is imported before a handler is asked for.
"""

from __future__ import annotations

from typing import Any, Callable

BACKEND = "static-strict"


def get_handler() -> Callable[[Any], Any]:
    """What the entry point names: returns the creator of handlers."""
    return create_handler


def create_handler(params: Any) -> Any:
    """A handler for torch's RendezvousParameters; raises ValueError for arguments that cannot be meant."""
    from harness.rendezvous.static import create_rdzv_handler

    return create_rdzv_handler(params)


def register() -> None:
    """Make the backend known to torch in this process, where no installed package does it; may be called twice."""
    from torch.distributed.elastic.rendezvous import rendezvous_handler_registry

    rendezvous_handler_registry.register(BACKEND, create_handler)
