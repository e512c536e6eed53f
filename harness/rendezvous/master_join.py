"""The join of the master: open the run, wait for the slots, call everybody, and commit the round in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple, Union

from . import keys, protocol
from .operations import (
    Add,
    Append,
    CompareSet,
    Delete,
    Get,
    MultiGet,
    MultiSet,
    Operation,
    Replies,
    Set,
    Wait,
)
from .protocol import (
    COMMITTED,
    GO,
    PRESENT,
    Join,
    Joined,
    Outcome,
    Record,
    Refused,
    Request,
    Withdrawn,
    number,
    texts,
)

OPEN, GATHER, INSPECT, CALL, COUNT, COMMIT, PUBLISH = (
    "open",
    "gather",
    "inspect",
    "call",
    "count",
    "commit",
    "publish",
)


@dataclass(frozen=True)
class MasterJoin(Join):
    """The master's join, at one stage of it.

    Attributes:
        version: of the round, read before the slots.
        names: the names in the slots, by rank, the master's first; empty before they have been read.
        pause: whether the last look at the slots found one empty.
    """

    round: int = 1
    stage: str = OPEN
    version: int = 0
    names: Tuple[str, ...] = ()
    pause: bool = False

    @property
    def may_have_claimed(self) -> bool:
        """Always: the master holds slot 0 from the first stage on."""
        return True

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for other ranks, for as long as they take; then it must recheck the slots at times."""
        return self.stage in (GATHER, CALL)

    def recheck(self) -> MasterJoin:
        """Read the slots now, whatever it waits for."""
        return self.at(INSPECT)

    def reconnected(self) -> MasterJoin:
        """The same join over a new connection: whatever it wrote may be written again."""
        return self.at(PUBLISH if self.stage == PUBLISH else OPEN)

    # Opening the run, and claiming the master's own slot.

    def _record(self, number: int) -> Set:
        record = Record(self.incarnation, self.participant.world_size, number)
        return Set(keys.record(self.participant.run_id), record.text)

    def _ask_open(self) -> Request:
        # The version exists before the record does: it must be a number when a join is withdrawn.
        opened = (Add(self.keys.version, 0), self._record(self.round), Set(self.keys.slot(0), self.participant.name))
        return Request((*opened, Append(keys.RUNS, keys.quoted(self.participant.run_id) + " ")))

    def _hear_open(self, _version: int) -> MasterJoin:
        return self._gathering(pause=False)

    def _gathering(self, pause: bool) -> MasterJoin:
        return self.at(GATHER if self.participant.world_size > 1 else INSPECT, names=(), pause=pause)

    # Waiting until every slot is claimed.

    def _ask_gather(self) -> Request:
        return Request((Wait(self.keys.slots(range(1, self.participant.world_size))),), pause=self.pause)

    def _hear_gather(self) -> MasterJoin:
        return self.at(INSPECT)

    def _ask_inspect(self) -> Request:
        # The version before all else: the round is committed only if the version has not changed since. A process that
        # closes the run writes `closed` before it raises the version.
        slots = MultiGet(self.keys.slots(range(self.participant.world_size)))
        return Request((Get(self.keys.version), *self._standing(), slots))

    def _standing(self) -> Tuple[Operation, ...]:
        return (Get(self.incarnation.closed), Get(keys.record(self.participant.run_id)))

    def _hear_inspect(
        self, version: str, closed: str, record: str, slots: Tuple[str, ...]
    ) -> Union[MasterJoin, Outcome]:
        if closed:
            return protocol.refusal(self.participant, protocol.CLOSED)
        if record and Record.of(record).incarnation != self.incarnation:
            run_id = self.participant.run_id
            return Refused(f"rank 0 is doubled: another handler of this process opened run {run_id!r} later")
        if protocol.missing(slots):
            return self._gathering(pause=True)
        return self.at(CALL if len(slots) > 1 else COMMIT, version=int(version), names=slots)

    # Calling those who hold the slots: a join whose process is gone does not answer.

    def _nonces(self) -> Tuple[str, ...]:
        return tuple(name.split(" ")[0] for name in self.names[1:])

    def _ask_call(self) -> Request:
        calls = tuple((self.keys.call(nonce), PRESENT) for nonce in self._nonces())
        return Request((MultiSet(calls), Wait(self._answers())))

    def _hear_call(self) -> MasterJoin:
        return self.at(COUNT)

    def _answers(self) -> Tuple[str, ...]:
        return tuple(self.keys.answer(nonce) for nonce in self._nonces())

    def _ask_count(self) -> Request:
        return Request((MultiGet(self._answers()),))

    def _hear_count(self, answers: Tuple[str, ...]) -> MasterJoin:
        if all(answer == PRESENT for answer in answers):
            return self.at(COMMIT)
        return self._gathering(pause=True)

    # The one step that makes the round whole.

    def _ask_commit(self) -> Request:
        version = CompareSet(self.keys.version, str(self.version), str(self.version + COMMITTED))
        return Request((Set(self.keys.roster, "\n".join(self.names)), version))

    def _hear_commit(self, version: str) -> MasterJoin:
        if int(version) == self.version + COMMITTED:
            return self.at(PUBLISH)
        return self._gathering(pause=False)

    def _ask_publish(self) -> Request:
        # The next round is open before any rank returns from this one. The last reply shows that the server has it all.
        opened = (Add(self.incarnation.round(self.round + 1).version, 0), self._record(self.round + 1))
        pairs = tuple((self.keys.decision(nonce), GO) for nonce in self._nonces())
        decisions = (MultiSet(pairs),) if pairs else ()
        return Request((*opened, *decisions, Get(self.incarnation.closed)))

    def _hear_publish(self, _version: int, _closed: str) -> Outcome:
        return Joined(self.incarnation, self.round, self.names)

    # Withdrawing at the deadline.

    def ask_to_withdraw(self) -> Request:
        """Make sure that the round cannot become whole any more, and read who is missing."""
        slots = MultiGet(self.keys.slots(range(self.participant.world_size)))
        answers = (MultiGet(self._answers()),) if self._nonces() else ()
        return Request((Add(self.keys.version, 1), slots, *answers))

    def hear_withdrawal(self, replies: Replies) -> Union[MasterJoin, Outcome]:
        """The stage of publishing, if the round was whole before it could be given up."""
        version, slots, *answers = protocol.present(replies)
        if number(version) >= COMMITTED:
            return self.at(PUBLISH)
        given = texts(answers[0]) if answers else ()
        silent = tuple(rank for rank, answer in enumerate(given, 1) if answer != PRESENT)
        return Withdrawn(protocol.missing(texts(slots)), silent)

    def ask_to_close(self) -> Request:
        """Delete the record after the first round failed, so that nobody finds this run any more."""
        return Request((Delete(keys.record(self.participant.run_id)),))
