"""Moments on the wire: when the Nth message of a kind has passed, something is done before the next byte does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness import clock
from harness.engine import go_json
from harness.engine.errors import ApiError
from harness.engine.wire.decoder import Message
from harness.engine.wire.grammar import ANY
from harness.engine.wire.rules import kind_problem, matches

if TYPE_CHECKING:
    from harness.engine.engine import Engine

ACTIONS: Mapping[str, Callable[[Engine, Mapping[str, Any]], object]] = {
    "add_toxic": lambda engine, said: engine.add_toxic(go_json.text(said, "proxy"), said.get("toxic")),
    "update_toxic": lambda engine, said: engine.update_toxic(
        go_json.text(said, "proxy"), go_json.text(said, "name"), said.get("toxic")
    ),
    "remove_toxic": lambda engine, said: engine.remove_toxic(go_json.text(said, "proxy"), go_json.text(said, "name")),
    "disable": lambda engine, said: engine.disable(go_json.text(said, "proxy"), "disabled by a moment"),
    "partition": lambda engine, said: engine.partitions.cut(said),
}
"""What a moment can do; all of it is done when it returns, none of it waits."""


@dataclass
class Moment:
    """A moment that is waited for, or has come. Implements `watcher.Pause`.

    Attributes:
        proxies: whose messages count; empty for all.
        hold: whether the connection of the message stands still until the moment is released.
        happened_ns: when the message had passed; None before.
        failures: what could not be done, in words.
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
    do: Callable[[Moment], None]
    seen: int = 0
    happened_ns: int | None = None
    released: bool = False
    failures: list[str] = field(default_factory=list)

    def is_now(self, proxy: str, message: Message) -> bool:
        """Count a message; whether it is the one."""
        if self.happened_ns is not None or (self.proxies and proxy not in self.proxies):
            return False
        self.seen += matches(message, self.side, self.kind, self.key)
        return self.seen >= self.count

    def act(self) -> None:
        self.do(self)

    def holds(self) -> bool:
        return self.hold and not self.released

    def describe(self) -> dict[str, Any]:
        """Itself, for the API."""
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


class Moments:
    """All moments of an engine, by number."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._moments: dict[int, Moment] = {}
        self._next = 1

    def arm(self, value: Any) -> Moment:
        """Wait for a moment from now on; raises ApiError."""
        said = go_json.an_object(value, "moment")
        side = "query" if said.get("query") is not None else "reply"
        moment = Moment(
            number=self._next,
            side=side,
            kind=go_json.text(said, side),
            key=go_json.text(said, "key", ANY),
            proxies=frozenset(str(name) for name in go_json.a_list(said.get("proxies")) or ()),
            count=go_json.whole(said, "count", 1),
            plus_ns=go_json.whole(said, "plus_ms", 0) * 1_000_000,
            hold=go_json.flag(said, "hold", False),
            actions=[go_json.an_object(one, "action") for one in go_json.a_list(said.get("do")) or ()],
            do=self._happen,
        )
        _check(moment)
        self._next += 1
        self._moments[moment.number] = moment
        return moment

    def get(self, number: int) -> Moment:
        """Raises ApiError if there is none."""
        if number not in self._moments:
            raise ApiError(404, f"there is no moment {number}")
        return self._moments[number]

    def disarm(self, number: int) -> None:
        """Wait no longer, and hold nothing; raises ApiError."""
        self.release(number)
        del self._moments[number]

    def release(self, number: int) -> None:
        """Let what it holds go on; raises ApiError."""
        self.get(number).released = True
        for proxy in self._engine.proxies.values():
            proxy.look_again()

    def seen(self, proxy: str, message: Message) -> Moment | None:
        """A message has passed whole; the moment that has come with it. Of several that come at once, all act."""
        due = [moment for moment in self._moments.values() if moment.is_now(proxy, message)]
        for moment in due:
            moment.happened_ns = clock.now_ns()
            self._engine.journal.note("moment", proxy=proxy, moment=moment.number, kind=moment.kind, side=moment.side)
        for moment in due[1:]:
            self._loop.call_soon(moment.act)
        return due[0] if due else None

    def _happen(self, moment: Moment) -> None:
        if moment.plus_ns > 0:
            self._loop.call_later(moment.plus_ns / 1e9, self._perform, moment)
        else:
            self._perform(moment)

    def _perform(self, moment: Moment) -> None:
        for action in moment.actions:
            for name, said in action.items():
                try:
                    ACTIONS[name](self._engine, go_json.an_object(said, name))
                except ApiError as error:
                    moment.failures.append(f"{name}: {error}")
        if moment.actions:
            self._engine.journal.note("moment done", moment=moment.number, failures=list(moment.failures))


def _check(moment: Moment) -> None:
    unknown = sorted({name for action in moment.actions for name in action} - set(ACTIONS))
    if problem := kind_problem(moment.kind):
        raise ApiError(400, problem)
    if moment.count < 1 or moment.plus_ns < 0:
        raise ApiError(400, "count is from 1 on, plus_ms from 0 on")
    if unknown:
        raise ApiError(400, f"there is no action {', '.join(unknown)}; known: {', '.join(ACTIONS)}")
