"""Any backend of torch's rendezvous registry, built as torchrun builds it."""

from __future__ import annotations

import gc
import hashlib
import importlib
import sys
import weakref
from typing import Any, Dict, FrozenSet, Iterable, Optional

from harness.rank.listeners import inodes_now, listeners_since
from harness.values.plan import HandlerPlan

_RENDEZVOUS = "torch.distributed.elastic.rendezvous"
# Where torch takes entry points from.
_METADATA = "importlib.metadata" if sys.version_info >= (3, 10) else "importlib_metadata"
STATIC, OURS = "static", "static-strict"
_LONGEST_LIST = 16


def preload(backend: str = STATIC) -> None:
    """Import torch, its rendezvous, and one backend: what is imported before a rank begins is no join time.

    Torch loads every installed backend when its rendezvous package is imported. Here only the one that is tested is
    loaded, whatever else is installed. Raises what its import raises.
    """
    if _RENDEZVOUS not in sys.modules:
        _preload_torch()
    _register(backend)


def _preload_torch() -> None:
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
        """Raises ValueError if the backend cannot be loaded or, with the names that exist, if there is none."""
        preload()
        import torch

        try:
            _register(self._backend)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"the rendezvous backend {self._backend!r} cannot be loaded: {why}") from error
        if self._backend not in registered():
            known = sorted({*registered(), OURS, *(entry.name for entry in _installed())})
            raise ValueError(
                f"torch {torch.__version__} has no rendezvous backend {self._backend!r}; "
                f"known: {', '.join(known)}. "
                "Install the package that provides it for the interpreter of the ranks"
            )
        return {"torch": str(torch.__version__), "torch_file": torch.__file__}

    def open(self, plan: HandlerPlan) -> TorchHandler:
        return TorchHandler(self._backend, plan)


def _register(backend: str) -> None:
    """Have torch know the backend if it is installed, and no other that is installed beside it."""
    if backend in registered():
        return
    if backend == OURS:
        # Registered here, because the harness need not be installed where ranks run.
        importlib.import_module("harness.rendezvous.entry").register()
        return
    for entry in _installed():
        if entry.name == backend:
            # As torch does: an entry point is a function that returns the function that makes handlers.
            importlib.import_module(_RENDEZVOUS).rendezvous_handler_registry.register(backend, entry.load()())
            return


def _installed() -> Iterable[Any]:
    """The entry points of the backends of other packages."""
    registry: Any = importlib.import_module(f"{_RENDEZVOUS}.registry")
    found: Iterable[Any] = registry.entry_points(group="torchrun.handlers")
    return found


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
                endpoint=plan.given_endpoint,
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

    def num_nodes_waiting(self) -> int:
        return int(self._handler.num_nodes_waiting())

    def release(self) -> None:
        handler = weakref.ref(self._handler)
        self.store = None
        self._handler = None
        if handler() is not None:
            # A reference cycle holds it. A collection takes time, so it is done only then.
            gc.collect()


def listeners_of_master(plan: HandlerPlan) -> Optional[FrozenSet[int]]:
    """The listening sockets of the master's process, to be given to `facts_of`; of no other."""
    return inodes_now() if plan.rank == 0 else frozenset()


def facts_of(info: Any, handler: Any, plan: HandlerPlan, before: Optional[FrozenSet[int]]) -> Dict[str, Any]:
    """What a rendezvous returned, as JSON; on the master with the listening sockets of the process.

    Args:
        before: the inodes of those that were there when the rendezvous began; None if unknown.
    """
    value = {"rank": info.rank, "world_size": info.world_size}
    address = getattr(info, "bootstrap_store_info", None)
    if address is not None:
        value.update(master_addr=address.master_addr, master_port=address.master_port)
    for name in ("round", "roster"):
        reported = getattr(info, name, getattr(handler, name, None))
        if reported is not None:
            value[name] = _brief(reported)
    if chooses_ranks(handler):
        value["chooses_ranks"] = True
    if plan.rank == 0:
        value.update(listeners_since(before))
    return value


def chooses_ranks(handler: Any) -> bool:
    """Whether the handler gives a process a rank of its own choice: it says so, or is torch's dynamic rendezvous.

    A backend says so with `chooses_ranks = True` in its class of handlers.
    """
    dynamic: Any = sys.modules.get(f"{_RENDEZVOUS}.dynamic_rendezvous")
    derived = dynamic is not None and isinstance(handler, dynamic.DynamicRendezvousHandler)
    return derived or getattr(handler, "chooses_ranks", False) is True


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
