"""Any backend of torch's rendezvous registry, built as torchrun builds it."""

from __future__ import annotations

import gc
import hashlib
import importlib
import sys
import weakref
from typing import Any, Dict, FrozenSet

from harness.rank.listeners import inodes_now, listeners_since
from harness.values.endpoint import Endpoint
from harness.values.plan import HandlerPlan

_RENDEZVOUS = "torch.distributed.elastic.rendezvous"
# Where torch takes entry points from.
_METADATA = "importlib.metadata" if sys.version_info >= (3, 10) else "importlib_metadata"
STATIC, OURS = "static", "static-strict"
_LONGEST_LIST = 16


def preload() -> None:
    """Import torch and its rendezvous, but no out-of-tree handler: for a process that is forked into ranks.

    Torch loads the entry points when its rendezvous package is imported. Third-party code may start threads or open
    sockets, which a process must not have when it forks. Each rank loads the entry points itself if it needs one.
    """
    if _RENDEZVOUS in sys.modules:
        return
    # Imported before the entry points are hidden, because torch has some of its own.
    importlib.import_module("torch.distributed")
    metadata: Any = importlib.import_module(_METADATA)
    real = metadata.entry_points
    metadata.entry_points = lambda **_selection: {}
    try:
        registry = importlib.import_module(f"{_RENDEZVOUS}.registry")
    finally:
        metadata.entry_points = real
    registry.entry_points = real  # type: ignore[attr-defined]
    importlib.import_module(f"{_RENDEZVOUS}.static_tcp_rendezvous")
    importlib.import_module("harness.rendezvous.static")
    # Compiles torch's regular expressions once here instead of once in each rank.
    importlib.import_module(f"{_RENDEZVOUS}.utils").parse_rendezvous_endpoint("localhost:1", -1)


class RendezvousSubject:
    """A backend by its registered name."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def prepare(self) -> Dict[str, Any]:
        """Raises ValueError, with the registered names, if the backend is not registered."""
        preload()
        import torch

        if not _is_registered(self._backend):
            raise ValueError(
                f"torch {torch.__version__} has no rendezvous backend {self._backend!r}; "
                f"registered: {', '.join(sorted(registered()))}. "
                "Install the package that provides it for the interpreter of the ranks"
            )
        return {"torch": str(torch.__version__), "torch_file": torch.__file__}

    def open(self, plan: HandlerPlan) -> TorchHandler:
        return TorchHandler(self._backend, plan)


def _is_registered(backend: str) -> bool:
    """Whether torch knows the backend; out-of-tree handlers are loaded only if it may be one of them."""
    if backend in registered():
        return True
    if backend == OURS:
        # Registered here, because the harness need not be installed where ranks run.
        importlib.import_module("harness.rendezvous.entry").register()
        return True
    registry: Any = importlib.import_module(f"{_RENDEZVOUS}.registry")
    installed = {entry.name for entry in registry.entry_points(group="torchrun.handlers")}
    # Torch raises if one is registered twice, and a process that was not forked has loaded them with torch.
    if not installed <= registered().keys():
        registry._register_out_of_tree_handlers()
    return backend in registered()


def registered() -> Dict[str, Any]:
    """Torch's registry: by the name of the backend, the function that makes a handler from parameters."""
    package: Any = importlib.import_module(_RENDEZVOUS)
    known: Dict[str, Any] = package.rendezvous_handler_registry._registry
    return known


class TorchHandler:
    """A handler of torch's registry, with the newest store that it returned."""

    def __init__(self, backend: str, plan: HandlerPlan) -> None:
        from torch.distributed.elastic.rendezvous import RendezvousParameters
        from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

        self._plan = plan
        self.store: Any = None
        self._handler: Any = get_rendezvous_handler(
            RendezvousParameters(
                backend=backend,
                endpoint=str(Endpoint(plan.host, plan.port)),
                run_id=plan.run_id,
                min_nodes=plan.world_size,
                max_nodes=plan.world_size,
                **torchrun_config(backend, plan),
            )
        )

    def join(self) -> Dict[str, Any]:
        before = listeners_of_master(self._plan)
        info = self._handler.next_rendezvous()
        self.store = info.store
        return facts_of(info, self._handler, self._plan, before)

    def shutdown(self) -> bool:
        return bool(self._handler.shutdown())

    def set_closed(self) -> None:
        self._handler.set_closed()

    def is_closed(self) -> bool:
        return bool(self._handler.is_closed())

    def release(self) -> None:
        handler = weakref.ref(self._handler)
        self.store = None
        self._handler = None
        if handler() is not None:
            # A reference cycle holds it. A collection takes time, so it is done only then.
            gc.collect()


def listeners_of_master(plan: HandlerPlan) -> FrozenSet[int]:
    """The listening sockets of the master's process, to be given to `facts_of`; of no other."""
    return inodes_now() if plan.rank == 0 else frozenset()


def facts_of(info: Any, handler: Any, plan: HandlerPlan, before: FrozenSet[int]) -> Dict[str, Any]:
    """What a rendezvous returned, as JSON; on the master with the listening sockets of the process.

    Args:
        before: the inodes of those that were there when the rendezvous began.
    """
    value = {"rank": info.rank, "world_size": info.world_size}
    address = getattr(info, "bootstrap_store_info", None)
    if address is not None:
        value.update(master_addr=address.master_addr, master_port=address.master_port)
    for name in ("round", "roster"):
        reported = getattr(info, name, getattr(handler, name, None))
        if reported is not None:
            value[name] = _brief(reported)
    if plan.rank == 0:
        value.update(listeners_since(before))
    return value


def _brief(reported: Any) -> Any:
    """A long list as a digest: each rank records it, so the history would grow with the square of the world size."""
    if not isinstance(reported, list) or len(reported) <= _LONGEST_LIST:
        return reported
    # Not SHA-256: that is OpenSSL's, and each rank would touch some fifteen pages of it for this alone.
    digest = hashlib.blake2b("\n".join(map(str, reported)).encode(), digest_size=8).hexdigest()
    return f"{len(reported)} names, blake2b {digest}"


def torchrun_config(backend: str, plan: HandlerPlan) -> Dict[str, Any]:
    """The configuration that torchrun passes to a handler: the rank as a number for `static`, as text for others."""
    rank = plan.rank if backend == STATIC else str(plan.rank)
    return {"timeout": plan.timeout_ns // 1_000_000_000, "rank": rank, **plan.config}
