"""A toxic at work on one direction of one connection; time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from harness.engine.chunk import Chunk, Item
from harness.engine.effects import Tally
from harness.engine.script import EXPIRED, Action, Receive, Script, Send, Signal, Wait, passing
from harness.engine.toxics.base import Behaviour
from harness.engine.wire.fates import Fates
from harness.values.toxic_effect import ToxicEffect


class Watch(Protocol):
    """What the entrance of a pipeline does to the stream."""

    @property
    def transparent(self) -> bool:
        """Whether it passes everything on unchanged from now on."""

    def script(self, site: ToxicStage) -> Script: ...


class Sink(Protocol):
    """What a stage hands items on to: the next stage, or the writer."""

    def has_room(self) -> bool:
        """Whether it takes a chunk now."""

    def put(self, item: Item, now_ns: int) -> None:
        """Take a chunk (only while it has room), or the end (always)."""


@dataclass
class Toxic:
    """A toxic of a proxy: one object for all connections, so that a change reaches each of them.

    Attributes:
        stream: as it was given when the toxic was made.
        memory: its state over all connections.
        effect: what it has done so far.
    """

    name: str
    stream: str
    toxicity: float
    behaviour: Behaviour
    memory: dict[str, Any] = field(default_factory=dict)
    effect: ToxicEffect = field(default_factory=ToxicEffect)

    @property
    def kind(self) -> str:
        return self.behaviour.kind

    @property
    def direction(self) -> str:
        return self.stream.lower()


@dataclass
class ConnectionContext:
    """What the stages of one direction of one connection share.

    Attributes:
        seed: of all random draws for this direction of this connection.
        note: writes an event with details into the event log.
        reset_on_close: makes the connection end with RST.
        abort: ends the connection for a cause, with or without RST.
        watch: decodes at the entrance; None without a decoder.
        later: makes a call soon, outside of all pipelines, and then lets this one go on.
        fates: follows the messages through the toxics; None without a decoder.
    """

    seed: str = ""
    note: Callable[..., None] = lambda event, **details: None
    reset_on_close: Callable[[], None] = lambda: None
    abort: Callable[[str, bool], None] = lambda cause, reset: None
    watch: Watch | None = None
    later: Callable[[Callable[[], None]], None] = lambda call: None
    fates: Fates | None = None


@dataclass(eq=False)
class ToxicStage:
    """Implements `script.Site` for its toxic, and `Sink` for the stage before it.

    Attributes:
        toxic: None for the entrance, which passes everything.
        closed: whether it has passed the end on.
    """

    toxic: Toxic | None
    context: ConnectionContext
    opened_with: bool = True
    closed: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    time_ns: int = 0
    random: Random = field(default_factory=lambda: Random(0))
    _queue: deque[Chunk] = field(default_factory=deque)
    _leftovers: deque[Chunk] = field(default_factory=deque)
    _ended: bool = False
    _script: Script | None = None
    _action: Action | None = None
    _due_ns: int | None = None
    _idle_since_ns: int = -1
    _blocked: bool = False
    _signalled: bool = False
    _draws: int = 0
    _tally: Tally | None = None

    def __post_init__(self) -> None:
        if self.toxic is not None:
            self._tally = Tally(self.toxic.effect)

    # -- the toxic's life ----------------------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Let the toxic act from now on, or pass everything: its toxicity is drawn here, at every start.

        Does nothing if the toxic has ended the stream: bytes may be missing then, so the end cannot be undone.
        """
        if self.is_ending:
            return
        self.time_ns = self._idle_since_ns = now_ns
        self._script = self._drawn()
        self._ask(None)

    def interrupt(self) -> list[Chunk]:
        """Stop the toxic; the chunks that it held, in order."""
        left = list(self._leftovers)
        self._leftovers.clear()
        self._stop_tally(with_queue=False)
        while not isinstance(self._action, (Receive, type(None))) and not self.is_ending:
            if isinstance(self._action, Send) and self._action.item is not None:
                left.append(self._action.item)
            self._ask(isinstance(self._action, Wait))
        action = self._action if self.is_ending else None
        self._script, self._action, self._due_ns, self._blocked = None, action, None, False
        return left

    def restart(self, now_ns: int) -> None:
        """Stop and start; the chunks that it held are passed on at once."""
        if not self.closed:
            self._leftovers.extend(self.interrupt())
            self.start(now_ns)

    def finish(self, left: list[Chunk]) -> None:
        """Pass these chunks on at once, then the end; the toxic no longer acts."""
        self.precede(left)
        self._script, self._action, self._due_ns = None, Send(None), None
        self.closed = False

    def hand_over(self) -> list[Chunk]:
        """All chunks of the stage, when its toxic is removed."""
        left = [*self.interrupt(), *self._kept(), *self._queue]
        self._stop_tally(with_queue=True)
        self._queue.clear()
        return left

    def precede(self, left: list[Chunk]) -> None:
        """Pass these chunks on at once and unchanged, before all others, also before earlier ones of this kind."""
        self._leftovers.extendleft(reversed(left))

    def discard(self) -> None:
        """Drop all chunks and the toxic at work; nothing more comes out."""
        self._stop_tally(with_queue=True)
        self._queue.clear()
        self._leftovers.clear()
        self._script, self._action, self._due_ns = None, None, None

    @property
    def is_ending(self) -> bool:
        """Whether it is about to pass the end on, and waits only for bytes before it."""
        return isinstance(self._action, Send) and self._action.item is None

    @property
    def is_entrance(self) -> bool:
        return self.toxic is None

    @property
    def input_ended(self) -> bool:
        return self._ended

    # -- driving it ----------------------------------------------------------------------------------------------------

    @property
    def due_ns(self) -> int | None:
        """When it goes on by itself; None if it waits for something else."""
        return None if self._leftovers else self._due_ns

    def is_empty(self) -> bool:
        """Whether it holds nothing and waits for its next item."""
        return not self._leftovers and not self._queue and isinstance(self._action, Receive)

    def has_room(self) -> bool:
        if self.closed or self._ended or self._leftovers:
            return False
        limit = self.toxic.behaviour.queue_chunks if self.toxic is not None else 0
        return len(self._queue) < limit or (not self._queue and isinstance(self._action, Receive))

    def keep_waiting(self, now_ns: int) -> None:
        """The stage before it has a chunk that it does not take now."""
        if self._tally is not None and isinstance(self._action, Wait):
            self._tally.refused(now_ns)

    def waiting_ns(self, now_ns: int) -> int:
        """How long its toxic has held the oldest of what it holds back now; 0 if it holds nothing back."""
        waits = isinstance(self._action, Wait) and self._tally is not None and self._tally.holds
        return self._tally.waiting_ns(now_ns) if waits and self._tally is not None else 0

    def put(self, item: Item, now_ns: int) -> None:
        if self._tally is not None and not self.closed:
            self._tally.arrived(*((0, now_ns, now_ns) if item is None else (len(item.data), now_ns, item.time_ns)))
        if item is None:
            self._ended = True
        elif not self.closed:
            self._queue.append(item)

    def run(self, now_ns: int, sink: Sink) -> bool:
        """Go on as far as possible; whether anything moved."""
        moved = False
        while self._leftovers:
            if not sink.has_room():
                return moved
            sink.put(self._leftovers.popleft(), now_ns)
            moved = True
        while self._action is not None and self._step(now_ns, sink):
            moved = True
        return moved

    def _step(self, now_ns: int, sink: Sink) -> bool:
        action = self._action
        if isinstance(action, Receive):
            return self._receive(now_ns)
        if isinstance(action, Wait):
            if self._due_ns is None or now_ns < self._due_ns:
                return False
            self._answer(False, self._due_ns)
            return True
        if isinstance(action, Signal):
            if not self._signalled:
                self._signalled = True
                self.context.later(lambda: self._on_signal(action.call))
            return False
        assert action is not None
        return self._send(action, now_ns, sink)

    def _on_signal(self, call: Callable[[], None]) -> None:
        call()
        self._signalled = False
        if isinstance(self._action, Signal):
            self._answer(None, self.time_ns)

    def nudge(self, now_ns: int) -> None:
        """Interrupt its wait, because the condition that it waits for may have changed."""
        if isinstance(self._action, Wait):
            self._answer(True, now_ns)

    def _receive(self, now_ns: int) -> bool:
        at_ns = self.time_ns if self._idle_since_ns in (-1, now_ns) else now_ns
        if self._queue:
            item: Any = self._queue.popleft()
        elif self._ended:
            item = None
        elif self._due_ns is not None and now_ns >= self._due_ns:
            item, at_ns = EXPIRED, self._due_ns
        else:
            if self._idle_since_ns == -1:
                self._idle_since_ns = now_ns
            return False
        self._idle_since_ns = -1
        if self._tally is not None and item is not EXPIRED:
            self._tally.taken(item is None)
        self._answer(item, at_ns)
        return True

    def _send(self, action: Send, now_ns: int, sink: Sink) -> bool:
        if action.item is None:
            self.closed, self._script, self._action = True, None, None
            if self._tally is not None:
                self._tally.ended(now_ns)
            sink.put(None, now_ns)
            return True
        if self._tally is not None:
            self._tally.offered(now_ns)
        if not sink.has_room():
            self._blocked = True
            if isinstance(sink, ToxicStage):
                sink.keep_waiting(now_ns)
            return False
        if self._tally is not None:
            self._tally.sent(len(action.item.data), now_ns)
        sink.put(action.item, now_ns)
        at_ns = now_ns if self._blocked else self.time_ns
        self._blocked = False
        self._answer(None, at_ns)
        return True

    def _answer(self, answer: object, at_ns: int) -> None:
        self.time_ns = at_ns
        self._ask(answer)

    def _ask(self, answer: object) -> None:
        """Resume the script; its next action, and when that is due."""
        try:
            self._action = self._script.send(answer) if self._script is not None else None
        except StopIteration:
            self._action = None
        wait_ns = None
        if isinstance(self._action, Wait):
            wait_ns = self._action.duration_ns
        elif isinstance(self._action, Receive):
            wait_ns = self._action.limit_ns
            if self._tally is not None:
                self._tally.swallowed()  # a toxic that asks for more sends on nothing of what it has received before
        self._due_ns = None if wait_ns is None else self.time_ns + wait_ns

    # -- for the toxic -------------------------------------------------------------------------------------------------

    def _stop_tally(self, with_queue: bool) -> None:
        if self._tally is not None:
            self._tally.stopped(isinstance(self._action, Wait), with_queue)

    def reset_on_close(self) -> None:
        if self._tally is not None:
            self._tally.reset()
        self.context.reset_on_close()

    def abort(self, reset: bool) -> None:
        assert self.toxic is not None
        if self.context.fates is not None:
            self.context.fates.cut_by(self.toxic.name)
        if reset and self._tally is not None:
            self._tally.reset()
        self.context.abort(self.toxic.kind, reset)

    def note(self, event: str, **details: Any) -> None:
        if self.toxic is not None:
            self.context.note(event, toxic=self.toxic.name, kind=self.toxic.kind, **details)

    def _drawn(self) -> Script:
        if self.toxic is None:
            watch = self.context.watch
            return passing() if watch is None else watch.script(self)
        self.random = Random(f"{self.context.seed}/{self.toxic.name}/{self._draws}")
        self._draws += 1
        is_hit = self.random.random() < self.toxic.toxicity
        if self._tally is not None:
            self._tally.acts = is_hit
        if is_hit:
            script, fates = self.toxic.behaviour.script(self), self.context.fates
            return script if fates is None else fates.follow(script, self.toxic.name)
        self._leftovers.extend(self._kept())
        return passing()

    def _kept(self) -> list[Chunk]:
        return self.toxic.behaviour.left_behind(self.memory) if self.toxic is not None else []


def earliest(stages: list[ToxicStage]) -> int | None:
    """When the first of these stages goes on by itself."""
    return min((due for stage in stages if (due := stage.due_ns) is not None), default=None)
