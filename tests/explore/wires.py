"""Messages on links, built by hand: one line for each exchange."""

from __future__ import annotations

from dataclasses import replace

from pasts import Past, at

from harness.values.history import History
from harness.values.wire import PASSED, QUERY, REPLY, Wire, WireMessage


class Links:
    """The messages of a play in the making; each method adds some and returns the links themselves."""

    def __init__(self) -> None:
        self._messages: list[WireMessage] = []

    def sent(
        self, rank: int, seconds: float, side: str, kind: str, *keys: str, on: int = 0, fate: str = PASSED
    ) -> Links:
        """One message; `on` is its connection, by default one for each rank."""
        time_ns = at(seconds)
        self._messages.append(WireMessage(1, time_ns, rank, on or rank, side, kind, keys, fate, time_ns))
        return self

    def asked(self, rank: int, seconds: float, kind: str, *keys: str, on: int = 0) -> Links:
        """A query and, a millisecond later, its reply."""
        self.sent(rank, seconds, QUERY, kind, *keys, on=on)
        return self.sent(rank, seconds + 0.001, REPLY, kind, *keys, on=on)

    def of(self, past: Past) -> History:
        """The history of a play with these messages."""
        ordered = sorted(self._messages, key=lambda message: message.time_ns)
        return replace(past.whole(), wire=Wire(tuple(replace(one, number=n) for n, one in enumerate(ordered, 1))))
