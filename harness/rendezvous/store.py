"""The store that is handed out: torch's PrefixStore over its TCPStore, with a deadline on what Python asks.

docs/rendezvous.md has what it promises and what it cannot.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional

from torch.distributed import DistNetworkError, PrefixStore

from harness.rendezvous.construct import Made
from harness.rendezvous.keys import RUNS
from harness.rendezvous.resolve import Address
from harness.rendezvous.watch import watch

# Torch keeps the deadline of a wait by itself, and needs one more round trip to say so; the grace is for that.
_GRACE_S = 0.7
_AGAIN_S = 0.1


class Line:
    """The one connection of a store, shared by all prefixes of it."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.where = f"{made.address[1]}:{made.port}"
        self.is_cut = False
        # One call at a time, as in torch's client, so that a call's time begins when it is its turn.
        self.turn = threading.RLock()

    @contextmanager
    def bounded(self, what: str, timeout_s: float) -> Iterator[None]:
        """Cut the connection if the block has asked something and has no answer a grace after its timeout.

        Raises DistNetworkError if it was cut.
        """
        with self.turn:
            due = time.monotonic() + timeout_s + _GRACE_S
            guard = watch()
            number = guard.add(due, self._cutter())
            try:
                yield
            except DistNetworkError as error:
                if not self.is_cut:
                    raise
                raise DistNetworkError(
                    f"{what}: the store at {self.where} did not answer within {timeout_s:.3g} s; the connection was cut"
                ) from error
            finally:
                guard.withdraw(number)

    def leads_to(self, address: Address, deadline: float) -> bool:
        """Whether the store, from an earlier round, is at this address and still answers."""
        if self.made.address != address:
            return False
        try:
            with self.bounded("check", max(0.1, deadline - time.monotonic() - 1)):
                self.made.store.check([RUNS])
        except RuntimeError:
            return False
        return not self.is_cut

    def _cutter(self) -> Callable[[], Optional[float]]:
        line = self.made.line
        sent = line.written_bytes() if line is not None else -1

        def cut() -> Optional[float]:
            if line is None:
                return None
            # Nothing sent: the call waits for its turn behind one that C++ makes, which may take as long as it likes.
            if sent >= 0 and line.written_bytes() == sent:
                return time.monotonic() + _AGAIN_S
            self.is_cut = True
            line.cut()
            return None

        return cut


class StrictStore(PrefixStore):  # type: ignore[misc]
    """A PrefixStore whose methods, called from Python, return or raise within their timeout and a second.

    A write returns when the server has it. What C++ does with the store, and stores that were made of it, go past these
    methods: they behave as torch's own do.
    """

    def __init__(self, prefix: str, line: Line) -> None:
        super().__init__(prefix, line.made.store)
        self._line = line

    def wait(self, keys: Any, timeout: Any = None) -> None:
        """As torch's; `timeout` is a timedelta, None meaning the store's own."""
        given = self.timeout if timeout is None else timeout
        with self._line.bounded("wait", given.total_seconds()):
            super().wait(keys, given)


def _bounded(name: str, is_write: bool) -> Callable[..., Any]:
    torchs = getattr(PrefixStore, name)

    def method(self: StrictStore, *arguments: Any, **named: Any) -> Any:
        with self._line.bounded(name, self.timeout.total_seconds()):
            value = torchs(self, *arguments, **named)
            if is_write:
                # Writes have no reply (F09); the server takes the requests of a connection one after another.
                PrefixStore.num_keys(self)
            return value

    method.__name__ = name
    method.__doc__ = torchs.__doc__
    return method


# Those that wait for what others do (`barrier`, `queue_pop`) have deadlines of their own in torch; 2.6 lacks some.
_READS = ("get", "add", "compare_set", "check", "delete_key", "num_keys", "multi_get", "list_keys", "queue_len")
_WRITES = ("set", "append", "multi_set", "queue_push")
for _name in _READS + _WRITES:
    if hasattr(PrefixStore, _name):
        setattr(StrictStore, _name, _bounded(_name, _name in _WRITES))
