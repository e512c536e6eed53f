"""The store that is handed out: torch's PrefixStore over its TCPStore, with a deadline on each call from Python.

docs/rendezvous.md has what it promises, and what it cannot promise.
"""

from __future__ import annotations

import datetime
import os
import threading
import time
import weakref
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional

from torch.distributed import DistNetworkError, PrefixStore

from .construct import ConnectedStore, make_store
from .failures import TimedOut
from .keys import RUNS
from .resolve import Address
from .timers import timers

# Torch keeps the deadline of a wait itself, but needs one more round trip to report it: the grace is for that.
_GRACE_S = 0.7
_AGAIN_S = 0.1
# Torch takes 0 for no end.
_SHORTEST_WAIT_S = 0.001


class BoundedStore:
    """A TCPStore whose calls are cut off a grace after their timeout; shared by all prefixes of its one connection."""

    def __init__(self, connected: ConnectedStore) -> None:
        self.connected = connected
        self._where = f"{connected.address[1]}:{connected.port}"
        self._ended = ""
        self._clones: weakref.WeakSet[BoundedStore] = weakref.WeakSet()
        # One call at a time, as in torch's client, so that a call's time begins when it is its turn.
        self._turn = threading.RLock()

    @contextmanager
    def bounded(self, what: str, timeout_s: float) -> Iterator[None]:
        """Cut the connection if the block has sent a request and has no answer a grace after its timeout.

        Raises DistNetworkError, with the reason, if it was cut now or before.
        """
        with self._turn:
            before = self._ended
            due = time.monotonic() + max(0.0, timeout_s) + _GRACE_S
            running = timers()
            number = running.add(due, self._cutter())
            try:
                yield
            except DistNetworkError as error:
                if not self._ended:
                    raise
                because = (
                    before
                    or f"the store at {self._where} did not answer within {timeout_s:.3g} s; its connection was cut"
                )
                raise DistNetworkError(f"{what}: {because}") from error
            finally:
                running.cancel(number)

    def end(self, because: str) -> None:
        """Cut the connection, and those of all clones; the errors of later calls give the reason."""
        self._ended = self._ended or because
        if self.connected.socket is not None:
            self.connected.socket.cut()
        for clone in list(self._clones):
            clone.end(because)

    def clone(self, timeout: datetime.timedelta, witness: str) -> BoundedStore:
        """A store of the same server, with a connection of its own; it ends with this one, if `end` is called.

        Args:
            witness: a key that the server has. Without it, another server listens at the address by now.

        Raises:
            DistNetworkError: the server was not reached within the timeout, or is another one, or `end` was called.
        """
        timeout_s = timeout.total_seconds()
        if self._ended:
            raise DistNetworkError(f"clone: {self._ended}")
        deadline = time.monotonic() + timeout_s
        try:
            connected = make_store(self.connected.address, self.connected.port, timeout, deadline, timeout_s)
        except TimedOut as error:
            raise DistNetworkError(f"clone: waited {timeout_s:.3g} s for {error}") from error
        clone = BoundedStore(connected)
        with clone.bounded("clone", max(0.0, deadline - time.monotonic())):
            if not connected.store.check([witness]):
                raise DistNetworkError(f"clone: the store at {self._where} is not the one that was joined")
        self._clones.add(clone)
        return clone

    def answers_at(self, address: Address, deadline: float) -> bool:
        """Whether this store, from an earlier round, is connected to this address and still answers."""
        if self.connected.address != address:
            return False
        try:
            with self.bounded("check", max(0.1, deadline - time.monotonic() - 1)):
                self.connected.store.check([RUNS])
        except RuntimeError:
            return False
        return not self._ended

    def _cutter(self) -> Callable[[], Optional[float]]:
        socket = self.connected.socket
        sent = socket.written_bytes() if socket is not None else -1

        def cut() -> Optional[float]:
            if socket is None:
                return None
            # Nothing was sent: the call waits behind one from C++, which may take as long as it likes.
            if sent >= 0 and socket.written_bytes() == sent:
                return time.monotonic() + _AGAIN_S
            self._ended = self._ended or f"the connection to {self._where} was cut when an earlier call had no answer"
            socket.cut()
            return None

        return cut


