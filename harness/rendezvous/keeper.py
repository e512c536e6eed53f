"""The join of the master: open the run, wait for the slots, call everybody, and commit the round in one step."""

from __future__ import annotations

from typing import NamedTuple, Tuple, Union

from harness.rendezvous import keys, protocol
from harness.rendezvous.operations import (
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
from harness.rendezvous.protocol import (
    COMMITTED,
    GO,
    PRESENT,
    Ask,
    Joined,
    Left,
    Outcome,
    Record,
    Refused,
    Seat,
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


class Keeper(NamedTuple):
    """The master's join, at one stage of it.

    Attributes:
        version: of the round, read before the slots were.
        names: who holds the slots, by rank, the master first; empty before they were read.
        pause: whether the last look at the slots was in vain.
    """

    seat: Seat
    incarnation: keys.Incarnation
    round: int = 1
    stage: str = OPEN
    version: int = 0
    names: Tuple[str, ...] = ()
    pause: bool = False

    @property
    def keys(self) -> keys.RoundKeys:
        return self.incarnation.round(self.round)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for others, who may be long; then it should glance at times."""
        return self.stage in (GATHER, CALL)

    def glance(self) -> Keeper:
        """Look at the slots, whatever it waits for."""
        return self._replace(stage=INSPECT)

    def reconnected(self) -> Keeper:
        """The same join over a new connection: all that it wrote may be written again."""
        return self._replace(stage=PUBLISH if self.stage == PUBLISH else OPEN)

    def ask(self) -> Ask:
        """What to ask now."""
        ask: Ask = getattr(self, f"_ask_{self.stage}")()
        return ask

    def hear(self, replies: Replies) -> Union[Keeper, Outcome]:
        """The next state, or how it ended."""
        after: Union[Keeper, Outcome] = getattr(self, f"_hear_{self.stage}")(*protocol.heard(replies))
        return after

    # Opening the run, and taking the master's own seat.

    def _record(self, number: int) -> Set:
        record = Record(self.incarnation, self.seat.world_size, number)
        return Set(keys.record(self.seat.run_id), record.text)

    def _ask_open(self) -> Ask:
        # The version is there before the record is: it must be a number when somebody takes a join back.
        opened = (Add(self.keys.version, 0), self._record(self.round), Set(self.keys.slot(0), self.seat.name))
        return Ask((*opened, Append(keys.RUNS, keys.quoted(self.seat.run_id) + " ")))

    def _hear_open(self, _version: int) -> Keeper:
        return self._gathering(pause=False)

    def _gathering(self, pause: bool) -> Keeper:
        return self._replace(stage=GATHER if self.seat.world_size > 1 else INSPECT, names=(), pause=pause)

    # Waiting until every slot is taken.

    def _ask_gather(self) -> Ask:
        return Ask((Wait(self.keys.slots(range(1, self.seat.world_size))),), pause=self.pause)

    def _hear_gather(self) -> Keeper:
        return self._replace(stage=INSPECT)

    def _ask_inspect(self) -> Ask:
        # The version before the slots: the round is committed only if it has not changed since.
        return Ask((*self._standing(), Get(self.keys.version), MultiGet(self.keys.slots(range(self.seat.world_size)))))

    def _standing(self) -> Tuple[Operation, ...]:
        return (Get(self.incarnation.closed), Get(keys.record(self.seat.run_id)))

    def _hear_inspect(self, closed: str, record: str, version: str, slots: Tuple[str, ...]) -> Union[Keeper, Outcome]:
        if closed:
            return protocol.refusal(self.seat, protocol.CLOSED)
        if record and Record.of(record).incarnation != self.incarnation:
            return Refused(f"rank 0 is doubled: another handler of this process opened run {self.seat.run_id!r} later")
        if protocol.missing(slots):
            return self._gathering(pause=True)
        return self._replace(stage=CALL if len(slots) > 1 else COMMIT, version=int(version), names=slots)

    # Calling those who hold the slots: a join whose process is gone does not answer.

    def _nonces(self) -> Tuple[str, ...]:
        return tuple(name.split(" ")[0] for name in self.names[1:])

    def _ask_call(self) -> Ask:
        calls = tuple((self.keys.call(nonce), PRESENT) for nonce in self._nonces())
        return Ask((MultiSet(calls), Wait(self._answers())))

    def _hear_call(self) -> Keeper:
        return self._replace(stage=COUNT)

    def _answers(self) -> Tuple[str, ...]:
        return tuple(self.keys.answer(nonce) for nonce in self._nonces())

    def _ask_count(self) -> Ask:
        return Ask((MultiGet(self._answers()),))

    def _hear_count(self, answers: Tuple[str, ...]) -> Keeper:
        if all(answer == PRESENT for answer in answers):
            return self._replace(stage=COMMIT)
        return self._gathering(pause=True)

    # The one step that makes the round whole.

    def _ask_commit(self) -> Ask:
        version = CompareSet(self.keys.version, str(self.version), str(self.version + COMMITTED))
        return Ask((Set(self.keys.roster, "\n".join(self.names)), version))

    def _hear_commit(self, version: str) -> Keeper:
        if int(version) == self.version + COMMITTED:
            return self._replace(stage=PUBLISH)
        return self._gathering(pause=False)

    def _ask_publish(self) -> Ask:
        # The next round is open before anybody returns from this one; the last reply says that the server has it all.
        opened = (Add(self.incarnation.round(self.round + 1).version, 0), self._record(self.round + 1))
        fates = tuple((self.keys.fate(nonce), GO) for nonce in self._nonces())
        told = (MultiSet(fates),) if fates else ()
        return Ask((*opened, *told, Get(self.incarnation.closed)))

    def _hear_publish(self, _version: int, _closed: str) -> Outcome:
        return Joined(self.incarnation, self.round, self.names)

    # Leaving at the deadline.

    def ask_to_leave(self) -> Ask:
        """Make sure that the round cannot become whole any more, and see who is missing."""
        slots = MultiGet(self.keys.slots(range(self.seat.world_size)))
        answers = (MultiGet(self._answers()),) if self._nonces() else ()
        return Ask((Add(self.keys.version, 1), slots, *answers))

    def hear_leaving(self, replies: Replies) -> Union[Keeper, Outcome]:
        """The stage of publishing, if the round was whole before it could be given up."""
        version, slots, *answers = protocol.heard(replies)
        if number(version) >= COMMITTED:
            return self._replace(stage=PUBLISH)
        given = texts(answers[0]) if answers else ()
        silent = tuple(rank for rank, answer in enumerate(given, 1) if answer != PRESENT)
        return Left(protocol.missing(texts(slots)), silent)

    def ask_to_close(self) -> Ask:
        """After the first round failed: nobody shall look for this run any more."""
        return Ask((Delete(keys.record(self.seat.run_id)),))
