"""What has passed each link, by the embedded engine's own word: exact, whatever was swallowed, cut or held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.machine.toxiproxy.engine_client import EngineApi

MOST_CONNECTIONS, MOST_KEYS = 64, 256
"""How many of a link a history tells one by one; of more it says how many there were."""

SIDES = ("upstream", "downstream")


@dataclass
class ConnectionRecord:
    """One connection of a link; times are CLOCK_MONOTONIC.

    Attributes:
        read, written: bytes by direction; read is what came in, whatever became of it.
        first_ns, ended_ns: by direction, when the first byte came, and the end.
        closed_ns: None while it is open; `because` is why it ended.
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

    def count(self, said: Mapping[str, Any]) -> None:
        """Take its bytes, as an event or the list of connections tells them."""
        for side in SIDES:
            self.read[side] = said.get(f"{side}_read_bytes", self.read[side])
            self.written[side] = said.get(f"{side}_written_bytes", self.written[side])

    def to_json(self) -> dict[str, Any]:
        """For the history; what is empty is left out."""
        told = {
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
        return {name: value for name, value in told.items() if value not in (None, "", {})}


@dataclass
class LinkCount:
    """Everything of one link so far.

    Attributes:
        acts: by toxic, how often it acted: fired, began to swallow or to stall, turned a client away, let one direction
            end without the other, left a try to connect without an answer.
        keys: by key, the kinds of queries that named it.
        turned_away: clients that a toxic at the door dealt with.
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
        """For the history: each connection and key, up to a limit, and how many more there were."""
        connections, keys = list(self.connections.values()), sorted(self.keys)
        told = {
            "connections": [one.to_json() for one in connections[:MOST_CONNECTIONS]],
            "more_connections": max(0, len(connections) - MOST_CONNECTIONS),
            "turned_away": self.turned_away,
            "acts": dict(self.acts),
            "keys": {key: sorted(self.keys[key]) for key in keys[:MOST_KEYS]},
            "more_keys": max(0, len(keys) - MOST_KEYS),
        }
        return {name: value for name, value in told.items() if value}


class EngineMeter:
    """Counts the links of one engine: the same questions as `kernel_meter.KernelMeter` answers, and a few more.

    Attributes:
        unreached: accepted connections of all links for which the upstream could not be reached.
        is_complete: whether no event was lost before it was read.
    """

    def __init__(self, api: EngineApi) -> None:
        self.unreached = 0
        self.is_complete = True
        self._api = api
        self._last = 0
        self._counts: dict[str, LinkCount] = {}

    def add(self, name: str, port: int, upstream_port: int) -> None:
        """Count this link from now on."""
        self._counts[name] = LinkCount()

    def forget(self, names: Sequence[str]) -> None:
        """These links are gone."""
        for name in names:
            self._counts.pop(name, None)

    def keeps(self, name: str, is_keeping: bool) -> None:
        """Nothing is guessed here, so it does not matter."""

    def count(self, name: str) -> LinkCount:
        """As of the last look."""
        return self._counts[name]

    def held(self, name: str) -> Sequence[tuple[int, frozenset[str]]]:
        """Bytes that are kept back were read, and are counted as any."""
        return ()

    def look(self) -> None:
        """Read everything anew; open connections first, so that one which ends meanwhile is told by its event."""
        live = self._api.connections()
        self._read_events()
        for said in live:
            carried = self._carried(said["proxy"], said["id"])
            if carried is not None and carried.closed_ns is None:
                carried.count(said)

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
        what, carried = event["event"], link.connections.get(event.get("connection", 0))
        if what == "accept":
            link.connections[event["connection"]] = ConnectionRecord(event["time_ns"])
        elif what == "turned away":
            link.turned_away += 1
        if what in ("fired", "swallows", "stalls", "turned away", "half closed"):
            link.acts[event["toxic"]] += 1
        elif what == "unanswered":
            link.acts[event["toxic"]] += event["tries"]
        if carried is not None:
            self._take_of(event, link, carried)

    def _take_of(self, event: Mapping[str, Any], link: LinkCount, carried: ConnectionRecord) -> None:
        what, time_ns = event["event"], event["time_ns"]
        if what == "dial":
            carried.dialled_ns = time_ns
        elif what == "first byte":
            carried.first_ns[event["direction"]] = time_ns
        elif what == "end":
            carried.ended_ns[event["direction"]] = time_ns
        elif what in ("query", "reply"):
            carried.messages[f"{what} {event['kind']}"] += 1
            for key in event.get("keys", ()):
                link.keys.setdefault(key, set()).add(event["kind"])
        elif what == "transparent":
            carried.opaque = event["why"]
        elif what == "close":
            carried.closed_ns, carried.because = time_ns, event["cause"] or ""
            carried.count(event)
            self.unreached += carried.because.startswith("dial failed")

    def _carried(self, name: str, identity: int) -> ConnectionRecord | None:
        link = self._counts.get(name)
        return None if link is None else link.connections.get(identity)
