"""What a toxic of the embedded engine has really done to the bytes of its connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class ToxicEffect:
    """The effect of one toxic on all connections of its proxy so far; times are nanoseconds.

    A piece is held from its arrival at the toxic until the toxic offers its last byte to the next stage, so a receiver
    that does not read makes nothing longer. Where nothing is done to the bytes, all of this stays 0 except `chunks`
    and `passed_bytes`: a chunk that only passes is sent on at the very time of its arrival.

    Attributes:
        chunks: that were sent on whole; `passed_bytes`: in all, also those of chunks that were not.
        held_ns: the sum over these chunks; `longest_ns`: the most that a piece of one was held.
        longest_age_ns: the most that had passed since the read from the connection, when a piece that was held at all
            was sent on: a latency counts from there, and holds a piece for less if another toxic has held it before.
            What another latency has added does not count.
        split: chunks that were sent on in two pieces or more, perhaps not to their end; `pieces`: how many these were.
        swallowed_bytes: that were received and will never be sent on.
        ends: of streams, that were sent on; `longest_end_ns`: the most that one of them was held.
        cuts: streams that it ended itself; `resets`: those of them that it ended with RST.
        cut_short: chunks and ends whose hold was ended by the end of the connection or by a change of toxics.
        waiting_ns: how long the oldest piece that is held now has been held.
    """

    chunks: int = 0
    passed_bytes: int = 0
    held_ns: int = 0
    longest_ns: int = 0
    longest_age_ns: int = 0
    split: int = 0
    pieces: int = 0
    swallowed_bytes: int = 0
    ends: int = 0
    longest_end_ns: int = 0
    cuts: int = 0
    resets: int = 0
    cut_short: int = 0
    waiting_ns: int = 0

    def to_json(self) -> dict[str, int]:
        """The fields that are not 0."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ToxicEffect:
        """What an engine tells; what it does not mention is 0, and what this version does not know is left out."""
        return cls(**{one.name: int(record.get(one.name, 0)) for one in fields(cls)})
