"""A table of strings: a text that a run repeats is stored once."""

from __future__ import annotations

from harness.values.printable import printable


class Strings:
    """Texts by their position; the empty text is the first.

    Every text is made printable: what a history holds comes from other processes, and a browser shows marks that turn
    the direction of writing.
    """

    def __init__(self) -> None:
        self._positions: dict[str, int] = {"": 0}

    def position(self, text: object) -> int:
        """Where a text stands; None is the empty text."""
        return self._positions.setdefault("" if text is None else printable(str(text)), len(self._positions))

    @property
    def texts(self) -> list[str]:
        return list(self._positions)
