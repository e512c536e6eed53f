"""What goes wrong: it is injected at one moment, and healed at another."""

from __future__ import annotations

from typing import Any

from harness.reproduce.parts.log import Moment, seconds


class Fault:
    """`state` is empty, injected or healed; `acted` says whether it met anything."""

    state, acted = "", False

    def __init__(
        self, name: str, ranks: tuple[int, ...] = (), after: Moment | None = None, until: Moment | None = None
    ) -> None:
        self.name, self.ranks, self.after, self.until = name, ranks, after or seconds(0), until

    def inject(self, play: Any) -> None:
        raise NotImplementedError

    def heal(self, play: Any) -> None:
        """Nothing to do, unless the fault says what."""
