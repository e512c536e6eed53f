"""The operations of a TCPStore server that a join uses, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple, Union


@dataclass(frozen=True)
class Get:
    """Replies the value of a key, empty if there is none; never waits."""

    key: str


@dataclass(frozen=True)
class Set:
    """Set a key; no reply."""

    key: str
    value: str


@dataclass(frozen=True)
class CompareSet:
    """Replace `expected` by `desired`, with empty for absent; replies the value afterwards.

    With torch's server, a missing key for which a value is expected stays missing, and the reply is `expected`.
    """

    key: str
    expected: str
    desired: str


@dataclass(frozen=True)
class Add:
    """Add to a number, with absent for 0; replies the sum."""

    key: str
    amount: int


@dataclass(frozen=True)
class Wait:
    """The reply comes when all keys exist."""

    keys: Tuple[str, ...]


@dataclass(frozen=True)
class MultiGet:
    """Replies the values of several keys, each as `Get` would."""

    keys: Tuple[str, ...]


@dataclass(frozen=True)
class MultiSet:
    """Set several keys in one message; no reply."""

    pairs: Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Append:
    """Append text to the value of a key; no reply."""

    key: str
    value: str


@dataclass(frozen=True)
class Delete:
    """Replies how many keys were deleted: 0 or 1."""

    key: str


Operation = Union[Get, Set, CompareSet, Add, Wait, MultiGet, MultiSet, Append, Delete]
Reply = Union[None, str, int, Tuple[str, ...]]
Replies = List[Reply]
