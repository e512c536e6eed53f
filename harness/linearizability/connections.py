"""Where a handler's store may have been replaced by another one: each has a connection of its own."""

from __future__ import annotations

from collections import defaultdict

from harness.history.joins import MAKING_STORES, handler_of
from harness.values.history import Call, History


class Replacements:
    """Every call that may have given a handler another store: by any thread of its process."""

    def __init__(self, history: History) -> None:
        self._windows: dict[tuple[int, int, str], list[tuple[int, int | None]]] = defaultdict(list)
        for call in history.calls:
            if call.f in MAKING_STORES and call.begun_ns is not None:
                self._windows[call.rank, call.life, handler_of(call)].append((call.begun_ns, call.ended_ns))

    def may_part(self, first: Call, last: Call) -> bool:
        """Whether two calls through one handler, in this order, may have used different stores.

        A call takes the store between its begin and its end, and a replacement takes effect between its own.
        """
        return any(
            (last.ended_ns is None or begun_ns <= last.ended_ns)
            and (ended_ns is None or ended_ns >= (first.begun_ns or 0))
            for begun_ns, ended_ns in self._windows[first.rank, first.life, handler_of(first)]
        )
