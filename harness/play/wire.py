"""Moments on the wire in a play: which messages are waited for, and that the next byte waits for what they bring."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence

from harness.proxies.base import Link, Proxies, WireWatch
from harness.scenario.messages import messages_of
from harness.scenario.scenario import Scenario
from harness.schedule.progress import Progress
from harness.values.ops import CONTROLLER, OK, WIRE, Op, Process


class Wire:
    """The messages that one play waits for.

    Attributes:
        watch: None before `arm` and after `close`, and where nothing is waited for.
    """

    def __init__(self, scenario: Scenario, progress: Progress, record: Callable[[Op], None]) -> None:
        self.watch: WireWatch | None = None
        self._messages = messages_of(scenario)
        self._progress = progress
        self._record = record

    @property
    def is_awaited(self) -> bool:
        """Whether the scenario has a moment of the wire."""
        return bool(self._messages)

    def arm(self, proxies: Proxies, links: Sequence[Link]) -> None:
        """Wait from now on; raises Unsupported, ProxyLost or HarnessError."""
        if self._messages:
            self.watch = proxies.watch(links, self._messages)

    def hear(self) -> None:
        """Note what has passed since the last call, if anything."""
        if self.watch is None or not select.select([self.watch], [], [], 0)[0]:
            return
        for message, time_ns in self.watch.read():
            self._progress.wire[message] = time_ns
            self._record(Op(time_ns, Process(None, CONTROLLER), OK, WIRE, value=message.to_json()))

    def go_on(self) -> None:
        """Whoever was to act at the messages heard of has acted: let the next byte pass."""
        if self.watch is not None:
            self.watch.go_on()

    def close(self) -> None:
        """Wait no longer."""
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.close()
