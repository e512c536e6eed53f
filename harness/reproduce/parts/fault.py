"""What goes wrong: it is injected at one moment, and healed at another."""

from __future__ import annotations

from typing import Any

from harness.reproduce.parts.scene import Moment, seconds


class Fault:
    """`injected` and `healed` are times; `acted` says whether it met anything."""

    restarts = False

    def __init__(
        self, name: str, ranks: tuple[int, ...] = (), after: Moment | None = None, until: Moment | None = None
    ) -> None:
        self.name, self.ranks, self.after, self.until = name, ranks, after or seconds(0), until
        self.injected: float | None = None
        self.healed: float | None = None
        self.acted = False

    def inject(self, play: Any) -> None:
        raise NotImplementedError

    def heal(self, play: Any) -> None:
        raise NotImplementedError
