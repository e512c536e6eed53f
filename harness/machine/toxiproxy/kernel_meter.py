"""Counts the traffic of each link from the kernel's counters of open connections and the server's of ended ones.

    rank ──▶ [link port]  proxy server  [any port] ──▶ master
              accepted ▲                 ▲ dialled
              exact per link             only the sum over all links to one upstream: nothing says which is whose

What ranks send is counted as it reaches the link port, so no toxic hides it. What the master sends is counted as it
leaves the link port; bytes that a toxic holds or drops are the difference between the dialled and the accepted sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from harness import clock
from harness.machine.network import sockets
from harness.machine.network.sockets import Connection
from harness.machine.process import pidfd

_OPEN = ("established", "close_wait")
_LOOKS_FOR_REST = 4
"""How often to look again while bytes are passing: how many are held is known only when none is moving."""

_STILL_NS = 20_000_000
"""A healthy link passes bytes on within some 50 us of processor time. On a busy machine the server waited for more than
2 ms, and bytes on their way looked like held ones; 20 ms are several turns of the scheduler."""

EndedBytes = Callable[[], "Mapping[tuple[str, str], int] | None"]
"""The server's count of the bytes of ended connections, by (link, direction); None if it has no such count."""


@dataclass
class KernelLinkCount:
    """The totals of one link; they only grow.

    Attributes:
        logged: connections that were accepted, according to the server's log.
        missed: upstream and downstream bytes of ended connections that passed after the last look.
        last: each connection as last seen in the kernel's table; `present`: the keys of those still there.
    """

    port: int
    upstream_port: int
    logged: int = 0
    missed: tuple[int, int] = (0, 0)
    last: dict[int, Connection] = field(default_factory=dict)
    present: frozenset[int] = frozenset()

    def take(self, accepted: Sequence[Connection]) -> None:
        """Take the accepted side of every connection of the link, as the kernel shows it now."""
        now = {connection.cookie or connection.remote.port: connection for connection in accepted}
        self.last.update(now)
        self.present = frozenset(now)

    def take_ended(self, upstream: int, downstream: int) -> None:
        """Take the server's count of the bytes of ended connections."""
        ending = [c for key, c in self.last.items() if key not in self.present or c.state != "established"]
        up = upstream - sum(c.received_bytes or 0 for c in ending)
        down = downstream - sum(c.sent_bytes or 0 for c in ending)
        self.missed = (max(self.missed[0], up), max(self.missed[1], down))

    @property
    def accepted(self) -> int:
        return max(self.logged, len(self.last))

    @property
    def open(self) -> list[Connection]:
        return [self.last[key] for key in self.present if self.last[key].state in _OPEN]

    @property
    def closed(self) -> list[Connection]:
        """The ended connections, as last seen."""
        return [c for key, c in self.last.items() if key not in self.present or c.state not in _OPEN]

    @property
    def gone(self) -> int:
        """How many connections have ended, seen or not."""
        return self.accepted - len(self.open)

    @property
    def ended(self) -> int:
        """How many connections have ended or are half-closed."""
        return self.accepted - sum(c.state == "established" for c in self.open)

    @property
    def upstream_bytes(self) -> int | None:
        return _sum((c.received_bytes for c in self.last.values()), self.missed[0])

    @property
    def downstream_bytes(self) -> int | None:
        return _sum((c.sent_bytes for c in self.last.values()), self.missed[1])


@dataclass(frozen=True)
class _Passage:
    """By connection, the bytes that came from the master (its FIN counts as one) and those that left the link ports."""

    came: Mapping[int, int]
    left: Mapping[int, int]

    @property
    def has_both_sides(self) -> bool:
        return len(self.came) == len(self.left)

    @property
    def kept_bytes(self) -> int:
        return sum(self.came.values()) - sum(self.left.values())


@dataclass(frozen=True)
class _Level:
    """How many bytes all links to one upstream hold, and whether that is certain."""

    bytes: int
    is_sure: bool = True


