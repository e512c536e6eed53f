"""Measures what a toxic does, around its script and not by it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from harness.values.toxic_effect import ToxicEffect


@dataclass
class _Passing:
    """A chunk, read at `read_ns`, that has not been sent on whole; `rest`: how many of its bytes are still to come."""

    since_ns: int
    rest: int
    read_ns: int
    pieces: int = 0


class Tally:
    """Follows the bytes of one stage from their arrival until they are sent on, and adds them to an effect.

    Attributes:
        acts: whether the toxic was drawn for this connection; what passes another one does not count.
    """

    def __init__(self, effect: ToxicEffect) -> None:
        self._effect = effect
        self._passing: deque[_Passing] = deque()
        self._taken = 0
        self._end_since_ns: int | None = None
        self._end_taken = False
        self._offered_ns: int | None = None
        self._free_since_ns = 0
        self._refused_ns: int | None = None
        self.acts = True

    def arrived(self, size: int, now_ns: int, read_ns: int) -> None:
        """A chunk has arrived, or the end (size 0)."""
        if size:
            since_ns, self._refused_ns = now_ns if self._refused_ns is None else self._refused_ns, None
            self._passing.append(_Passing(since_ns, size, read_ns))
        elif self._end_since_ns is None:
            self._end_since_ns = now_ns

    def refused(self, now_ns: int) -> None:
        """The toxic has no room for the next chunk while it waits, so it holds that chunk too."""
        if self._refused_ns is None:
            self._refused_ns = now_ns

    def taken(self, is_end: bool) -> None:
        """The toxic has received the next item."""
        if is_end:
            self._end_taken = True
        else:
            self._taken += 1

    def offered(self, now_ns: int) -> None:
        """The toxic wants to send bytes on; the next stage may have no room for them yet."""
        if self._offered_ns is None:
            self._offered_ns = now_ns

    def sent(self, size: int, now_ns: int) -> None:
        """Bytes that it had received were sent on."""
        offered_ns = now_ns if self._offered_ns is None else self._offered_ns
        self._offered_ns = None
        self._effect.passed_bytes += size if self.acts else 0
        while size > 0 and self._taken:
            first = self._passing[0]
            part = min(size, first.rest)
            first.rest -= part
            first.pieces += 1
            size -= part
            self._piece_passed(first, offered_ns)
        if offered_ns < now_ns:
            self._free_since_ns = now_ns

    def _piece_passed(self, chunk: _Passing, offered_ns: int) -> None:
        effect = self._effect
        held_ns = max(0, offered_ns - max(chunk.since_ns, self._free_since_ns))
        effect.longest_ns = max(effect.longest_ns, held_ns)
        if held_ns:
            effect.longest_age_ns = max(effect.longest_age_ns, offered_ns - chunk.read_ns)
        if chunk.pieces > 1:
            effect.split += chunk.pieces == 2
            effect.pieces += 2 if chunk.pieces == 2 else 1
        if not chunk.rest:
            effect.chunks += self.acts
            effect.held_ns += held_ns
            self._drop_first()

    def swallowed(self) -> None:
        """All bytes that it has received and not sent on are lost."""
        while self._taken:
            self._effect.swallowed_bytes += self._passing[0].rest
            self._drop_first()

    def ended(self, now_ns: int) -> None:
        """It has sent the end on."""
        self.swallowed()
        if not self._end_taken:
            self._effect.cuts += 1
            return
        self._effect.ends += 1
        held_ns = now_ns - (now_ns if self._end_since_ns is None else self._end_since_ns)
        self._effect.longest_end_ns = max(self._effect.longest_end_ns, held_ns)

    def reset(self) -> None:
        """It has made the connection end with RST."""
        self._effect.resets += 1

    def stopped(self, was_waiting: bool, with_queue: bool) -> None:
        """It no longer acts on what it has received, and with the queue also not on what had only arrived."""
        if was_waiting and self.holds:
            self._effect.cut_short += 1
        self._refused_ns = None
        while self._taken or (with_queue and self._passing):
            self._taken = max(1, self._taken)
            self._drop_first()

    @property
    def holds(self) -> bool:
        """Whether bytes or an end have arrived and were not sent on."""
        return bool(self._passing) or self._end_since_ns is not None or self._refused_ns is not None

    def waiting_ns(self, now_ns: int) -> int:
        """How long the oldest of what it holds has been held."""
        passing_ns = self._passing[0].since_ns if self._passing else None
        since_ns = next((one for one in (passing_ns, self._refused_ns, self._end_since_ns) if one is not None), now_ns)
        return max(0, now_ns - since_ns)

    def _drop_first(self) -> None:
        self._passing.popleft()
        self._taken -= 1
