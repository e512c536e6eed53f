"""What acts on one message of the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.reproduce.parts.link import Connection, Cut
from harness.reproduce.parts.link_fault import LinkFault
from harness.reproduce.parts.messages import Message, fits


class MessageFault(LinkFault):
    """Acts on `times` messages of a kind (0 is all), from the nth on."""

    def __init__(
        self, name: str, side: str, kind: str, key: str = "*", nth: int = 1, times: int = 1, **others: Any
    ) -> None:
        super().__init__(name, **others)
        self.side, self.kind, self.key, self.nth, self.times = side, kind, key, nth, times
        self.count = 0

    def shape(self, connection: Connection, pieces: Iterator[bytes], arrived: float) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Message) and self.fits(piece):
                self.count += 1
                if self.nth <= self.count and (not self.times or self.count < self.nth + self.times):
                    self.acted = True
                    yield from self.hit(piece)
                    continue
            yield piece

    def fits(self, message: Message) -> bool:
        return message.side == self.side and self.kind in ("*", message.kind) and fits(message.keys, self.key)

    def hit(self, message: Message) -> Iterator[bytes]:
        raise NotImplementedError


class Drop(MessageFault):
    """The message is swallowed."""

    def hit(self, message: Message) -> Iterator[bytes]:
        return iter(())


class Hold(MessageFault):
    """The message waits, and all bytes behind it."""

    def __init__(self, name: str, side: str, kind: str, duration: float | None = None, **others: Any) -> None:
        super().__init__(name, side, kind, **others)
        self.duration = duration

    def hit(self, message: Message) -> Iterator[bytes]:
        self.over.wait(self.duration)
        yield message


class CutAt(MessageFault):
    """The connection ends before the message, or after it."""

    def __init__(self, name: str, side: str, kind: str, when: str, how: str, **others: Any) -> None:
        super().__init__(name, side, kind, **others)
        self.when, self.how = when, how

    def hit(self, message: Message) -> Iterator[bytes]:
        if self.when == "after":
            yield message
        raise Cut(self.how)
