"""All toxics of one direction of one connection, in their order; time is an argument.

    read ─▶ entrance ─▶ oldest toxic ─▶ ... ─▶ newest toxic ─▶ write

A stage that takes no items stalls the one before it, and so on back to the reader and the peer.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.engine.chunk import Chunk
from harness.engine.toxic_stage import ConnectionContext, Sink, Toxic, ToxicStage, earliest


class Pipeline:
    """Stages between a reader and a writer.

    Args:
        toxics: those that exist when the connection is opened.
        writer: takes the output.
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
        """Whether bytes may go from the reader straight to the writer."""
        watch = self._context.watch
        return len(self.stages) == 1 and (watch is None or watch.transparent) and self.stages[0].is_empty()

    def feed(self, data: bytes, now_ns: int) -> None:
        """Take bytes that were just read, or b"" for the end; only while there is room."""
        self.stages[0].put(Chunk(data, now_ns) if data else None, now_ns)

    def advance(self, now_ns: int) -> None:
        """Move everything that can move at this time."""
        stages, moved = self.stages, True
        while moved:
            moved = False
            sink = self._writer
            for stage in reversed(stages):
                moved |= stage.run(now_ns, sink)
                sink = stage

    @property
    def due_ns(self) -> int | None:
        """When something moves by itself."""
        return earliest(self.stages)

    def waiting_ns(self, toxic: Toxic, now_ns: int) -> int:
        """How long a toxic has held the oldest of what it holds back now; 0 if it holds nothing back."""
        return max((stage.waiting_ns(now_ns) for stage in self.stages if stage.toxic is toxic), default=0)

    def discard(self) -> None:
        """Drop everything that waits, since nothing more is written."""
        for stage in self.stages:
            stage.discard()

    # -- changes on a live connection ----------------------------------------------------------------------------------

    def add(self, toxic: Toxic, now_ns: int) -> None:
        """Add a toxic at the end. The toxic before it is restarted: the chunks that it held bypass the new one."""
        last = self.stages[-1]
        stage = ToxicStage(toxic, self._context, opened_with=False)
        self.stages.append(stage)
        if last.closed:
            stage.closed = True
            return
        if last.is_entrance:  # what it is about to pass on goes through the new one
            stage.start(now_ns)
            return
        stage.precede(last.interrupt())
        stage.start(now_ns)
        last.start(now_ns)

    def update(self, toxic: Toxic, now_ns: int) -> None:
        """Apply a toxic's new values: its stage passes on the chunks that it holds, and restarts."""
        self._of(toxic).restart(now_ns)

    def remove(self, toxic: Toxic, now_ns: int) -> None:
        """Remove a toxic; everything that waits in it or in the stage before it goes on at once."""
        stage = self._of(toxic)
        before = self.stages[self.stages.index(stage) - 1]
        if stage.closed:
            return
        left = stage.hand_over()
        if toxic.behaviour.closes_when_removed:
            stage.note("closed by its removal")
            if self._context.fates is not None:
                self._context.fates.cut_by(toxic.name)
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
        """Let the entrance check again what it waits for."""
        self.stages[0].nudge(now_ns)

    def _of(self, toxic: Toxic) -> ToxicStage:
        return next(stage for stage in self.stages if stage.toxic is toxic)
