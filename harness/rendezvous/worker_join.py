"""The join of a worker, a rank that is not the master: claim the rank's slot, answer the call, read the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple, Union

from . import keys, protocol
from .operations import Add, Append, CompareSet, Get, MultiGet, MultiSet, Replies, Reply, Set, Wait
from .protocol import (
    COMMITTED,
    DOUBLED,
    GO,
    GONE,
    PRESENT,
    Join,
    Joined,
    Outcome,
    Record,
    Refused,
    Request,
    Withdrawn,
    number,
    text,
    texts,
)

LOOK, ABSENT, CLAIM, REPLACE, EXPEL, CALLED, ANSWER, READ, RECHECK, YIELD = (
    "look",
    "absent",
    "claim",
    "replace",
    "expel",
    "called",
    "answer",
    "read",
    "recheck",
    "yield",
)
_UNKNOWN = keys.Incarnation("")


@dataclass(frozen=True)
class WorkerJoin(Join):
    """A worker's join, at one stage of it.

    Attributes:
        round: the round that it joins; 0 before it knows.
        occupant: the name in the slot that it wants.
        again: whether an earlier connection of this join was lost.
    """

    incarnation: keys.Incarnation = _UNKNOWN
    round: int = 0
    stage: str = LOOK
    occupant: str = ""
    again: bool = False

    @property
    def may_have_claimed(self) -> bool:
        """Whether the slot may hold this join, which then must be withdrawn at the deadline."""
        return self.round > 0

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for other ranks, for as long as they take; then it must recheck its slot at times."""
        return self.stage in (CALLED, ANSWER)

    def recheck(self) -> WorkerJoin:
        """Read whether the slot is still its own: a process that replaced it may have died before it wrote that."""
        return self.at(RECHECK)

    def reconnected(self) -> WorkerJoin:
        """The same join over a new connection: it looks again, and is the same join to everybody."""
        return self.at(LOOK, occupant="", again=self.may_have_claimed)

    # Finding the run.

    def _ask_look(self) -> Request:
        return Request((Get(keys.record(self.participant.run_id)),))

    def _hear_look(self, found: str) -> Union[WorkerJoin, Outcome]:
        if not found:
            return self.at(ABSENT)
        me = self.participant
        try:
            record = Record.of(found)
        except ValueError:
            return Refused(f"run {me.run_id!r} has a record that cannot be read: {found!r}")
        if record.world_size != me.world_size:
            return Refused(
                f"rank {me.rank} has a world size of {me.world_size}, but rank 0 opened "
                f"run {me.run_id!r} for {record.world_size}"
            )
        if record.incarnation == self.incarnation:
            return self.at(CLAIM)
        return self.at(CLAIM, again=False, incarnation=record.incarnation, round=record.round)

    def _ask_absent(self) -> Request:
        return Request((Wait((keys.record(self.participant.run_id),)),))

    def _hear_absent(self) -> WorkerJoin:
        return self.at(LOOK)

    # Claiming the slot. A worker claims and then reads `closed`; a process that closes the run writes `closed` and then
    # reads the slots. So one of the two sees the other.

    def _ask_claim(self) -> Request:
        claim = CompareSet(self.keys.slot(self.participant.rank), "", self.participant.name)
        late = (Append(self.keys.late, f"{self.participant.rank} "),) if self.round > 1 else ()
        decision = (Get(self.keys.decision(self.participant.nonce)),) if self.again else ()
        standing = (Get(self.incarnation.closed), Add(self.keys.version, 0))
        return Request((*decision, claim, *late, *standing), prefetch=self._wait_for_call())

    def _hear_claim(self, *replies: Reply) -> Union[WorkerJoin, Outcome]:
        decision, holder, closed = (text(reply) for reply in ("", *replies[:-1])[-3:])
        if protocol.is_refusal(decision):
            return protocol.refusal(self.participant, decision)
        if closed:
            return protocol.refusal(self.participant, protocol.CLOSED)
        if holder == self.participant.name:
            return self.at(CALLED)
        if number(replies[-1]) >= COMMITTED and not self.again:
            return self._in_next_round()
        return self.at(REPLACE, occupant=holder)

    def _in_next_round(self) -> WorkerJoin:
        return self.at(CLAIM, round=self.round + 1, occupant="", again=False)

    def _ask_replace(self) -> Request:
        take = CompareSet(self.keys.slot(self.participant.rank), self.occupant, self.participant.name)
        return Request((take, Add(self.keys.version, 1), Get(self.keys.roster)))

    def _hear_replace(self, holder: str, version: int, roster: str) -> Union[WorkerJoin, Outcome]:
        if version >= COMMITTED:
            return self._joined_if_in(roster) or self._in_next_round()
        if holder != self.participant.name:
            return self.at(REPLACE, occupant=holder)
        return self.at(CALLED if self.occupant == GONE else EXPEL)

    def _ask_expel(self) -> Request:
        decision, replaced = f"{DOUBLED} {self.participant.process}", self.occupant.split(" ")[0]
        pairs = (
            (self.keys.decision(replaced), decision),
            (self.keys.call(replaced), decision),
            (self.keys.answer(replaced), DOUBLED),
        )
        return Request((MultiSet(pairs),), prefetch=self._wait_for_call())

    def _hear_expel(self) -> WorkerJoin:
        return self.at(CALLED, occupant="")

    # Answering the call, and reading the decision.

    def _wait_for_call(self) -> Tuple[Wait]:
        return (Wait((self.keys.call(self.participant.nonce),)),)

    def _ask_called(self) -> Request:
        return Request(self._wait_for_call())

    def _hear_called(self) -> WorkerJoin:
        return self.at(ANSWER, occupant="")

    def _ask_answer(self) -> Request:
        # The call's text does not matter: a process that calls this join because it is refused has written the decision
        # before.
        nonce = self.participant.nonce
        return Request((Set(self.keys.answer(nonce), PRESENT), Wait((self.keys.decision(nonce),))))

    def _hear_answer(self) -> WorkerJoin:
        return self.at(READ)

    def _ask_read(self) -> Request:
        return Request((Get(self.keys.decision(self.participant.nonce)), Get(self.keys.roster)))

    def _hear_read(self, decision: str, roster: str) -> Outcome:
        return self._joined(roster) if decision == GO else protocol.refusal(self.participant, decision)

    # Rechecking the slot while it waits.

    def _ask_recheck(self) -> Request:
        me = self.participant
        return Request((Get(self.keys.decision(me.nonce)), Get(self.keys.slot(me.rank))))

    def _hear_recheck(self, decision: str, holder: str) -> Union[WorkerJoin, Outcome]:
        if decision == GO:
            return self.at(READ)
        if protocol.is_refusal(decision):
            return protocol.refusal(self.participant, decision)
        if holder == self.participant.name:
            return self.at(CALLED)
        return self.at(REPLACE if holder == GONE else YIELD, occupant=holder)

    def _ask_yield(self) -> Request:
        # Once the version has changed, the round cannot become whole with this join in it.
        answer = Set(self.keys.answer(self.participant.nonce), DOUBLED)
        return Request((Add(self.keys.version, 1), answer, Get(self.keys.roster)))

    def _hear_yield(self, version: int, roster: str) -> Outcome:
        joined = self._joined_if_in(roster) if version >= COMMITTED else None
        return joined or protocol.refusal(self.participant, f"{DOUBLED} {self.occupant.split(' ')[-1]}")

    # Withdrawing at the deadline.

    def ask_to_withdraw(self) -> Request:
        """Withdraw the join, unless the round is whole already."""
        me = self.participant
        return Request(
            (
                CompareSet(self.keys.slot(me.rank), me.name, GONE),
                Add(self.keys.version, 1),
                Set(self.keys.answer(me.nonce), GONE),
                Get(self.keys.roster),
                MultiGet(self.keys.slots(range(me.world_size))),
            )
        )

    def hear_withdrawal(self, replies: Replies) -> Outcome:
        """Joined, if the round was whole before this join could be withdrawn."""
        _, version, roster, slots = protocol.present(replies)
        joined = self._joined_if_in(text(roster)) if number(version) >= COMMITTED else None
        others = (rank for rank in protocol.missing(texts(slots)) if rank != self.participant.rank)
        return joined or Withdrawn(tuple(others))

    def _joined_if_in(self, roster: str) -> Union[Joined, None]:
        return self._joined(roster) if self.participant.name in protocol.roster_of(roster) else None

    def _joined(self, roster: str) -> Joined:
        return Joined(self.incarnation, self.round, protocol.roster_of(roster))
