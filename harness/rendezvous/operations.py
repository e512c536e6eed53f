"""What can be asked of a TCPStore server: the messages of the join, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple, Union


@dataclass(frozen=True)
class Get:
    """The value of a key; empty if there is none. Never waits."""

    key: str


@dataclass(frozen=True)
class Set:
    """No reply."""

    key: str
    value: str


@dataclass(frozen=True)
class CompareSet:
    """Replace `expected` by `desired`, empty meaning absent; replies what is there afterwards.

    As torch's server does it, a missing key of which something was expected stays missing, and the reply is `expected`.
    """

    key: str
    expected: str
    desired: str


@dataclass(frozen=True)
class Add:
    """Add to a number, absent meaning 0; replies the sum."""

    key: str
    amount: int


@dataclass(frozen=True)
class Wait:
    """The reply comes when all keys are there."""

    keys: Tuple[str, ...]


@dataclass(frozen=True)
class MultiGet:
    """The values of keys, each as `Get` would reply it."""

    keys: Tuple[str, ...]


@dataclass(frozen=True)
class MultiSet:
    """Several keys in one message; no reply."""

    pairs: Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Append:
    """Add text behind what is there; no reply."""

    key: str
    value: str


@dataclass(frozen=True)
class Delete:
    """Replies how many keys are gone: 0 or 1."""

    key: str


Operation = Union[Get, Set, CompareSet, Add, Wait, MultiGet, MultiSet, Append, Delete]
Reply = Union[None, str, int, Tuple[str, ...]]
Replies = List[Reply]
