"""Counts the traffic of each link from the embedded engine's events: exact, whatever was dropped, cut or held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.machine.toxiproxy.engine_client import EngineApi
from harness.values.toxic_effect import ToxicEffect

MOST_CONNECTIONS, MOST_KEYS = 64, 256
"""How many of a link a history lists; of the others it records the number."""

SIDES = ("upstream", "downstream")


@dataclass
class ConnectionRecord:
    """One connection of a link; times are CLOCK_MONOTONIC.

    Attributes:
        read: bytes received by direction, whatever happened to them; `written`: bytes sent on.
        first_ns, ended_ns: by direction, when the first byte and the end arrived.
        closed_ns: when it was closed; None while it is open.
        because: why it was closed.
        messages: how many of each kind, `query add` or `reply add`.
        opaque: why its messages could not be read (any more); empty if they could.
    """

    accepted_ns: int
    dialled_ns: int | None = None
    first_ns: dict[str, int] = field(default_factory=dict)
    ended_ns: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    written: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    closed_ns: int | None = None
    because: str = ""
    messages: Counter[str] = field(default_factory=Counter)
    opaque: str = ""

    def update(self, counters: Mapping[str, Any]) -> None:
        """Take its byte counts from an event or from the list of connections."""
        for side in SIDES:
            self.read[side] = counters.get(f"{side}_read_bytes", self.read[side])
            self.written[side] = counters.get(f"{side}_written_bytes", self.written[side])

    def to_json(self) -> dict[str, Any]:
        """For the history, without empty fields."""
        fields = {
            "accepted_ns": self.accepted_ns,
            "dialled_ns": self.dialled_ns,
            "first_ns": self.first_ns,
            "ended_ns": self.ended_ns,
            "closed_ns": self.closed_ns,
            "because": self.because,
            "read": self.read,
            "written": self.written,
            "messages": dict(self.messages),
            "opaque": self.opaque,
        }
        return {name: value for name, value in fields.items() if value not in (None, "", {})}


@dataclass
class LinkCount:
    """The counts of one link so far.

    Attributes:
        acts: by toxic, how often it acted: fired, began to drop or to stall, refused a client, half-closed a
            connection, left a connect without an answer.
        keys: by key, the kinds of queries that named it.
        turned_away: clients that a toxic refused before a connection was made.
    """

    connections: dict[int, ConnectionRecord] = field(default_factory=dict)
    acts: Counter[str] = field(default_factory=Counter)
    keys: dict[str, set[str]] = field(default_factory=dict)
    turned_away: int = 0

    @property
    def accepted(self) -> int:
        return len(self.connections) + self.turned_away

    @property
    def open(self) -> list[ConnectionRecord]:
        return [one for one in self.connections.values() if one.closed_ns is None]

    @property
    def ended(self) -> int:
        return self.accepted - sum(not one.ended_ns for one in self.open)

    @property
    def upstream_bytes(self) -> int:
        return self._read("upstream")

    @property
    def downstream_bytes(self) -> int:
        return self._read("downstream")

    def _read(self, side: str) -> int:
        return sum(one.read[side] for one in self.connections.values())

    def sent(self, side: str) -> int:
        """Bytes sent on in that direction."""
        return sum(one.written[side] for one in self.connections.values())

    def to_json(self) -> dict[str, Any]:
        """For the history: connections and keys up to a limit, and how many more there were."""
        connections, keys = list(self.connections.values()), sorted(self.keys)
        fields = {
            "connections": [one.to_json() for one in connections[:MOST_CONNECTIONS]],
            "more_connections": max(0, len(connections) - MOST_CONNECTIONS),
            "turned_away": self.turned_away,
            "acts": dict(self.acts),
            "keys": {key: sorted(self.keys[key]) for key in keys[:MOST_KEYS]},
            "more_keys": max(0, len(keys) - MOST_KEYS),
        }
        return {name: value for name, value in fields.items() if value}


class EngineMeter:
    """Counts the links of one engine; has the methods of `kernel_meter.KernelMeter`.

    Attributes:
        unreached: accepted connections of all links whose upstream could not be reached.
        is_complete: whether no event was lost before it was read.
    """

    def __init__(self, api: EngineApi) -> None:
        self.unreached = 0
        self.is_complete = True
        self._api = api
        self._last = 0
        self._counts: dict[str, LinkCount] = {}
        self._effects: dict[tuple[str, str], ToxicEffect] | None = {}

    def add(self, name: str, port: int, upstream_port: int) -> None:
        """Count this link from now on."""
        self._counts[name] = LinkCount()

    def forget(self, names: Sequence[str]) -> None:
        """Drop the counts of these links, which were deleted."""
        for name in names:
            self._counts.pop(name, None)

    def keeps(self, name: str, is_keeping: bool) -> None:
        """Nothing: the engine counts held bytes exactly."""

    def count(self, name: str) -> LinkCount:
        """As of the last look."""
        return self._counts[name]

    def held(self, name: str) -> Sequence[tuple[int, frozenset[str]]]:
        """Always empty: held bytes were read, and are counted like all others."""
        return ()

    def effect(self, name: str, toxic: str) -> ToxicEffect | None:
        """What a toxic of this link had done at the last look; None if the engine does not say."""
        return None if self._effects is None else self._effects.get((name, toxic), ToxicEffect())

    def look(self) -> None:
        """Update all counts; open connections first, so that one that ends meanwhile is updated by its event."""
        reply = self._api.effects()
        self._effects = (
            None if reply is None else {(one["proxy"], one["toxic"]): ToxicEffect.from_json(one) for one in reply}
        )
        live = self._api.connections()
        self._read_events()
        for counters in live:
            connection = self._connection(counters["proxy"], counters["id"])
            if connection is not None and connection.closed_ns is None:
                connection.update(counters)

    def _read_events(self) -> None:
        events, last, _ = self._api.events(self._last)
        if last > self._last and (not events or events[0]["number"] > self._last + 1):
            self.is_complete = False
        self._last = last
        for event in events:
            self._take(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        link = self._counts.get(event.get("proxy", ""))
        if link is None:
            return
        what, connection = event["event"], link.connections.get(event.get("connection", 0))
        if what == "accept":
            link.connections[event["connection"]] = ConnectionRecord(event["time_ns"])
        elif what == "turned away":
            link.turned_away += 1
        if what in ("fired", "swallows", "stalls", "turned away", "half closed"):
            link.acts[event["toxic"]] += 1
        elif what == "unanswered":
            link.acts[event["toxic"]] += event["tries"]
        if connection is not None:
            self._take_of(event, link, connection)

    def _take_of(self, event: Mapping[str, Any], link: LinkCount, connection: ConnectionRecord) -> None:
        what, time_ns = event["event"], event["time_ns"]
        if what == "dial":
            connection.dialled_ns = time_ns
        elif what == "first byte":
            connection.first_ns[event["direction"]] = time_ns
        elif what == "end":
            connection.ended_ns[event["direction"]] = time_ns
        elif what in ("query", "reply"):
            connection.messages[f"{what} {event['kind']}"] += 1
            for key in event.get("keys", ()):
                link.keys.setdefault(key, set()).add(event["kind"])
        elif what == "transparent":
            connection.opaque = event["why"]
        elif what == "close":
            connection.closed_ns, connection.because = time_ns, event["cause"] or ""
            connection.update(event)
            self.unreached += connection.because.startswith("dial failed")

    def _connection(self, name: str, identity: int) -> ConnectionRecord | None:
        link = self._counts.get(name)
        return None if link is None else link.connections.get(identity)
