"""The joins of a history: which process joined which run, in which round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from harness.scenario.scenario import HandlerConfig, Scenario
from harness.values.history import Call, History
from harness.values.json import mapping, whole

DEFAULT_HANDLER = "main"
MAKING_STORES = ("rendezvous", "clone")
"""The verbs that make a store, each with a connection of its own."""
MOST_MISSING = 1000


@dataclass(frozen=True)
class Join:
    """One rendezvous call that began.

    Attributes:
        run_id, given_rank: what the caller was given; None where the history does not say.
        world_size: as returned, else as given.
        round: the round that the subject reported; None if it reported none, or raised.
    """

    call: Call
    run_id: str | None
    given_rank: int | None
    world_size: int | None
    round: int | None

    @property
    def is_master(self) -> bool:
        """Whether the caller was given rank 0: its process serves the store."""
        return self.given_rank == 0

    @property
    def returned(self) -> bool:
        return self.call.outcome == "ok"

    @property
    def returned_rank(self) -> int | None:
        return whole(mapping(self.call.returned).get("rank"))

    @property
    def roster(self) -> tuple[str, ...]:
        """The names of its round, by rank, as the subject reported them; empty if it reported none, or a digest."""
        reported = mapping(self.call.returned).get("roster")
        return tuple(map(str, reported)) if isinstance(reported, list) else ()

    @property
    def handler(self) -> str:
        return handler_of(self.call)

    @property
    def begun_ns(self) -> int:
        return self.call.begun_ns or 0

    @property
    def ended_ns(self) -> int:
        return self.call.ended_ns or 0


def joins(history: History) -> tuple[Join, ...]:
    """Every rendezvous call that began, ordered by begin."""
    begun = (call for call in history.rendezvous_calls if call.invoke is not None)
    return history.once("joins", None, lambda: tuple(map(_join, begun)))


def _join(call: Call) -> Join:
    returned = mapping(call.returned)
    size = whole(returned.get("world_size"))
    return Join(
        call=call,
        run_id=run_id_of(call),
        given_rank=whole(call.arguments.get("rank")),
        world_size=size if size is not None else whole(call.arguments.get("world_size")),
        round=_reported_round(call),
    )


def _reported_round(call: Call) -> int | None:
    if call.end is None or call.outcome != "ok":
        return None
    return call.end.round if call.end.round is not None else whole(mapping(call.returned).get("round"))


def window_of(history: History, group: Iterable[Join]) -> tuple[int, int]:
    """From the first begin of these joins to their last end; what has not ended lasts until the history does."""
    windows = [history.window_of(join.call) for join in group]
    return min(begun for begun, _ in windows), max(ended for _, ended in windows)


def handler_of(call: Call) -> str:
    """The name of the handler whose call, or whose store's call, it is."""
    op = call.invoke or call.end
    return (op.handler if op is not None else None) or DEFAULT_HANDLER


def run_id_of(call: Call) -> str | None:
    """The run id that the call belongs to; None where the history does not say."""
    for op in (call.invoke, call.end):
        if op is not None and op.run_id is not None:
            return op.run_id
    run_id = call.arguments.get("run_id")
    return run_id if isinstance(run_id, str) else None


def configured_run_id(scenario: Scenario, call: Call) -> str:
    """Likewise; where the history does not say, the run id of the call's handler in the scenario."""
    recorded = run_id_of(call)
    if recorded is not None:
        return recorded
    config = handler_config(scenario, call)
    return scenario.world.run_id if config is None else config.run_id


def recorded_round(call: Call) -> int | None:
    """The round that the call was recorded with; None where it has none."""
    return next((op.round for op in (call.invoke, call.end) if op is not None and op.round is not None), None)


def handler_config(scenario: Scenario, call: Call) -> HandlerConfig | None:
    """How the scenario configures the handler of a call; None for a rank or a handler that it does not have."""
    ranks = scenario.world.ranks
    return ranks[call.rank].handlers.get(handler_of(call)) if call.rank < len(ranks) else None


def ranks_missing(members: Iterable[Join], world_size: int, until_ns: int) -> list[int]:
    """The ranks of a world that had not begun to join by then; a rank out of range does not take another's place.

    At most the first `MOST_MISSING`: a subject may return any world size.
    """
    begun = {join.given_rank for join in members if join.begun_ns <= until_ns}
    return list(islice((rank for rank in range(world_size) if rank not in begun), MOST_MISSING))


class Rounds:
    """The round that a handler was in at a time: as the subject reports it, else how often the handler has returned.

    A join that its guard ended may still return, until the process is gone, and the history does not say whether it
    did. A call behind it has a store of it if the handler had none before; else it may be of either round.
    """

    def __init__(self, history: History) -> None:
        self._ends: dict[tuple[int, int, str], list[Join]] = defaultdict(list)
        self._first: dict[str | None, int] = {}
        for join in sorted(joins(history), key=lambda join: join.ended_ns):
            if join.returned or join.call.outcome == "hung":
                self._ends[join.call.rank, join.call.life, join.handler].append(join)
            if join.round is not None:
                self._first[join.run_id] = min(join.round, self._first.get(join.run_id, join.round))

    def at(self, call: Call) -> range:
        """The rounds, one or several, of the store that a call uses; 0 before the first return."""
        recorded = recorded_round(call)
        if recorded is not None:
            return range(recorded, recorded + 1)
        past, hung = self._before(call)
        reported = past[-1].round if past else None
        known = len(past) if reported is None else reported
        return range(known if past or not hung else 1, known + hung + 1)

    def of(self, join: Join) -> range:
        """The rounds that a join may be for, also if it raised: then the one after the handler's last return."""
        if join.round is not None:
            return range(join.round, join.round + 1)
        past, hung = self._before(join.call)
        if past and past[-1].round is not None:
            first = past[-1].round + 1
        else:
            first = self._first.get(join.run_id, 1) + len(past)
        return range(first, first + hung + 1)

    def _before(self, call: Call) -> tuple[list[Join], int]:
        """The handler's joins that had returned, and how many its guard had ended, when a call began."""
        ends = self._ends.get((call.rank, call.life, handler_of(call)), [])
        over = [join for join in ends if join.ended_ns <= (call.begun_ns or 0) and join.call is not call]
        past = [join for join in over if join.returned]
        return past, len(over) - len(past)
