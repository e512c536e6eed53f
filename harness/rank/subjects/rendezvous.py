"""Any backend of torch's rendezvous registry, built as torchrun builds it."""

from __future__ import annotations

import gc
import hashlib
import importlib
import sys
import weakref
from typing import Any, Dict

from harness.rank.listeners import listening_sockets
from harness.values.endpoint import Endpoint
from harness.values.plan import HandlerPlan

_RENDEZVOUS = "torch.distributed.elastic.rendezvous"
# Where torch takes entry points from.
_METADATA = "importlib.metadata" if sys.version_info >= (3, 10) else "importlib_metadata"
STATIC, OURS = "static", "static-strict"
_LONGEST_LIST = 16


def preload() -> None:
    """Import torch and its rendezvous, but no out-of-tree handler: for a process that others are forked from.

    Torch loads the entry points while its rendezvous package is imported; third-party code may start threads or open
    sockets, which a process that is to be forked must not. Each rank loads them itself if it needs one.
    """
    if _RENDEZVOUS in sys.modules:
        return
    # Before the entry points are hidden: torch has some of its own.
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
    # Compiles torch's regular expressions once instead of once a rank.
    importlib.import_module(f"{_RENDEZVOUS}.utils").parse_rendezvous_endpoint("localhost:1", -1)


class RendezvousSubject:
    """A backend by its registered name."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def prepare(self) -> Dict[str, Any]:
        """Raises ValueError, with the names that are registered, if the backend is not."""
        preload()
        import torch

        if not _is_registered(self._backend):
            raise ValueError(
                f"torch {torch.__version__} has no rendezvous backend {self._backend!r}; "
                f"registered: {', '.join(sorted(registered()))}. "
                "Install the package that brings it for the interpreter of the ranks"
            )
        return {"torch": str(torch.__version__), "torch_file": torch.__file__}

    def open(self, told: HandlerPlan) -> TorchHandler:
        return TorchHandler(self._backend, told)


def _is_registered(backend: str) -> bool:
    """Whether torch knows the backend; those from outside its tree are loaded only if it may be one of them."""
    if backend in registered():
        return True
    if backend == OURS:
        # By hand: the harness need not be installed where ranks run.
        importlib.import_module("harness.rendezvous.entry").register()
        return True
    registry: Any = importlib.import_module(f"{_RENDEZVOUS}.registry")
    installed = {entry.name for entry in registry.entry_points(group="torchrun.handlers")}
    # Registering one twice makes torch complain, and a process that was not forked has loaded them with torch.
    if not installed <= registered().keys():
        registry._register_out_of_tree_handlers()
    return backend in registered()


def registered() -> Dict[str, Any]:
    """What torch's registry holds, by the name of the backend: what makes a handler of parameters."""
    package: Any = importlib.import_module(_RENDEZVOUS)
    known: Dict[str, Any] = package.rendezvous_handler_registry._registry
    return known


class TorchHandler:
    """A handler of torch's registry, with the newest store that it returned."""

    def __init__(self, backend: str, told: HandlerPlan) -> None:
        from torch.distributed.elastic.rendezvous import RendezvousParameters
        from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

        self._told = told
        self.store: Any = None
        self._handler: Any = get_rendezvous_handler(
            RendezvousParameters(
                backend=backend,
                endpoint=str(Endpoint(told.host, told.port)),
                run_id=told.run_id,
                min_nodes=told.world_size,
                max_nodes=told.world_size,
                **torchrun_config(backend, told),
            )
        )

    def join(self) -> Dict[str, Any]:
        info = self._handler.next_rendezvous()
        self.store = info.store
        return facts_of(info, self._handler, self._told)

    def shutdown(self) -> bool:
        return bool(self._handler.shutdown())

    def set_closed(self) -> None:
        self._handler.set_closed()

    def is_closed(self) -> bool:
        return bool(self._handler.is_closed())

    def release(self) -> None:
        trace = weakref.ref(self._handler)
        self.store = None
        self._handler = None
        if trace() is not None:
            # Somebody holds it in a cycle; only then is the price of a collection paid.
            gc.collect()


def facts_of(info: Any, handler: Any, told: HandlerPlan) -> Dict[str, Any]:
    """What a rendezvous returned, as JSON; of who is told rank 0 with the listening sockets of the process."""
    value = {"rank": info.rank, "world_size": info.world_size}
    address = getattr(info, "bootstrap_store_info", None)
    if address is not None:
        value.update(master_addr=address.master_addr, master_port=address.master_port)
    for name in ("round", "roster"):
        reported = getattr(info, name, getattr(handler, name, None))
        if reported is not None:
            value[name] = _brief(reported)
    if told.rank == 0:
        value["listeners"] = listening_sockets()
    return value


def _brief(reported: Any) -> Any:
    """A long list as a digest: each rank of a world tells it, so that the whole would grow with the square of it."""
    if not isinstance(reported, list) or len(reported) <= _LONGEST_LIST:
        return reported
    # Not SHA-256: that is OpenSSL's, some fifteen pages of which each rank would touch for this alone.
    digest = hashlib.blake2b("\n".join(map(str, reported)).encode(), digest_size=8).hexdigest()
    return f"{len(reported)} names, blake2b {digest}"


def torchrun_config(backend: str, told: HandlerPlan) -> Dict[str, Any]:
    """What torchrun hands on beside the parameters: the rank of `static` as a number, of others as text."""
    rank = told.rank if backend == STATIC else str(told.rank)
    return {"timeout": told.timeout_ns // 1_000_000_000, "rank": rank, **told.config}
