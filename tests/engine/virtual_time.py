"""A pipeline in virtual time, and toxics to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.engine import toxics
from harness.engine.chunk import Item
from harness.engine.pipeline import Pipeline
from harness.engine.toxic_stage import ConnectionContext, Toxic
from harness.engine.toxics.base import BEHAVIOURS

MS = 1_000_000

toxics.load()
END = "end"


def toxic(kind: str, name: str = "", toxicity: float = 1.0, **attributes: Any) -> Toxic:
    """A downstream toxic."""
    return Toxic(name or f"{kind}_downstream", "downstream", toxicity, BEHAVIOURS[kind](**attributes))


@dataclass
class Sink:
    """A writer that notes what comes when; with `open` False it takes only `room` chunks."""

    now_ns: Callable[[], int]
    got: list[tuple[float, bytes | str]] = field(default_factory=list)
    open: bool = True
    room: int = 0

    def has_room(self) -> bool:
        return self.open or self.room > 0

    def put(self, item: Item, now_ns: int) -> None:
        self.room -= self.room > 0 and item is not None
        self.got.append((self.now_ns() / MS, END if item is None else item.data))


class Play:
    """A pipeline whose clock the test sets; times are in milliseconds from its start."""

    def __init__(self, *toxics: Toxic, seed: str = "seed") -> None:
        self.now_ns = 0
        self.notes: list[str] = []
        self.resets = 0
        self.sink = Sink(lambda: self.now_ns)
        context = ConnectionContext(seed, lambda event, **_: self.notes.append(event), self._reset)
        self.pipeline = Pipeline(toxics, self.sink, context, 0)

    def _reset(self) -> None:
        self.resets += 1

    def feed(self, *items: bytes) -> None:
        """Read these chunks now, one by one; `b""` is the end."""
        for item in items:
            assert self.pipeline.has_room()
            self.pipeline.feed(item, self.now_ns)
            self.pipeline.advance(self.now_ns)

    def until(self, milliseconds: float) -> list[tuple[float, bytes | str]]:
        """Let time pass up to then; return everything that has come out since the start."""
        end_ns = int(milliseconds * MS)
        for due_ns in self._dues(end_ns):
            self.now_ns = max(due_ns, self.now_ns)
            self.pipeline.advance(self.now_ns)
        self.now_ns = end_ns
        return self.sink.got

    def _dues(self, end_ns: int) -> Iterator[int]:
        while (due_ns := self.pipeline.due_ns) is not None and due_ns <= end_ns:
            yield due_ns

    def add(self, one: Toxic) -> None:
        self.pipeline.add(one, self.now_ns)
        self.pipeline.advance(self.now_ns)

    def update(self, one: Toxic, toxicity: float | None = None, **attributes: Any) -> None:
        one.behaviour = type(one.behaviour)(**attributes)
        one.toxicity = one.toxicity if toxicity is None else toxicity
        self.pipeline.update(one, self.now_ns)
        self.pipeline.advance(self.now_ns)

    def remove(self, one: Toxic) -> None:
        self.pipeline.remove(one, self.now_ns)
        self.pipeline.advance(self.now_ns)

    @property
    def bytes(self) -> bytes:
        return b"".join(item for _, item in self.sink.got if isinstance(item, bytes))
