"""The store's messages as they pass a link: there is no framing, so they are read field by field."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase

from harness.reproduce.parts.log import Moment, rows

# By the code of a query: its fields and its reply's. b is a byte, u 32 bits, i 64 bits; k a key and v a value, each
# with its length; K a count and keys, P a count and pairs, q a count of 0 or more and, unless it is 0, one value; V
# a value for each key of the query.
GRAMMAR = {
    "validate": ("u", ""), "set": ("kv", ""), "compare_set": ("kvv", "v"), "get": ("k", "v"), "add": ("ki", "i"),
    "check": ("K", "b"), "wait": ("K", "b"), "getnumkeys": ("", "i"), "delete_key": ("k", "i"), "append": ("kv", ""),
    "multi_get": ("K", "V"), "multi_set": ("P", ""), "cancel_wait": ("", "b"), "ping": ("u", "u"),
    "queue_push": ("kv", ""), "queue_pop": ("k", "q"), "queue_len": ("k", "i"), "list_keys": ("", "K"),
    "barrier": ("ki", "b"),
}  # fmt: skip
CANCELLED = 1  # the answer to a cancel; the wait that it cancelled gets none


SIZES = {"b": 1, "u": 4, "i": 8}
REPEATED = {"K": "k", "P": "kv", "q": "v"}
CANCELLED = 1  # the answer to a cancel; the wait that it cancelled gets none


class Message(bytes):
    """The bytes of one message."""

    side, kind = "", ""
    keys: tuple[str, ...] = ()


def fits(message_keys: tuple[str, ...], key: str) -> bool:
    return key == "*" or any(fnmatchcase(one, key) or fnmatchcase(one[1:], key) for one in message_keys)


class Incomplete(Exception):
    """More bytes are needed."""


def read(data: bytes, at: int, fields: str, keys: list[str]) -> int:
    """Where these fields end that begin at `at`; appends the keys that are in them."""
    for field in fields:
        if field in SIZES:
            at += SIZES[field]
            continue
        if len(data) < at + 8:
            raise Incomplete
        number, at = int.from_bytes(data[at : at + 8], "little"), at + 8
        if field in REPEATED:
            at = read(data, at, REPEATED[field] * (min(number, 1) if field == "q" else number), keys)
            continue
        if field == "k":
            keys.append(data[at : at + number].decode(errors="replace"))
        at += number
    if len(data) < at:
        raise Incomplete
    return at


class Messages:
    """Both directions of one connection."""

    def __init__(self) -> None:
        self.rest: dict[str, bytes] = {"upstream": b"", "downstream": b""}
        self.asked: deque[Message] = deque()  # queries that are not answered yet

    def split(self, direction: str, data: bytes) -> Iterator[bytes]:
        self.rest[direction] += data
        while rest := self.rest[direction]:
            try:
                message = self.query(rest) if direction == "upstream" else self.reply(rest)
            except Incomplete:
                break
            self.rest[direction] = rest[len(message) :]
            yield message
        if not data:
            yield data

    def query(self, data: bytes) -> Message:
        keys: list[str] = []
        kind = list(GRAMMAR)[data[0]]
        message = Message(data[: read(data, 1, GRAMMAR[kind][0], keys)])
        message.side, message.kind, message.keys = "query", kind, tuple(keys)
        return message

    def reply(self, data: bytes) -> Message:
        query = self.asked[0]
        following = self.asked[1] if len(self.asked) > 1 else query
        if query.kind == "wait" and data[0] == CANCELLED and following.kind == "cancel_wait":
            query = following
        fields = GRAMMAR[query.kind][1].replace("V", "v" * len(query.keys))
        message = Message(data[: read(data, 0, fields, [])])
        message.side, message.kind, message.keys = "reply", query.kind, query.keys
        while self.asked.popleft() is not query:
            pass
        return message

    def passes(self, piece: bytes) -> None:
        if isinstance(piece, Message) and piece.side == "query" and GRAMMAR[piece.kind][1]:
            self.asked.append(piece)


def when_message(side: str, kind: str, *ranks: int, key: str = "*", count: int = 1, plus: float = 0.0) -> Moment:
    """When the count-th query of a kind, or reply to one, has passed the links of these ranks (of all if none)."""

    def came() -> float | None:
        passed = [row for row in rows(state="passed", side=side) if not ranks or row["link"] in ranks]
        found = [row for row in passed if kind in ("*", row["kind"]) and fits(row["keys"], key)]
        return float(found[count - 1]["time"]) + plus if len(found) >= count else None

    return came