class StrictStore(PrefixStore):  # type: ignore[misc]
    """A PrefixStore whose methods, called from Python, return or raise within their timeout and a second.

    A write returns when the server has it. Calls from C++, `PrefixStore("x", store)` and `underlying_store` bypass
    these methods: they behave like torch's own. A clone is a StrictStore too.

    Args:
        witness: a key that the server has, by which a clone knows it.
    """

    def __init__(self, prefix: str, bounded_store: BoundedStore, witness: str = RUNS) -> None:
        super().__init__(prefix, bounded_store.connected.store)
        self._prefix = prefix
        self._bounded_store = bounded_store
        self._witness = witness

    def set_timeout(self, timeout: datetime.timedelta) -> None:
        """As torch's: it applies to all stores of the same connection. Raises ValueError below 0."""
        super().set_timeout(_checked(timeout))

    def wait(self, keys: Any, timeout: Any = None) -> None:
        """As torch's; `timeout` is a timedelta, None means the store's own. Raises ValueError below 0."""
        given = self.timeout if timeout is None else _checked(timeout)
        with self._bounded_store.bounded("wait", _seconds(given)):
            super().wait(keys, given)

    def get(self, key: Any) -> Any:
        """As torch's, but a key that is deleted meanwhile is waited for, in place of an empty value (F61)."""
        timeout_s = self.timeout.total_seconds()
        with self._bounded_store.bounded("get", timeout_s):
            deadline = time.monotonic() + timeout_s
            return super().get(key) or self._read_again(key, deadline)

    def multi_get(self, keys: Any) -> Any:
        """As torch's, with what `get` says of keys that are deleted meanwhile; for all keys together one timeout."""
        timeout_s = self.timeout.total_seconds()
        with self._bounded_store.bounded("multi_get", timeout_s):
            deadline = time.monotonic() + timeout_s
            values = super().multi_get(keys)
            return [value or self._read_again(key, deadline) for key, value in zip(keys, values)]

    def _read_again(self, key: Any, deadline: float) -> Any:
        """The value of a key that seemed empty; while the key is missing, it is waited for."""
        value = self._read(key)
        while value is None:
            left = max(_SHORTEST_WAIT_S, deadline - time.monotonic())
            super().wait([key], datetime.timedelta(seconds=left))
            value = self._read(key)
        return value

    def _read(self, key: Any) -> Any:
        """The value, None if the key is missing, in one message: a comparison with what no value is changes nothing."""
        unlike = os.urandom(16).hex()
        value = super().compare_set(key, unlike, unlike)
        # Of a missing key the server says that it holds what was expected (F43).
        return None if value == unlike.encode() else value


def _seconds(timeout: Any) -> float:
    """Of what is no timedelta, 0: torch refuses it with a TypeError before anything is sent."""
    return timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else 0.0


def _checked(timeout: Any) -> Any:
    """The timeout; raises ValueError below 0, where torch would wait without end."""
    if _seconds(timeout) < 0:
        raise ValueError(f"timeout {_seconds(timeout):g} s is below 0")
    return timeout


def _barrier(self: StrictStore, key: str, world_size: int, timeout: Any = None) -> None:
    """As torch's; without a timeout the store's own applies, which a PrefixStore of torch does not know."""
    given = self.timeout if timeout is None else _checked(timeout)
    with self._bounded_store.bounded("barrier", _seconds(given)):
        PrefixStore.barrier(self, key, world_size, given)


def _clone(self: StrictStore) -> StrictStore:
    """A store with the same prefix, timeout and promises, over a connection of its own.

    Raises DistNetworkError if the server is not reached within the timeout.
    """
    return StrictStore(self._prefix, self._bounded_store.clone(self.timeout, self._witness), self._witness)


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


_READS = ("add", "compare_set", "check", "delete_key", "num_keys", "list_keys")
_QUEUES = ("queue_len", "queue_pop")
_WRITES = ("set", "append", "multi_set", "queue_push")
# Torch 2.6 lacks the queues, `list_keys`, `barrier` and `clone`.
for _name in _READS + _QUEUES + _WRITES:
    if hasattr(PrefixStore, _name):
        setattr(StrictStore, _name, _bounded(_name, _name in _WRITES))
for _name, _method in (("barrier", _barrier), ("clone", _clone)):
    if hasattr(PrefixStore, _name):
        _method.__name__ = _name
        setattr(StrictStore, _name, _method)
