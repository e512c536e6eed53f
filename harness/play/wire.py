"""The wire in a play: the messages that moments wait for, at which the next byte waits too, and the log of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.archive import write_wire
from harness.play.poll import Poll
from harness.play.recording import Log
from harness.proxies.base import Link, Proxies, WireWatch
from harness.scenario.messages import messages_of
from harness.scenario.scenario import Scenario
from harness.values.ops import CONTROLLER, OK, WIRE, WIRE_LOG, Op, Process
from harness.values.wire import Wire as AllMessages


class Wire:
    """The messages that one play waits for; as a context it waits for none after its exit.

    Args:
        record: takes an operation for each message that has passed.
    """

    def __init__(self, scenario: Scenario, record: Callable[[Op], None], poll: Poll) -> None:
        self._messages = messages_of(scenario)
        self._record = record
        self._poll = poll
        self._watch: WireWatch | None = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    @property
    def is_awaited(self) -> bool:
        """Whether the scenario has a moment of the wire."""
        return bool(self._messages)

    def arm(self, proxies: Proxies, links: Sequence[Link]) -> None:
        """Wait from now on; raises Unsupported, ProxyLost or HarnessError."""
        self._watch = proxies.watch(links, self._messages)
        self._poll.register(self._watch.fileno(), self._hear)

    def _hear(self) -> None:
        """Record what has passed."""
        if self._watch is not None:
            for message, time_ns in self._watch.read():
                self._record(Op(time_ns, Process(None, CONTROLLER), OK, WIRE, value=message.to_json()))

    def go_on(self) -> None:
        """What was to happen at the messages heard of has happened: let the next byte pass."""
        if self._watch is not None:
            self._watch.go_on()

    def leave(self) -> None:
        """Wait no longer."""
        watch, self._watch = self._watch, None
        if watch is not None:
            self._poll.unregister(watch.fileno())
            watch.close()


def keep_messages(run_dir: Path, messages: AllMessages | None, log: Log) -> None:
    """Store all messages of a play, if they were recorded, and note how many there are; raises HarnessError."""
    if messages is None:
        return
    stored = write_wire(run_dir, messages)
    counts = {"messages": len(stored.messages), "dropped": stored.dropped, "undecoded": stored.undecoded}
    log.note(WIRE_LOG, counts)
