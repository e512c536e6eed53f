"""How late the processes of a play were in a window of time, as it was measured: what a bound allows on top."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.history.joins import joins
from harness.history.keys import ANSWERED_AT_ONCE
from harness.history.wording import joined
from harness.values.history import Call, History
from harness.values.quantity import format_ns
from harness.values.stall import CONTROLLER, LAG, STOPPED, WAITED, Stall, stall_of

_MOST_NAMED = 3
_UNNAMED = ""


@dataclass(frozen=True)
class Lateness:
    """What was measured in one window.

    Attributes:
        waited: of each process that waited for a processor, its name and for how long in nanoseconds, longest first.
        stopped: likewise of each that was stopped or frozen from outside.
        most_ns: in how much of the window any of them can have been late; None if that is not known.
    """

    waited: tuple[tuple[str, int], ...] = ()
    stopped: tuple[tuple[str, int], ...] = ()
    most_ns: int | None = None

    @property
    def total_ns(self) -> int:
        """By how much a call can have been late: it may have needed these processes, one after another.

        At each moment it needs one of them, so a time in which several were late delays it once.
        """
        added_ns = sum(ns for _, ns in (*self.waited, *self.stopped))
        return added_ns if self.most_ns is None else min(added_ns, self.most_ns)

    def of(self, who: str) -> int:
        """How late one process was, in nanoseconds."""
        return sum(ns for name, ns in (*self.waited, *self.stopped) if name == who)

    def __str__(self) -> str:
        """`rank 1 waited 50 ms and the proxy server 20 ms for a processor`."""
        stopped = [f"{who} stood still for {format_ns(ns)}" for who, ns in self.stopped]
        named = [f"{who}{'' if number else ' waited'} {format_ns(ns)}" for number, (who, ns) in enumerate(self.waited)]
        shown, rest = named[:_MOST_NAMED], self.waited[_MOST_NAMED:]
        if rest:
            shown.append(f"{len(rest)} more {format_ns(sum(ns for _, ns in rest))}")
        return joined([*stopped, *([f"{joined(shown)} for a processor"] if shown else [])])


def lateness(history: History, window: tuple[int, int], ranks: Collection[int] | None = None) -> Lateness:
    """How late each process was that took part: ranks, proxy server, name servers, controller and its helpers.

    The controller is the nemesis too. A rank measures itself in each call; the controller measures the other parts and
    itself. Where a measurement only overlaps the window, as much of it counts as fits. Time for which the ranks
    themselves ran is not lateness of the machine: a process that waited meanwhile may have waited for them, so each
    wait counts without it. A stop counts whole, because nothing but an act from outside stops a part.

    Args:
        ranks: those that took part; None is all.
    """
    window = min(window), max(window)
    ran_ns = ranks_ran_ns(history, window)
    waits: dict[str, int] = defaultdict(int)
    stops: dict[str, int] = defaultdict(int)
    stretches: list[tuple[int, int, int]] = []
    for op in history.ops:
        if op.f != LAG or op.process.rank is not None:
            continue
        stall = stall_of(op) or Stall(_UNNAMED, WAITED, op.time_ns - op.lag_ns, op.time_ns, op.lag_ns)
        fits_ns = _fitting(stall.lasted_ns, (stall.since_ns, stall.until_ns), window)
        found = stops if stall.how == STOPPED else waits
        found[stall.part] += fits_ns
        stretches.append((max(stall.since_ns, window[0]), min(stall.until_ns, window[1]), fits_ns))
    # Releases before this one measured the controller in two ways, and one of them named no part.
    waits[CONTROLLER] = max(waits[CONTROLLER], waits.pop(_UNNAMED, 0))
    for rank, rank_ns in _ranks_waited_ns(history, window).items():
        if ranks is None or rank in ranks:
            waits[f"rank {rank}"] = rank_ns
            stretches.append((*window, rank_ns))
    whole_ns = window[1] - window[0]
    waited, stopped = _longest_first(waits, ran_ns, whole_ns), _longest_first(stops, 0, whole_ns)
    return Lateness(waited, stopped, _one_at_a_time(stretches)) if waited or stopped else Lateness()


def ranks_needed(history: History, call: Call) -> Collection[int] | None:
    """The ranks that a call's end can have waited for; None is all.

    A call that returned may have waited for any, unless the master answers it at once: a join for the last rank, a
    `get` for who sets the key. A call that raised or hung did not get what it waited for, so besides its own rank only
    a master can have kept it.
    """
    if call.outcome == "ok" and call.f not in ANSWERED_AT_ONCE:
        return None
    return {call.rank, *(join.call.rank for join in joins(history) if join.is_master)}


def ranks_ran_ns(history: History, window: tuple[int, int]) -> int:
    """The processor time that all ranks used in their calls in a window; 0 where it was not measured.

    Of a call that lies partly in the window, the share of its time that does.
    """

    def ran_ns(call: Call, lasted_ns: int, overlap_ns: int) -> int:
        return (call.cpu_ns or 0) * overlap_ns // lasted_ns

    return sum(_of_processes(history, window, ran_ns).values())


def _ranks_waited_ns(history: History, window: tuple[int, int]) -> dict[int, int]:
    """For how long each rank waited for a processor, at most."""

    def waited_ns(call: Call, lasted_ns: int, overlap_ns: int) -> int:
        return min(call.end.lag_ns, overlap_ns) if call.end is not None else 0

    found: dict[int, int] = defaultdict(int)
    for (rank, _), waited in _of_processes(history, window, waited_ns).items():
        found[rank] += waited
    return found


def _of_processes(
    history: History, window: tuple[int, int], measured: Callable[[Call, int, int], int]
) -> Mapping[tuple[int, int], int]:
    """By (rank, life) what was measured in the calls that touch a window.

    Each call measures its whole process, so of calls side by side in several threads only those of one thread count.

    Args:
        measured: given a call, how long it lasted and how much of that is in the window, both at least 1 ns.
    """
    threads: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for call in history.calls:
        if call.begun_ns is None or call.ended_ns is None:
            continue
        overlap_ns = min(call.ended_ns, window[1]) - max(call.begun_ns, window[0])
        if overlap_ns >= 0:
            lasted_ns = max(1, call.ended_ns - call.begun_ns)
            threads[call.rank, call.life][call.thread] += measured(call, lasted_ns, max(1, overlap_ns))
    return {process: max(by_thread.values()) for process, by_thread in threads.items()}


def _fitting(amount_ns: int, measured: tuple[int, int], window: tuple[int, int]) -> int:
    """As much of what was measured in one stretch of time as fits into the part of it that is in the window."""
    return max(0, min(amount_ns, min(measured[1], window[1]) - max(measured[0], window[0])))


def _one_at_a_time(stretches: Iterable[tuple[int, int, int]]) -> int:
    """The most time that they can cover together; each is (since, until, how much of the time between them).

    Where in its stretch a process was late is not known. What covers most is to take, at each moment, one of those that
    can still be late then, whose stretch ends first.
    """
    coming = sorted((one for one in stretches if one[2] > 0), reverse=True)
    open_: list[tuple[int, int]] = []
    now_ns = covered_ns = 0
    while coming or open_:
        if not open_:
            now_ns = max(now_ns, coming[-1][0])
        while coming and coming[-1][0] <= now_ns:
            _, until_ns, amount_ns = coming.pop()
            heapq.heappush(open_, (until_ns, amount_ns))
        until_ns, left_ns = heapq.heappop(open_)
        next_ns = coming[-1][0] if coming else until_ns
        step_ns = max(0, min(left_ns, min(until_ns, next_ns) - now_ns))
        now_ns, covered_ns, left_ns = now_ns + step_ns, covered_ns + step_ns, left_ns - step_ns
        if left_ns and now_ns < until_ns:
            heapq.heappush(open_, (until_ns, left_ns))
    return covered_ns


def _longest_first(found: Mapping[str, int], without_ns: int, most_ns: int) -> tuple[tuple[str, int], ...]:
    left = {who: min(ns, most_ns) - without_ns for who, ns in found.items()}
    return tuple(sorted(((who, ns) for who, ns in left.items() if ns > 0), key=lambda one: (-one[1], one[0])))
