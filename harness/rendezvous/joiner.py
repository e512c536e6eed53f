"""The join of a rank that is not the master: claim the rank's slot, answer when called, read what became of it."""

from __future__ import annotations

from typing import NamedTuple, Tuple, Union

from harness.rendezvous import keys, protocol
from harness.rendezvous.operations import Add, Append, CompareSet, Get, MultiGet, MultiSet, Replies, Reply, Set, Wait
from harness.rendezvous.protocol import (
    COMMITTED,
    DOUBLED,
    GO,
    GONE,
    PRESENT,
    Ask,
    Joined,
    Left,
    Outcome,
    Record,
    Refused,
    Seat,
    number,
    text,
    texts,
)

LOOK, ABSENT, CLAIM, REPLACE, EXPEL, CALLED, ANSWER, READ, GLANCE, YIELD = (
    "look",
    "absent",
    "claim",
    "replace",
    "expel",
    "called",
    "answer",
    "read",
    "glance",
    "yield",
)
_NOWHERE = keys.Incarnation("")


class Joiner(NamedTuple):
    """One join, at one stage of it.

    Attributes:
        round: the one that it joins; 0 before it knows.
        occupant: who holds the slot that it wants.
        again: whether an earlier connection of this same join was lost.
    """

    seat: Seat
    stage: str = LOOK
    incarnation: keys.Incarnation = _NOWHERE
    round: int = 0
    occupant: str = ""
    again: bool = False

    @property
    def may_have_claimed(self) -> bool:
        """Whether the slot may hold this join, in which case leaving must take it back."""
        return self.round > 0

    @property
    def keys(self) -> keys.RoundKeys:
        return self.incarnation.round(self.round)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for others, who may be long; then it should glance at times."""
        return self.stage in (CALLED, ANSWER)

    def glance(self) -> Joiner:
        """Look whether the slot is still its own: who replaced it may have died before it could say so."""
        return self._replace(stage=GLANCE)

    def reconnected(self) -> Joiner:
        """The same join over a new connection: it looks again, and is the same to everybody."""
        return self._replace(stage=LOOK, occupant="", again=self.may_have_claimed)

    def ask(self) -> Ask:
        """What to ask now."""
        ask: Ask = getattr(self, f"_ask_{self.stage}")()
        return ask

    def hear(self, replies: Replies) -> Union[Joiner, Outcome]:
        """The next state, or how it ended."""
        after: Union[Joiner, Outcome] = getattr(self, f"_hear_{self.stage}")(*protocol.heard(replies))
        return after

    # Finding the run.

    def _ask_look(self) -> Ask:
        return Ask((Get(keys.record(self.seat.run_id)),))

    def _hear_look(self, found: str) -> Union[Joiner, Outcome]:
        if not found:
            return self._replace(stage=ABSENT)
        try:
            record = Record.of(found)
        except ValueError:
            return Refused(f"run {self.seat.run_id!r} has a record that cannot be read: {found!r}")
        if record.world_size != self.seat.world_size:
            return Refused(
                f"rank {self.seat.rank} was told a world size of {self.seat.world_size}, but rank 0 opened "
                f"run {self.seat.run_id!r} for {record.world_size}"
            )
        return self._of(record)

    def _of(self, record: Record) -> Joiner:
        if record.incarnation == self.incarnation:
            return self._replace(stage=CLAIM)
        return self._replace(stage=CLAIM, again=False, incarnation=record.incarnation, round=record.round)

    def _ask_absent(self) -> Ask:
        return Ask((Wait((keys.record(self.seat.run_id),)),))

    def _hear_absent(self) -> Joiner:
        return self._replace(stage=LOOK)

    # Claiming the slot. Who claims then reads `closed`, who closes then reads the slots: one sees the other.

    def _ask_claim(self) -> Ask:
        claim = CompareSet(self.keys.slot(self.seat.rank), "", self.seat.name)
        late = (Append(self.keys.late, f"{self.seat.rank} "),) if self.round > 1 else ()
        fate = (Get(self.keys.fate(self.seat.nonce)),) if self.again else ()
        standing = (Get(self.incarnation.closed), Add(self.keys.version, 0))
        return Ask((*fate, claim, *late, *standing), ahead=self._wait_for_call())

    def _hear_claim(self, *replies: Reply) -> Union[Joiner, Outcome]:
        fate, holder, closed = (text(reply) for reply in ("", *replies[:-1])[-3:])
        if protocol.is_bad(fate):
            return protocol.refusal(self.seat, fate)
        if closed:
            return protocol.refusal(self.seat, protocol.CLOSED)
        if holder == self.seat.name:
            return self._replace(stage=CALLED)
        if number(replies[-1]) >= COMMITTED and not self.again:
            return self._in_next_round()
        return self._replace(stage=REPLACE, occupant=holder)

    def _in_next_round(self) -> Joiner:
        return self._replace(stage=CLAIM, round=self.round + 1, occupant="", again=False)

    def _ask_replace(self) -> Ask:
        take = CompareSet(self.keys.slot(self.seat.rank), self.occupant, self.seat.name)
        return Ask((take, Add(self.keys.version, 1), Get(self.keys.roster)))

    def _hear_replace(self, holder: str, version: int, roster: str) -> Union[Joiner, Outcome]:
        if version >= COMMITTED:
            return self._in(roster) or self._in_next_round()
        if holder != self.seat.name:
            return self._replace(occupant=holder)
        return self._replace(stage=CALLED if self.occupant == GONE else EXPEL)

    def _ask_expel(self) -> Ask:
        word, old = f"{DOUBLED} {self.seat.who}", self.occupant.split(" ")[0]
        pairs = ((self.keys.fate(old), word), (self.keys.call(old), word), (self.keys.answer(old), DOUBLED))
        return Ask((MultiSet(pairs),), ahead=self._wait_for_call())

    def _hear_expel(self) -> Joiner:
        return self._replace(stage=CALLED, occupant="")

    # Being called, and told.

    def _wait_for_call(self) -> Tuple[Wait]:
        return (Wait((self.keys.call(self.seat.nonce),)),)

    def _ask_called(self) -> Ask:
        return Ask(self._wait_for_call())

    def _hear_called(self) -> Joiner:
        return self._replace(stage=ANSWER, occupant="")

    def _ask_answer(self) -> Ask:
        # Whatever the call says: who calls to say that the join is out has written its fate before.
        nonce = self.seat.nonce
        return Ask((Set(self.keys.answer(nonce), PRESENT), Wait((self.keys.fate(nonce),))))

    def _hear_answer(self) -> Joiner:
        return self._replace(stage=READ)

    def _ask_read(self) -> Ask:
        return Ask((Get(self.keys.fate(self.seat.nonce)), Get(self.keys.roster)))

    def _hear_read(self, fate: str, roster: str) -> Outcome:
        return self._joined(roster) if fate == GO else protocol.refusal(self.seat, fate)

    # Looking around while it waits.

    def _ask_glance(self) -> Ask:
        return Ask((Get(self.keys.fate(self.seat.nonce)), Get(self.keys.slot(self.seat.rank))))

    def _hear_glance(self, fate: str, holder: str) -> Union[Joiner, Outcome]:
        if fate == GO:
            return self._replace(stage=READ)
        if protocol.is_bad(fate):
            return protocol.refusal(self.seat, fate)
        if holder == self.seat.name:
            return self._replace(stage=CALLED)
        return self._replace(stage=REPLACE if holder == GONE else YIELD, occupant=holder)

    def _ask_yield(self) -> Ask:
        # Once the version is changed, the round cannot become whole with this join in it.
        answer = Set(self.keys.answer(self.seat.nonce), DOUBLED)
        return Ask((Add(self.keys.version, 1), answer, Get(self.keys.roster)))

    def _hear_yield(self, version: int, roster: str) -> Outcome:
        joined = self._in(roster) if version >= COMMITTED else None
        return joined or protocol.refusal(self.seat, f"{DOUBLED} {self.occupant.split(' ')[-1]}")

    # Leaving at the deadline.

    def ask_to_leave(self) -> Ask:
        """Take the join back, unless the round is whole already."""
        return Ask(
            (
                CompareSet(self.keys.slot(self.seat.rank), self.seat.name, GONE),
                Add(self.keys.version, 1),
                Set(self.keys.answer(self.seat.nonce), GONE),
                Get(self.keys.roster),
                MultiGet(self.keys.slots(range(self.seat.world_size))),
            )
        )

    def hear_leaving(self, replies: Replies) -> Outcome:
        """Joined, if the round was whole before this join could be taken back."""
        _, version, roster, slots = protocol.heard(replies)
        joined = self._in(text(roster)) if number(version) >= COMMITTED else None
        others = (rank for rank in protocol.missing(texts(slots)) if rank != self.seat.rank)
        return joined or Left(tuple(others))

    def _in(self, roster: str) -> Union[Joined, None]:
        return self._joined(roster) if self.seat.name in protocol.roster_of(roster) else None

    def _joined(self, roster: str) -> Joined:
        return Joined(self.incarnation, self.round, protocol.roster_of(roster))
