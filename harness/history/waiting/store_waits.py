"""Why a store call that waits for a key did not get it: who was to write it, and what became of that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.history.joins import handler_of, recorded_round, run_id_of
from harness.history.keys import STORE, deletes_of, keys_of, names_on_wire, wire_keys, writes_of
from harness.history.waiting.edges import (
    BEGAN_LATE,
    CERTAIN,
    DELETED,
    LIKELY,
    NEVER_BEGAN,
    NEVER_SET,
    NO_CAUSE,
    NOBODY,
    NOT_KNOWN,
    PROXY,
    RANKS,
    SET_LATE,
    UNKNOWN,
    WRITE_FAILED,
    WRITE_RUNS,
    Cause,
)
from harness.history.waiting.paths import Paths, became_of, kinds_of
from harness.history.waiting.ranks import RankFacts
from harness.history.waiting.stuck import Stuck, quoted
from harness.history.wording import ranks_named
from harness.scenario.scenario import Scenario, Step
from harness.values.history import Call, History
from harness.values.plan import JOIN
from harness.values.quantity import format_ns
from harness.values.wire import QUERY

_WRITE_KEY = ("set", "set_bytes", "add", "append", "queue_push", "compare_set")
_WRITE_NOTHING = ("get", "wait", "multi_get", "queue_pop", "check", "delete_key", "num_keys", JOIN, "sleep", "exit",
                  "bind", "drop", "shutdown", "set_closed", "is_closed", "fork_child", "num_nodes_waiting", "cycle",
                  "clone", "move_wall_clock", "set_timeout", "uses_libuv", "interrupt")  # fmt: skip
_CHANGES = ("set", "compare_set", "add", "append", "multi_set", "queue_push")
_RANKS_NAMED = 4
UNDER_WAY_NS = 50_000_000
"""A write that expects no reply ends before its message has passed the proxy server: so long it may be under way."""


@dataclass(frozen=True)
class KeyWaits:
    """What is known of the keys that calls waited for."""

    scenario: Scenario
    history: History
    ranks: RankFacts
    paths: Paths

    def causes(self, stuck: Stuck) -> Iterator[Cause]:
        """One cause for each key that the call waited for and did not get, as far as the history shows one."""
        for key in dict.fromkeys(keys_of(stuck.call)):
            yield from self._of_key(stuck, key)

    @cached_property
    def _writes(self) -> Mapping[str, Sequence[Call]]:
        """The calls that began and may have written each key, ordered by begin."""
        found: dict[str, dict[int, Call]] = defaultdict(dict)
        for call in self.history.calls:
            for write in writes_of(call):
                found[write.key][id(call)] = call
        return {key: list(calls.values()) for key, calls in found.items()}

    def _of_key(self, stuck: Stuck, key: str) -> Iterator[Cause]:
        writes = [call for call in self._writes.get(key, ()) if _same_place(call, stuck.call)]
        before = [call for call in writes if (call.begun_ns or 0) <= stuck.nearly_over_ns]
        if before:
            yield from self._was_written(stuck, key, before)
        elif self._may_be_on_the_wire(stuck, key):
            return  # somebody wrote it whose call the history does not have
        elif writes:
            yield self._late(stuck, key, writes[0])
        else:
            yield self._never_set(stuck, key)

    # -- nobody wrote it ---------------------------------------------------------------------------------------

    def _late(self, stuck: Stuck, key: str, write: Call) -> Cause:
        """A write that began after the call had ended, or so shortly before that it may have come too late."""
        if (write.rank, write.thread) == (stuck.call.rank, stuck.call.thread):
            phrase = f": its own {write.f} of {quoted(key)} comes after this call"
            return Cause(SET_LATE, self._sure, phrase, (write.rank,), RANKS, key, None, write.evidence)
        late_ns = (write.begun_ns or 0) - stuck.until_ns
        began = f"its {write.f} began {format_ns(abs(late_ns))} {'later' if late_ns >= 0 else 'before'}"
        absence = self.ranks.absence(write.rank, stuck.nearly_over_ns, [self._step(write)])
        it, inside = self._it(stuck, key), None
        if absence is not None and absence.why not in (NEVER_BEGAN, BEGAN_LATE):
            began, inside = f"it {absence.clause}, and {began}", absence.inside
        phrase = f" for rank {write.rank}, which had not set {it}: {began}"
        sure = self._sure if late_ns >= 0 or self._was_held_up(write, inside) else LIKELY
        return Cause(SET_LATE, sure, phrase, (write.rank,), RANKS, key, inside, write.evidence)

    @staticmethod
    def _was_held_up(write: Call, inside: Call | None) -> bool:
        return inside is not None and inside.ended_ns is not None and inside.ended_ns <= (write.begun_ns or 0)

    def _never_set(self, stuck: Stuck, key: str) -> Cause:
        planned = self._planned(key, stuck.call)
        it = self._it(stuck, key)
        if not planned:
            elsewhere = self._written_elsewhere(stuck, key)
            name = quoted(key) if it != "it" else "the key"
            if elsewhere is not None:
                there = f"rank {elsewhere.rank} set it in {_place(elsewhere)}"
                phrase = f": no rank sets {name} in {_place(stuck.call)}; {there}"
                return Cause(NEVER_SET, LIKELY, phrase, (), NOBODY, key, None, elsewhere.evidence)
            return Cause(NEVER_SET, self._sure, f": no rank sets {name}", (), NOBODY, key)
        ranks = sorted({rank for rank, _ in planned})
        if len(ranks) > 1:
            who = ranks_named(ranks) if len(ranks) <= _RANKS_NAMED else f"{len(ranks)} ranks"
            phrase = f" for {who}, none of which ever set {it}"
            return Cause(NEVER_SET, self._sure, phrase, tuple(ranks), RANKS, key)
        return self._one_writer(stuck, key, ranks[0], [step for _, step in planned])

    def _one_writer(self, stuck: Stuck, key: str, rank: int, steps: Sequence[Step]) -> Cause:
        it = self._it(stuck, key)
        if rank == stuck.call.rank and any(step.thread == stuck.call.thread for step in steps):
            phrase = f": its own {steps[0].do} of {quoted(key)} comes after this call"
            return Cause(NEVER_SET, self._sure, phrase, (rank,), RANKS, key)
        absence = self.ranks.absence(rank, stuck.nearly_over_ns, steps)
        phrase = f" for rank {rank}, which never set {it}"
        if absence is None:
            return Cause(NEVER_SET, self._sure, phrase, (rank,), RANKS, key)
        sure = LIKELY if LIKELY in (absence.sure, self._sure) else CERTAIN
        because = f": it {absence.clause}"
        return Cause(NEVER_SET, sure, phrase + because, (rank,), RANKS, key, absence.inside, absence.evidence)

    @property
    def _sure(self) -> str:
        """A step of which it is not known what it writes may have written any key."""
        known = (*STORE, *_WRITE_NOTHING, "mix")
        return CERTAIN if all(step.do in known for step in self.scenario.steps) else LIKELY

    def _planned(self, key: str, waiting: Call) -> list[tuple[int, Step]]:
        """The ranks whose steps would write a key in the same place, with these steps."""
        return [
            (rank, step)
            for step in self.scenario.steps
            if step.handler == handler_of(waiting) and _would_write(step, key)
            for rank in step.ranks
        ]

    def _step(self, call: Call) -> Step:
        return self.scenario.step(call.step)

    def _it(self, stuck: Stuck, key: str) -> str:
        """`it`; of several keys, which."""
        return "it" if len(keys_of(stuck.call)) == 1 else quoted(key)

    def _written_elsewhere(self, stuck: Stuck, key: str) -> Call | None:
        """A write of that key in another run or round."""
        return next((call for call in self._writes.get(key, ()) if (call.begun_ns or 0) <= stuck.until_ns), None)

    def _may_be_on_the_wire(self, stuck: Stuck, key: str) -> bool:
        """Whether a link carried a write of that key that no call of the history explains."""
        if key in self._writes:
            return False
        wire = self.history.wire
        if wire is None:
            return any(
                link.writes(one) and names_on_wire(one, [key]) for link in wire_keys(self.history) for one in link.keys
            )
        return any(
            message.side == QUERY
            and message.kind in _CHANGES
            and any(names_on_wire(one, [key]) for one in message.keys)
            for message in wire.messages
        )

    # -- somebody wrote it -------------------------------------------------------------------------------------

    def _was_written(self, stuck: Stuck, key: str, writes: Sequence[Call]) -> Iterator[Cause]:
        deletes = [
            call
            for call in self.history.calls
            if call is not stuck.call
            and call.begun_ns is not None
            and call.begun_ns <= stuck.until_ns
            and _same_place(call, stuck.call)
            and key in deletes_of(call)
        ]
        if deletes:
            yield from self._deleted(stuck, key, writes, deletes)
        elif all(write.outcome == "failed" for write in writes):
            write = writes[-1]
            error = f" with {write.error.kind}" if write.error is not None else ""
            phrase = f" for rank {write.rank}, whose {write.f} of {self._it(stuck, key)} failed{error}"
            yield Cause(WRITE_FAILED, LIKELY, phrase, (write.rank,), RANKS, key, None, write.evidence)
        else:
            yield from self._did_not_arrive(stuck, key, writes)

    def _deleted(self, stuck: Stuck, key: str, writes: Sequence[Call], deletes: Sequence[Call]) -> Iterator[Cause]:
        """Only if it is sure that a delete came after every write; of a queue each takes one text."""
        is_queue = all(call.f == "queue_pop" for call in deletes)
        if is_queue:
            took = [call for call in deletes if call.outcome == "ok"]
            deletes = took if len(took) >= len(writes) else deletes
        if is_queue and len(deletes) < len(writes):
            return
        last = max(deletes, key=lambda call: call.begun_ns or 0)
        if any(write.ended_ns is None or write.ended_ns > (last.begun_ns or 0) for write in writes):
            return
        needed = deletes if is_queue else [last]
        done = all(call.outcome == "ok" and (call.ended_ns or 0) <= stuck.begun_ns for call in needed)
        verb = "taken" if last.f == "queue_pop" else "deleted"
        name = "the key" if self._it(stuck, key) == "it" else quoted(key)
        phrase = f": rank {last.rank} had {verb} {name}, and nobody set it again"
        yield Cause(DELETED, CERTAIN if done else LIKELY, phrase, (last.rank,), RANKS, key, None, last.evidence)

    def _did_not_arrive(self, stuck: Stuck, key: str, writes: Sequence[Call]) -> Iterator[Cause]:
        lost = [cause for write in writes if (cause := self._lost(stuck, key, write)) is not None]
        if lost and len(lost) == len(writes):
            yield lost[-1]
            return
        done = [write for write in writes if write.outcome == "ok" and (write.ended_ns or 0) <= stuck.until_ns]
        if not done:
            write = writes[-1]
            whose = f"rank {write.rank}'s {write.f} of {self._it(stuck, key)}"
            if write.rank == stuck.call.rank:
                whose = f"its own {write.f} of {self._it(stuck, key)} in thread {write.thread}"
            phrase = f" for {whose}, which had not ended"
            yield Cause(WRITE_RUNS, LIKELY, phrase, (write.rank,), RANKS, key, write, write.evidence)
            return
        write = done[0]
        before = format_ns(stuck.until_ns - (write.ended_ns or 0))
        returned = f"rank {write.rank}'s {write.f} had returned {before} before"
        phrase = f": {returned}, and nothing shows why it did not arrive"
        yield Cause(NO_CAUSE, UNKNOWN, phrase, (), NOT_KNOWN, key, None, write.evidence)

    def _lost(self, stuck: Stuck, key: str, write: Call) -> Cause | None:
        """What kept a write from the store: by the log of the wire, else by the faults on its rank's link then."""
        if self.history.wire is None:
            return self._lost_to_a_fault(stuck, key, write)
        queries = [
            message
            for message in self.paths.messages.get(write.rank, ())
            if message.side == QUERY
            and message.kind in kinds_of(write)
            and (write.begun_ns or 0) <= message.time_ns <= stuck.until_ns
            and any(names_on_wire(one, [key]) for one in message.keys)
        ]
        became = [became_of(message, stuck.until_ns) for message in queries]
        if not queries or became[0] is None or None in became:
            return None  # one of them arrived, and it may be this call's
        why, said = became[0]
        phrase = f" for rank {write.rank}'s {write.f}, which {said}{self.paths.doer(queries[0])}"
        return Cause(why, CERTAIN, phrase, (write.rank,), PROXY, key, None, write.evidence)

    def _lost_to_a_fault(self, stuck: Stuck, key: str, write: Call) -> Cause | None:
        begun_ns, ended_ns = write.begun_ns or 0, write.ended_ns or 0
        way = Stuck(write, begun_ns, min(stuck.until_ns, ended_ns + UNDER_WAY_NS), None, False)
        for cause in self.paths.on_links(way, write.rank):
            phrase = f" for rank {write.rank}'s {write.f}{cause.phrase}"
            evidence = (*write.evidence, *cause.evidence)
            return Cause(cause.why, LIKELY, phrase, (write.rank,), PROXY, key, None, evidence)
        return None


def _same_place(one: Call, other: Call) -> bool:
    """Whether two calls may mean the same key: not if they are known to belong to different runs or rounds."""
    runs, rounds = (run_id_of(one), run_id_of(other)), (recorded_round(one), recorded_round(other))
    return not (None not in runs and runs[0] != runs[1]) and not (None not in rounds and rounds[0] != rounds[1])


def _place(call: Call) -> str:
    number = recorded_round(call)
    return f"run {run_id_of(call)}" + ("" if number is None else f", round {number}")


def _would_write(step: Step, key: str) -> bool:
    if step.do == "multi_set":
        return key in (step.arguments.get("values") or {})
    if step.do == "mix":
        return any(key in (one, f"{one}.count", f"{one}.log") for one in step.arguments.get("keys") or ())
    return step.do in _WRITE_KEY and step.arguments.get("key") == key
