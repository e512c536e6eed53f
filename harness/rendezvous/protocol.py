"""The join as a worker and as the master see it: pure states that say what to ask the server, and hear its replies.

docs/rendezvous.md explains it; tests/rendezvous/test_join_model.py explores it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple, Union

from harness.rendezvous import keys
from harness.rendezvous.operations import Operation, Replies, Reply

COMMITTED = 1 << 32
"""Added to a round's version when the round is whole; what is below counts joins taken back or replaced."""

GO, PRESENT, GONE, CLOSED, DOUBLED = "go", "1", "-", "closed", "x"


@dataclass(frozen=True)
class Seat:
    """Who joins: one call of next_rendezvous in one process."""

    run_id: str
    rank: int
    world_size: int
    nonce: str
    who: str
    """Host and process, for messages; without spaces and line ends."""

    @property
    def name(self) -> str:
        """What stands in the slot of the rank."""
        return f"{self.nonce} {self.who}"


@dataclass(frozen=True)
class Ask:
    """Operations to send in one go; all replies but those of `ahead` are awaited before the state hears them.

    Attributes:
        ahead: what the next state will most likely ask. It may be sent already, since it only reads.
        pause: whether to wait a little first: the last time, what was read was not what was hoped for.
    """

    operations: Tuple[Operation, ...]
    ahead: Tuple[Operation, ...] = ()
    pause: bool = False


@dataclass(frozen=True)
class Joined:
    """The round is whole, and this join is part of it."""

    incarnation: keys.Incarnation
    round: int
    roster: Tuple[str, ...]
    """The name in each slot, by rank."""


@dataclass(frozen=True)
class Refused:
    """This join cannot succeed."""

    because: str
    closed: bool = False


@dataclass(frozen=True)
class Left:
    """The join was taken back before the round was whole.

    Attributes:
        missing: ranks that nobody has joined as.
        silent: ranks that were joined as, but did not answer when they were called.
    """

    missing: Tuple[int, ...] = ()
    silent: Tuple[int, ...] = ()


Outcome = Union[Joined, Refused, Left]
OUTCOMES = (Joined, Refused, Left)


@dataclass(frozen=True)
class Record:
    """What the master publishes of its run."""

    incarnation: keys.Incarnation
    world_size: int
    round: int

    @property
    def text(self) -> str:
        return f"{self.incarnation.name} {self.world_size} {self.round}"

    @classmethod
    def of(cls, text: str) -> Record:
        """Raises ValueError if it is none."""
        name, size, number = text.split(" ")
        return cls(keys.Incarnation(name), int(size), int(number))


def refusal(seat: Seat, fate: str) -> Refused:
    """Why a join is out, by the word that was left for it."""
    if fate == CLOSED:
        return Refused(f"run {seat.run_id!r} was closed", closed=True)
    other = fate[len(DOUBLED) :].strip() or "another process"
    return Refused(f"rank {seat.rank} is doubled: {other} joined as rank {seat.rank} too, and later")


def is_bad(fate: str) -> bool:
    return fate == CLOSED or fate.startswith(DOUBLED)


def roster_of(text: str) -> Tuple[str, ...]:
    return tuple(text.split("\n"))


def text(reply: Reply) -> str:
    assert isinstance(reply, str)
    return reply


def number(reply: Reply) -> int:
    return int(reply) if isinstance(reply, (int, str)) and reply != "" else 0


def texts(reply: Reply) -> Tuple[str, ...]:
    assert isinstance(reply, tuple)
    return reply


def missing(slots: Tuple[str, ...], first: int = 0) -> Tuple[int, ...]:
    """The ranks, from `first` on, whose slots hold nobody."""
    return tuple(rank for rank, name in enumerate(slots, first) if name in ("", GONE))


def heard(replies: Replies) -> List[Reply]:
    """The replies of those operations that have one."""
    return [reply for reply in replies if reply is not None]
