"""Closing a run: mark it as closed, and refuse those who are joining it; a pure state, like a join."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Tuple, Union

from . import keys
from .operations import Add, Get, MultiGet, MultiSet, Operation, Replies, Set
from .protocol import CLOSED, COMMITTED, Record, number, present, text, texts

LOOK, MARK, REFUSE, TELL, DONE = "look", "mark", "refuse", "tell", "done"


@dataclass(frozen=True)
class Closing:
    """One call of set_closed, at one stage of it.

    A join claims its slot and then reads the mark. So the mark comes before the slots are read: one of the two sees
    the other. The rounds are looked up after the mark; a join may be in the round after the record's, because that
    round can be claimed from the moment when the one before it is whole.

    Attributes:
        record: what the server says about the run; None before that is known, or if the run is not open.
        nonces: of the joins that must be told, with the keys of their round.
    """

    run_id: str
    stage: str = LOOK
    record: Union[Record, None] = None
    nonces: Tuple[Tuple[str, keys.RoundKeys], ...] = ()

    @property
    def is_done(self) -> bool:
        return self.stage == DONE

    def ask(self) -> Tuple[Operation, ...]:
        """What to ask the server at this stage; each stage ends with a reply."""
        look = Get(keys.record(self.run_id))
        if self.stage == LOOK or self.record is None:
            return (look,)
        closed = self.record.incarnation.closed
        if self.stage == MARK:
            return (Set(closed, CLOSED), look)
        if self.stage == REFUSE:
            slots = range(self.record.world_size)
            return tuple(one for of in self._rounds() for one in (Add(of.version, 1), MultiGet(of.slots(slots))))
        pairs = tuple((key, CLOSED) for nonce, of in self.nonces for key in (of.decision(nonce), of.call(nonce)))
        return (*((MultiSet(pairs),) if pairs else ()), Get(closed))

    def hear(self, replies: Replies) -> Closing:
        """The next stage."""
        given = present(replies)
        if self.stage in (LOOK, MARK):
            record = _record(text(given[-1]))
            if record is None or (self.record is not None and record.incarnation != self.record.incarnation):
                # Not open, or opened anew meanwhile: then that one is closed.
                return replace(self, stage=DONE if record is None else MARK, record=record)
            return replace(self, stage=MARK if self.stage == LOOK else REFUSE, record=record)
        if self.stage == REFUSE:
            found = zip(self._rounds(), given[0::2], given[1::2])
            # Those of a round that was whole before its version was raised return, so they must not be refused.
            still_open = ((of, texts(slots)[1:]) for of, version, slots in found if number(version) < COMMITTED)
            nonces = tuple((name.split(" ")[0], of) for of, names in still_open for name in names if " " in name)
            return replace(self, stage=TELL, nonces=nonces)
        return replace(self, stage=DONE)

    def _rounds(self) -> Tuple[keys.RoundKeys, ...]:
        assert self.record is not None
        first = self.record.round
        return tuple(self.record.incarnation.round(number) for number in (first, first + 1))


def _record(found: str) -> Union[Record, None]:
    try:
        return Record.of(found)
    except ValueError:
        return None
