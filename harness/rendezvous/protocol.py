"""The values of the join's protocol: who joins, what is asked of the server, how a join ends.

A join is a pure state, the master's (`master_join`) or a worker's (`worker_join`): it says what to ask the server, and
the replies give the next state. docs/rendezvous.md explains it; tests/rendezvous/test_join_model.py explores it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, List, Tuple, TypeVar, Union

from . import keys
from .operations import Operation, Replies, Reply

COMMITTED = 1 << 32
"""Added to a round's version when the round is whole; the lower bits count joins that were withdrawn or replaced."""

GO, PRESENT, GONE, CLOSED, DOUBLED = "go", "1", "-", "closed", "x"


@dataclass(frozen=True)
class Participant:
    """Who joins: one call of next_rendezvous in one process."""

    run_id: str
    rank: int
    world_size: int
    nonce: str
    process: str
    """Host and process id, for messages; without spaces and line ends."""

    @property
    def name(self) -> str:
        """What the slot of the rank holds."""
        return f"{self.nonce} {self.process}"


@dataclass(frozen=True)
class Request:
    """Operations to send at once; the state gets the replies of `operations` together.

    Attributes:
        prefetch: what the next state will most likely ask. It may be sent at once too, because it only reads.
        pause: whether to pause before sending, because the last read did not find what the state waits for.
    """

    operations: Tuple[Operation, ...]
    prefetch: Tuple[Operation, ...] = ()
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
class Withdrawn:
    """The join was withdrawn before the round was whole.

    Attributes:
        missing: ranks whose slots nobody has claimed.
        silent: ranks whose slots were claimed, but which did not answer the call.
    """

    missing: Tuple[int, ...] = ()
    silent: Tuple[int, ...] = ()


Outcome = Union[Joined, Refused, Withdrawn]
OUTCOMES = (Joined, Refused, Withdrawn)

J = TypeVar("J", bound="Join")


@dataclass(frozen=True)
class Join:
    """One join at one stage of it; a subclass has two methods for each stage, `_ask_STAGE` and `_hear_STAGE`."""

    participant: Participant
    incarnation: keys.Incarnation
    round: int
    stage: str

    @property
    def keys(self) -> keys.RoundKeys:
        return self.incarnation.round(self.round)

    def ask(self) -> Request:
        """What to ask the server at this stage."""
        request: Request = getattr(self, f"_ask_{self.stage}")()
        return request

    def hear(self: J, replies: Replies) -> Union[J, Outcome]:
        """The next state, or the outcome."""
        after: Union[J, Outcome] = getattr(self, f"_hear_{self.stage}")(*present(replies))
        return after

    def at(self: J, stage: str, **changes: Any) -> J:
        """The same join at another stage."""
        return replace(self, stage=stage, **changes)


@dataclass(frozen=True)
class Record:
    """What the master publishes about its run."""

    incarnation: keys.Incarnation
    world_size: int
    round: int

    @property
    def text(self) -> str:
        return f"{self.incarnation.name} {self.world_size} {self.round}"

    @classmethod
    def of(cls, text: str) -> Record:
        """Raises ValueError if the text is not a record."""
        name, size, number = text.split(" ")
        return cls(keys.Incarnation(name), int(size), int(number))


def refusal(participant: Participant, decision: str) -> Refused:
    """Why a join is refused, by the decision that was written for it."""
    if decision == CLOSED:
        return Refused(f"run {participant.run_id!r} was closed", closed=True)
    other = decision[len(DOUBLED) :].strip() or "another process"
    rank = participant.rank
    return Refused(f"rank {rank} is doubled: {other} joined as rank {rank} too, and later")


def is_refusal(decision: str) -> bool:
    return decision == CLOSED or decision.startswith(DOUBLED)


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


def missing(slots: Tuple[str, ...]) -> Tuple[int, ...]:
    """The ranks whose slots hold nobody."""
    return tuple(rank for rank, name in enumerate(slots) if name in ("", GONE))


def present(replies: Replies) -> List[Reply]:
    """The replies of those operations that have one."""
    return [reply for reply in replies if reply is not None]
