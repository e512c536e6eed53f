"""All toxics of one direction of one connection, in their order, in whatever time they are told.

    read ─▶ entrance ─▶ oldest toxic ─▶ ... ─▶ newest toxic ─▶ write

A stage that takes nothing stalls the one before it, back to the reader, and so back to the peer.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.engine.chunk import Chunk
from harness.engine.toxic_stage import ConnectionContext, Sink, Toxic, ToxicStage, earliest


class Pipeline:
    """Stages between a reader and a writer.

    Args:
        toxics: those that there are when the connection is opened.
        writer: where everything goes at last.
    """

    def __init__(self, toxics: Iterable[Toxic], writer: Sink, context: ConnectionContext, now_ns: int) -> None:
        self._writer = writer
        self._context = context
        self.stages = [ToxicStage(toxic, context) for toxic in (None, *toxics)]
        for stage in self.stages:
            stage.start(now_ns)

    def has_room(self) -> bool:
        """Whether another chunk may be read."""
        if self.is_bare():
            return self._writer.has_room()
        return self.stages[0].has_room()

    def is_bare(self) -> bool:
        """Whether there is nothing between reader and writer, so that bytes may go straight through."""
        watch = self._context.watch
        return len(self.stages) == 1 and (watch is None or watch.transparent) and self.stages[0].is_empty()

    def feed(self, data: bytes, now_ns: int) -> None:
        """What was read just now; empty at the end. Only while there is room."""
        self.stages[0].put(Chunk(data, now_ns) if data else None, now_ns)

    def advance(self, now_ns: int) -> None:
        """Move everything that can move by now."""
        stages, moved = self.stages, True
        while moved:
            moved = False
            behind = self._writer
            for stage in reversed(stages):
                moved |= stage.run(now_ns, behind)
                behind = stage

    @property
    def due_ns(self) -> int | None:
        """When something will move by itself."""
        return earliest(self.stages)

    # -- changes on a live connection ----------------------------------------------------------------------------------

    def add(self, toxic: Toxic, now_ns: int) -> None:
        """Put a toxic at the end. The toxic before it is restarted: what it had in its hands goes past the new one."""
        last = self.stages[-1]
        stage = ToxicStage(toxic, self._context, opened_with=False)
        self.stages.append(stage)
        if last.closed:
            stage.closed = True
            return
        if last.is_entrance:  # whatever it is about to hand on meets the new one
            stage.start(now_ns)
            return
        stage.precede(last.interrupt())
        stage.start(now_ns)
        last.start(now_ns)

    def update(self, toxic: Toxic, now_ns: int) -> None:
        """The toxic has other values: its stage hands on what it has, and goes on with them."""
        self._of(toxic).restart(now_ns)

    def remove(self, toxic: Toxic, now_ns: int) -> None:
        """Take a toxic away; everything that waits in it or in the stage before it goes on at once."""
        stage = self._of(toxic)
        before = self.stages[self.stages.index(stage) - 1]
        if stage.closed:
            return
        left = stage.hand_over()
        if toxic.behaviour.closes_when_removed:
            stage.note("closed by its removal")
        if toxic.behaviour.closes_when_removed or stage.is_ending:
            stage.finish(left)
            return
        self.stages.remove(stage)
        if stage.input_ended:
            before.finish(left)
            return
        if before.is_entrance:
            before.precede(left)
            return
        held = before.interrupt()
        before.precede([*left, *held])
        before.start(now_ns)

    def nudge(self, now_ns: int) -> None:
        """What the entrance waits for may have changed."""
        self.stages[0].nudge(now_ns)

    def _of(self, toxic: Toxic) -> ToxicStage:
        return next(stage for stage in self.stages if stage.toxic is toxic)
