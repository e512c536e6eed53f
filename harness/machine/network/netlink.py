"""Netlink messages: a header, a body, and attributes in the body, as the kernel reads and writes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

REQUEST, ACKNOWLEDGE, DUMP, CREATE = 0x1, 0x4, 0x300, 0x600
"""Flags of a request: always; answer with an error number; answer with all; make what is not there."""

ERROR, DONE = 2, 3
"""Kinds of answers: an error number (0 is success), and the end of a dump."""

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


def message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    """A message of its header and a body."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, body) of each message in received bytes."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, at)
        yield kind, data[at + HEADER.size : at + length]
        at += max(HEADER.size, _aligned(length))


def error_number(body: bytes) -> int:
    """The error of an `ERROR` message, as `errno` names it; 0 for success."""
    (number,) = struct.unpack_from("=i", body)
    return -int(number)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def find_attribute(data: bytes, wanted: int, start: int = 0) -> bytes | None:
    """The value of the first attribute of a kind, from an offset on; None if there is none."""
    at = start
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind == wanted:
            return data[at + _ATTRIBUTE.size : at + length]
        at += max(_ATTRIBUTE.size, _aligned(length))
    return None


def _aligned(length: int) -> int:
    return (length + 3) & ~3
