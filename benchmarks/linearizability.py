"""How long the search for an order takes, beside the same search without its cache, and beside trying every order.

    python benchmarks/linearizability.py [--rounds 3] [--json FILE]

Histories are made from a real order, so they are linearizable; those of the second table have one impossible read at
their end, so that every order must be refused. Each search gets the same history, in turn; a peer that needs more than
2 s is shown as such. Times are processor time of this process. Prints the median over the rounds, and exits with 1 if
10,000 operations take more than a second.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from pathlib import Path

from harness.linearizability.model import IMPOSSIBLE, Action, State, is_read, step_of
from harness.linearizability.search import LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED, Budget, Operation, search

LIMIT_SECONDS = 2
MOST_SECONDS = 1.0
STEPS = 10_000_000
SPREAD = 40
"""How far an operation begins before, and ends after, it takes effect; they take effect 10 apart."""

Find = Callable[[Sequence[Operation]], str]


def history(count: int, draw: random.Random, impossible: bool) -> list[Operation]:
    """Sets, gets, checks and adds on one key, about eight of them at the same time."""
    state: State = None
    operations = []
    for number in range(count):
        action = _action(number, state, draw)
        step = step_of(action, {"key": 0})
        state = step(state)
        now = 10 * number
        begun, ended = now - draw.randrange(SPREAD), now + draw.randrange(SPREAD)
        operations.append(Operation(step, begun, ended, is_read=is_read(action)))
    if impossible:
        last = 10 * count + SPREAD
        step = step_of(Action("get", ("key",), (), "nobody wrote this"), {"key": 0})
        operations.append(Operation(step, last, last + 1, is_read=True))
    draw.shuffle(operations)  # the order in which they are given must help nobody
    return operations


def _action(number: int, state: State, draw: random.Random) -> Action:
    verb = draw.choice(["set", "get", "add", "check"])
    if verb == "set":
        return Action("set", ("key",), (str(1_000_000 * number),))
    if verb == "add":
        return Action("add", ("key",), (1,), int(state or 0) + 1)
    if verb == "check" or state is None:
        return Action("check", ("key",), (), state is not None)
    return Action("get", ("key",), (), state)


# -- the peers ---------------------------------------------------------------------------------------------------


def with_cache(operations: Sequence[Operation]) -> str:
    """The search of the checker."""
    return search(operations, None, Budget(STEPS)).verdict


def without_cache(operations: Sequence[Operation]) -> str:
    """Wing and Gong's search as it was published: every operation that may come next, and back if none fits."""
    due = time.process_time() + LIMIT_SECONDS
    stack: list[tuple[State, tuple[int, ...]]] = [(None, tuple(range(len(operations))))]
    while stack:
        state, left = stack.pop()
        if not left:
            return LINEARIZABLE
        if time.process_time() > due:
            return UNDECIDED
        until = min(operations[place].ended_ns or 0 for place in left)
        for place in reversed(left):
            operation = operations[place]
            if operation.begun_ns <= until and (after := operation.step(state)) is not IMPOSSIBLE:
                stack.append((after, tuple(other for other in left if other != place)))
    return NOT_LINEARIZABLE


def every_order(operations: Sequence[Operation]) -> str:
    """All permutations, each looked at as a whole."""
    due = time.process_time() + LIMIT_SECONDS
    for order in permutations(operations):
        if time.process_time() > due:
            return UNDECIDED
        if _is_in_time(order) and _is_allowed(order):
            return LINEARIZABLE
    return NOT_LINEARIZABLE


def _is_in_time(order: Sequence[Operation]) -> bool:
    latest = 0
    for operation in order:
        if (operation.ended_ns or 0) < latest:
            return False
        latest = max(latest, operation.begun_ns)
    return True


def _is_allowed(order: Iterable[Operation]) -> bool:
    state: State = None
    for operation in order:
        state = operation.step(state)
        if state is IMPOSSIBLE:
            return False
    return True


PEERS: dict[str, Find] = {"search": with_cache, "without cache": without_cache, "every order": every_order}


# -- the table ---------------------------------------------------------------------------------------------------


def measured(find: Find, operations: Sequence[Operation], expected: str) -> float | None:
    """Seconds; None if the peer did not end in time. Raises SystemExit if its verdict is wrong."""
    gc.collect()  # what the peer before left behind is not charged to this one
    begun = time.process_time()
    verdict = find(operations)
    seconds = time.process_time() - begun
    if verdict == UNDECIDED:
        return None
    if verdict != expected:
        raise SystemExit(f"{find.__name__}: {verdict}, expected {expected}")
    return seconds


def table(sizes: Sequence[int], impossible: bool, rounds: int) -> dict[str, dict[str, float | None]]:
    """Median seconds by size and peer; a peer that did not end is not asked for larger histories."""
    expected = NOT_LINEARIZABLE if impossible else LINEARIZABLE
    found: dict[str, dict[str, float | None]] = {}
    tired: set[str] = set()
    for size in sizes:
        row: dict[str, list[float]] = {name: [] for name in PEERS}
        for number in range(rounds):
            operations = history(size, random.Random(number), impossible)
            for name, find in PEERS.items():
                seconds = None if name in tired else measured(find, operations, expected)
                if seconds is None:
                    tired.add(name)
                else:
                    row[name].append(seconds)
        found[str(size)] = {
            name: None if name in tired else statistics.median(seconds) for name, seconds in row.items()
        }
    return found


def show(title: str, rows: dict[str, dict[str, float | None]]) -> None:
    print(f"{title}\n{'operations':>12}" + "".join(f"{name:>16}" for name in PEERS))
    for size, row in rows.items():
        cells = (f"over {LIMIT_SECONDS} s" if row[name] is None else f"{row[name]:.4f} s" for name in PEERS)
        print(f"{size:>12}" + "".join(f"{cell:>16}" for cell in cells))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tables = {
        "linearizable": table((7, 30, 1000, 10_000), False, options.rounds),
        "not linearizable": table((7, 30, 1000, 10_000), True, options.rounds),
    }
    for title, rows in tables.items():
        show(title, rows)
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2))
    slowest = max(rows["10000"]["search"] or LIMIT_SECONDS for rows in tables.values())
    print(f"10,000 operations: {slowest:.3f} s, at most {MOST_SECONDS:g} s are allowed")
    return slowest > MOST_SECONDS


if __name__ == "__main__":
    sys.exit(main())
