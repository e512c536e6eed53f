"""The store that is handed out: torch's PrefixStore over its TCPStore, with a deadline on each call from Python.

docs/rendezvous.md has what it promises, and what it cannot promise.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional

from torch.distributed import DistNetworkError, PrefixStore

from harness.rendezvous.construct import ConnectedStore
from harness.rendezvous.keys import RUNS
from harness.rendezvous.resolve import Address
from harness.rendezvous.timers import timers

# Torch keeps the deadline of a wait itself, but needs one more round trip to report it: the grace is for that.
_GRACE_S = 0.7
_AGAIN_S = 0.1


class BoundedStore:
    """A TCPStore whose calls are cut off a grace after their timeout; shared by all prefixes of its one connection."""

    def __init__(self, connected: ConnectedStore) -> None:
        self.connected = connected
        self._where = f"{connected.address[1]}:{connected.port}"
        self._is_cut = False
        # One call at a time, as in torch's client, so that a call's time begins when it is its turn.
        self._turn = threading.RLock()

    @contextmanager
    def bounded(self, what: str, timeout_s: float) -> Iterator[None]:
        """Cut the connection if the block has sent a request and has no answer a grace after its timeout.

        Raises DistNetworkError if it was cut.
        """
        with self._turn:
            due = time.monotonic() + timeout_s + _GRACE_S
            running = timers()
            number = running.add(due, self._cutter())
            try:
                yield
            except DistNetworkError as error:
                if not self._is_cut:
                    raise
                raise DistNetworkError(
                    f"{what}: the store at {self._where} did not answer within {timeout_s:.3g} s; "
                    "the connection was cut"
                ) from error
            finally:
                running.cancel(number)

    def answers_at(self, address: Address, deadline: float) -> bool:
        """Whether this store, from an earlier round, is connected to this address and still answers."""
        if self.connected.address != address:
            return False
        try:
            with self.bounded("check", max(0.1, deadline - time.monotonic() - 1)):
                self.connected.store.check([RUNS])
        except RuntimeError:
            return False
        return not self._is_cut

    def _cutter(self) -> Callable[[], Optional[float]]:
        socket = self.connected.socket
        sent = socket.written_bytes() if socket is not None else -1

        def cut() -> Optional[float]:
            if socket is None:
                return None
            # Nothing was sent: the call waits behind one from C++, which may take as long as it likes.
            if sent >= 0 and socket.written_bytes() == sent:
                return time.monotonic() + _AGAIN_S
            self._is_cut = True
            socket.cut()
            return None

        return cut


class StrictStore(PrefixStore):  # type: ignore[misc]
    """A PrefixStore whose methods, called from Python, return or raise within their timeout and a second.

    A write returns when the server has it. Calls from C++, and stores that are made from this one, bypass these
    methods: they behave like torch's own.
    """

    def __init__(self, prefix: str, bounded_store: BoundedStore) -> None:
        super().__init__(prefix, bounded_store.connected.store)
        self._bounded_store = bounded_store

    def wait(self, keys: Any, timeout: Any = None) -> None:
        """As torch's; `timeout` is a timedelta, None means the store's own."""
        given = self.timeout if timeout is None else timeout
        with self._bounded_store.bounded("wait", given.total_seconds()):
            super().wait(keys, given)


def _bounded(name: str, is_write: bool) -> Callable[..., Any]:
    torchs = getattr(PrefixStore, name)

    def method(self: StrictStore, *arguments: Any, **named: Any) -> Any:
        with self._bounded_store.bounded(name, self.timeout.total_seconds()):
            value = torchs(self, *arguments, **named)
            if is_write:
                # Writes have no reply (F09), but the server handles the requests of a connection in order.
                PrefixStore.num_keys(self)
            return value

    method.__name__ = name
    method.__doc__ = torchs.__doc__
    return method


# `barrier` and `queue_pop`, which wait for other clients, have deadlines of their own in torch. Torch 2.6 lacks some.
_READS = ("get", "add", "compare_set", "check", "delete_key", "num_keys", "multi_get", "list_keys", "queue_len")
_WRITES = ("set", "append", "multi_set", "queue_push")
for _name in _READS + _WRITES:
    if hasattr(PrefixStore, _name):
        setattr(StrictStore, _name, _bounded(_name, _name in _WRITES))
