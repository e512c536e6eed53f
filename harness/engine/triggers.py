"""Triggers: when the Nth message of a kind has passed, actions are done before the next byte passes.

The API and the event log call a trigger a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from harness import clock
from harness.engine import go_json
from harness.engine.errors import ApiError
from harness.engine.wire.decoder import Message
from harness.engine.wire.grammar import ANY
from harness.engine.wire.rules import kind_problem, matches

Action: TypeAlias = "Callable[[Mapping[str, Any]], object]"
"""Takes its arguments as JSON, and has done everything when it returns; raises ApiError."""


@dataclass
class Trigger:
    """One trigger; implements `watcher.Breakpoint`.

    Attributes:
        proxies: the proxies whose messages count; empty for all.
        hold: whether the connection of the message stands still until the trigger is released.
        happened_ns: when the message had passed; None before.
        failures: the errors of its actions.
    """

    number: int
    side: str
    kind: str
    key: str
    proxies: frozenset[str]
    count: int
    plus_ns: int
    hold: bool
    actions: Sequence[Mapping[str, Any]]
    do: Callable[[Trigger], None]
    seen: int = 0
    happened_ns: int | None = None
    released: bool = False
    failures: list[str] = field(default_factory=list)

    def is_reached(self, proxy: str, message: Message) -> bool:
        """Count a message; whether it is the awaited one."""
        if self.happened_ns is not None or (self.proxies and proxy not in self.proxies):
            return False
        self.seen += matches(message, self.side, self.kind, self.key)
        return self.seen >= self.count

    def act(self) -> None:
        self.do(self)

    def holds(self) -> bool:
        return self.hold and not self.released

    def describe(self) -> dict[str, Any]:
        """The JSON of the API."""
        return {
            "id": self.number,
            self.side: self.kind,
            "key": self.key,
            "proxies": sorted(self.proxies),
            "count": self.count,
            "seen": self.seen,
            "state": "armed" if self.happened_ns is None else "held" if self.holds() else "happened",
            "happened_ns": self.happened_ns,
            "failures": self.failures,
        }


class Triggers:
    """All triggers of an engine, by number.

    Args:
        actions: what triggers can do, by name.
        note: writes into the event log.
        on_release: has the connections that a trigger held look again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        actions: Mapping[str, Action],
        note: Callable[..., None],
        on_release: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._actions = actions
        self._note = note
        self._on_release = on_release
        self._triggers: dict[int, Trigger] = {}
        self._next = 1

    def arm(self, value: Any) -> Trigger:
        """Make a trigger that counts messages from now on; raises ApiError."""
        fields = go_json.an_object(value, "moment")
        side = "query" if fields.get("query") is not None else "reply"
        trigger = Trigger(
            number=self._next,
            side=side,
            kind=go_json.text(fields, side),
            key=go_json.text(fields, "key", ANY),
            proxies=frozenset(str(name) for name in go_json.a_list(fields.get("proxies")) or ()),
            count=go_json.whole(fields, "count", 1),
            plus_ns=go_json.whole(fields, "plus_ms", 0) * 1_000_000,
            hold=go_json.flag(fields, "hold", False),
            actions=[go_json.an_object(one, "action") for one in go_json.a_list(fields.get("do")) or ()],
            do=self._perform_when_due,
        )
        self._check(trigger)
        self._next += 1
        self._triggers[trigger.number] = trigger
        return trigger

    def get(self, number: int) -> Trigger:
        """Raises ApiError if there is none."""
        if number not in self._triggers:
            raise ApiError(404, f"there is no moment {number}")
        return self._triggers[number]

    def disarm(self, number: int) -> None:
        """Release and delete a trigger; raises ApiError."""
        self.release(number)
        del self._triggers[number]

    def release(self, number: int) -> None:
        """Let the connection that it holds go on; raises ApiError."""
        self.get(number).released = True
        self._on_release()

    def reached(self, proxy: str, message: Message) -> Trigger | None:
        """The trigger that a message which has passed whole has reached; if it has reached several, all of them act."""
        due = [trigger for trigger in self._triggers.values() if trigger.is_reached(proxy, message)]
        for trigger in due:
            trigger.happened_ns = clock.now_ns()
            self._note("moment", proxy=proxy, moment=trigger.number, kind=trigger.kind, side=trigger.side)
        for trigger in due[1:]:
            self._loop.call_soon(trigger.act)
        return due[0] if due else None

    def _perform_when_due(self, trigger: Trigger) -> None:
        if trigger.plus_ns > 0:
            self._loop.call_later(trigger.plus_ns / 1e9, self._perform, trigger)
        else:
            self._perform(trigger)

    def _perform(self, trigger: Trigger) -> None:
        for action in trigger.actions:
            for name, arguments in action.items():
                try:
                    self._actions[name](go_json.an_object(arguments, name))
                except ApiError as error:
                    trigger.failures.append(f"{name}: {error}")
        if trigger.actions:
            self._note("moment done", moment=trigger.number, failures=list(trigger.failures))

    def _check(self, trigger: Trigger) -> None:
        unknown = sorted({name for action in trigger.actions for name in action} - set(self._actions))
        if problem := kind_problem(trigger.kind):
            raise ApiError(400, problem)
        if trigger.count < 1 or trigger.plus_ns < 0:
            raise ApiError(400, "count is from 1 on, plus_ms from 0 on")
        if unknown:
            raise ApiError(400, f"there is no action {', '.join(unknown)}; known: {', '.join(self._actions)}")
