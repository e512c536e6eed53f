"""The messages of torch's store that a proxy server decoded during a play, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Optional, Tuple

from harness.values.json import Fields

QUERY, REPLY = "query", "reply"
SIDES = (QUERY, REPLY)

PASSED, DROPPED, CUT, KEPT = "passed", "dropped", "cut", "kept"
FATES = (PASSED, DROPPED, CUT, KEPT)
"""Passed: its last byte was sent on. Dropped: a toxic swallowed it. Cut: its connection ended before its last byte was
sent on. Kept: it was still in the proxy server when the play ended."""


@dataclass(frozen=True)
class WireMessage:
    """One message that reached the proxy server.

    Attributes:
        number: from 1, in the order of arrival over all links; unique in a play.
        time_ns: when its first byte had arrived, on CLOCK_MONOTONIC: the proxy server has read it.
        rank: the rank process that the link belongs to.
        connection: the number of its connection; unique in a play.
        side: one of `SIDES`.
        kind: the name of its query (`set`, `add`, ...); a reply has that of its query.
        keys: as they are on the wire, with all prefixes.
        fate: one of `FATES`.
        sent_ns: just before its last byte was sent on; None unless it is `PASSED`.
        held_ns: for how long a toxic on messages held it, until it went on.
        by: the toxic that dropped, cut or held it, by its name: that of its fault, `-` and its stream; empty if none
            did.
        answers: of a reply, the number of its query; None if that is not known, and of a query.
    """

    number: int
    time_ns: int
    rank: int
    connection: int
    side: str
    kind: str
    keys: Tuple[str, ...] = ()
    fate: str = PASSED
    sent_ns: Optional[int] = None
    held_ns: int = 0
    by: str = ""
    answers: Optional[int] = None

    def to_json(self) -> Dict[str, Any]:
        """A mapping for one JSON line; empty fields are left out."""
        row: Dict[str, Any] = {
            "number": self.number,
            "time_ns": self.time_ns,
            "rank": self.rank,
            "connection": self.connection,
            "side": self.side,
            "kind": self.kind,
            "fate": self.fate,
        }
        for name in ("sent_ns", "held_ns", "by", "answers"):
            value = getattr(self, name)
            if value not in (None, "", 0):
                row[name] = value
        if self.keys:
            row["keys"] = list(self.keys)
        return row

    @classmethod
    def from_json(cls, row: Any) -> WireMessage:
        """The message that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        return cls(
            number=fields.whole("number", 1),
            time_ns=fields.whole("time_ns"),
            rank=fields.whole("rank"),
            connection=fields.whole("connection"),
            side=fields.one_of("side", SIDES),
            kind=fields.text("kind"),
            keys=fields.texts("keys", ()),
            fate=fields.one_of("fate", FATES),
            sent_ns=fields.whole_or_none("sent_ns"),
            held_ns=fields.whole("held_ns", 0, 0),
            by=fields.text("by", ""),
            answers=fields.whole_or_none("answers"),
        )


@dataclass(frozen=True)
class Wire:
    """All messages of a play, in the order of arrival.

    Attributes:
        dropped: how many messages are missing because a limit was reached; 0 if none is.
        undecoded: on how many connections messages are missing because from some byte on the traffic was not that of a
            known store.
    """

    messages: Tuple[WireMessage, ...] = ()
    dropped: int = 0
    undecoded: int = 0

    @property
    def is_complete(self) -> bool:
        return self.dropped == 0 and self.undecoded == 0

    def without_oldest(self, count: int) -> Wire:
        """The same without the oldest messages, numbered from 1 again."""
        kept = self.messages[count:]
        return Wire(tuple(_moved(message, count) for message in kept), self.dropped + count, self.undecoded)


def _moved(message: WireMessage, by: int) -> WireMessage:
    answers = message.answers
    moved = None if answers is None or answers <= by else answers - by
    return replace(message, number=message.number - by, answers=moved)