class KernelMeter:
    """Counts the links of one proxy server.

    Attributes:
        unreached: accepted connections of all links whose upstream could not be reached.

    Args:
        pid: the server's, for the sockets that it dialled; None if unknown.
        log_path: the server's log, for connections that came and went between two looks; None if there is none.
        ended_bytes: asks the server.
        inside: a context in which the sockets of the server's network are visible.
    """

    def __init__(
        self,
        pid: int | None,
        log_path: Path | None,
        ended_bytes: EndedBytes,
        inside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.unreached = 0
        self._pid = pid
        self._log_path = log_path
        self._log_offset = 0
        self._ended_bytes = ended_bytes
        self._inside = inside
        self._asked_at = 0
        self._ask_again = False
        self._server_counts = True
        self._counts: dict[str, KernelLinkCount] = {}
        self._held: dict[int, list[tuple[int, frozenset[str]]]] = {}
        self._held_level: dict[int, _Level] = {}
        self._keeping: set[str] = set()
        self._kept: set[str] = set()

    def add(self, name: str, port: int, upstream_port: int) -> None:
        """Count this link from now on."""
        self._counts[name] = KernelLinkCount(port, upstream_port)

    def forget(self, names: Sequence[str]) -> None:
        """Drop the counts of these links, which were deleted; with the last one the held bytes too."""
        for name in names:
            self._counts.pop(name, None)
            self._keeping.discard(name)
        if not self._counts:
            self._held.clear()
            self._held_level.clear()
            self._asked_at = 0

    def keeps(self, name: str, is_keeping: bool) -> None:
        """Note whether this link has downstream toxics, so that it may hold bytes."""
        if is_keeping:
            self._keeping.add(name)
            self._kept.add(name)
        else:
            self._keeping.discard(name)

    def count(self, name: str) -> KernelLinkCount:
        """As of the last look."""
        return self._counts[name]

    def held(self, name: str) -> Sequence[tuple[int, frozenset[str]]]:
        """Held bytes, one entry for each time they grew, with the links that may hold them."""
        return self._held.get(self._counts[name].upstream_port, ())

    @property
    def is_complete(self) -> bool:
        """Whether nothing that passed can have been missed."""
        return self._log_path is not None and self._server_counts and bool(self._dialled())

    def look(self) -> None:
        """Update all counts."""
        self._look_at_connections()
        self._look_at_log()
        self._look_at_ended()
        self._look_at_held()

    def _look_at_connections(self) -> Sequence[Connection]:
        with self._inside():
            everything = sockets.connections()
        by_port: dict[int, list[Connection]] = {}
        for connection in everything:
            by_port.setdefault(connection.local.port, []).append(connection)
        for count in self._counts.values():
            count.take(by_port.get(count.port, ()))
        return everything

    def _look_at_log(self) -> None:
        if self._log_path is None or not self._log_path.exists():
            return
        with self._log_path.open("rb") as log:
            log.seek(self._log_offset)
            new, newline, _ = log.read().rpartition(b"\n")
        self._log_offset += len(new) + len(newline)
        for line in new.splitlines():
            if b'"Accepted client"' in line:
                count = self._counts.get(json.loads(line).get("name"))
                if count is not None:
                    count.logged += 1
            elif b'"Unable to open connection to upstream"' in line:
                self.unreached += 1

    def _look_at_ended(self) -> None:
        """Ask the server when more connections have ended, and once again later: it counts a moment after it closes."""
        gone = sum(count.gone for count in self._counts.values())
        if gone == self._asked_at and not self._ask_again:
            return
        self._ask_again = gone != self._asked_at
        self._asked_at = gone
        ended = self._ended_bytes()
        self._server_counts = ended is not None
        # Look again: a connection that ended since the last look and is in the server's count would be counted twice.
        self._look_at_connections()
        for name, count in self._counts.items():
            if ended is None:
                return
            count.take_ended(ended.get((name, "upstream"), 0), ended.get((name, "downstream"), 0))

    def _look_at_held(self) -> None:
        holders, self._kept = frozenset(self._kept | self._keeping), set(self._keeping)
        for upstream_port in {count.upstream_port for count in self._counts.values()}:
            links = frozenset(name for name, count in self._counts.items() if count.upstream_port == upstream_port)
            known = self._held_level.get(upstream_port, _Level(0))
            now = self._level(upstream_port, known.bytes)
            self._held_level[upstream_port] = now
            grown = now.bytes - known.bytes
            if holders & links and (grown > 0 or not now.is_sure):
                # While bytes are passing, those on their way through any link look held too.
                may_keep = holders & links if now.is_sure and known.is_sure else links
                self._held.setdefault(upstream_port, []).append((grown, may_keep))

    def _level(self, upstream_port: int, known: int) -> _Level:
        """How many bytes are held; the last known number, and not sure, if bytes never stop moving."""
        passage = self._passage(upstream_port)
        for _ in range(_LOOKS_FOR_REST):
            before, passage = passage, self._passage(upstream_port)
            if passage != before or not passage.has_both_sides:
                continue
            if passage.kept_bytes <= known:
                return _Level(passage.kept_bytes)
            clock.sleep_ns(_STILL_NS)
            if not self._waits_for_processor() and self._passage(upstream_port) == passage:
                return _Level(passage.kept_bytes)
        return _Level(known, is_sure=False)

    def _passage(self, upstream_port: int) -> _Passage:
        everything = self._look_at_connections()
        dialled = self._dialled()
        links = [count for count in self._counts.values() if count.upstream_port == upstream_port]
        return _Passage(
            {
                c.cookie: (c.received_bytes or 0) + (c.state == "close_wait")
                for c in everything
                if c.remote.port == upstream_port and c.inode in dialled
            },
            {c.cookie: c.sent_bytes or 0 for count in links for c in count.open if c.inode},
        )

    def _waits_for_processor(self) -> bool:
        """Whether the server is runnable: then bytes may wait for it, and are not held by a toxic."""
        return self._pid is not None and pidfd.waits_for_processor(self._pid)

    def _dialled(self) -> set[int]:
        return sockets.inodes_of(self._pid) if self._pid is not None else set()


def _sum(numbers: Iterable[int | None], more: int) -> int | None:
    values = list(numbers)
    return None if None in values else sum(value or 0 for value in values) + more
