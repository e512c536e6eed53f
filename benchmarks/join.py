"""How long a join takes with static-strict and with stock, in one run, and how many messages it costs."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.campaign.runner import Runner
from harness.loader import load_text
from harness.play.options import RunOptions
from harness.rendezvous.keys import Incarnation
from harness.rendezvous.master_join import MasterJoin
from harness.rendezvous.operations import CompareSet, Get, MultiGet, MultiSet, Operation, Reply, Set, Wait
from harness.rendezvous.protocol import OUTCOMES, Participant
from harness.rendezvous.worker_join import WorkerJoin
from harness.values.ops import INVOKE, OK
from harness.values.verdict import PASSED

STOCK, STRICT = SUBJECTS = ("static", "static-strict")
CLEAN = """\
schema: rdzv-scenario/v1
title: Everybody joins when nothing is wrong
world: {{size: {size}, timeout: 120s, route: {route}, fresh: {fresh}}}
workload:
  - {{id: join, do: rendezvous}}
expect:
  - {{step: join, is: ok}}
"""


def main() -> int:
    """Measure, print a table and, on request, write JSON."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rdzv-join-") as folder:
        seconds = measure(arguments, Path(folder))
    measured = {
        "processors": os.cpu_count(),
        "route": arguments.route,
        "fresh": arguments.fresh,
        "join_seconds": seconds,
        "messages": {str(size): messages(size) for size in arguments.sizes},
    }
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2) + "\n")
    return 0


# -- time --------------------------------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, list[float]]]:
    """By size and subject, seconds from the first rank's call to the last one's return; the subjects take turns."""
    seconds: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        runners = {
            subject: stack.enter_context(
                Runner(RunOptions(subject=subject, python=arguments.python, jobs=1, runs_dir=folder / subject))
            )
            for subject in SUBJECTS
        }
        for size in arguments.sizes:
            joins: dict[str, list[float]] = {subject: [] for subject in SUBJECTS}
            for _ in range(arguments.repeat + 1):
                for subject, runner in runners.items():
                    joins[subject].append(join_seconds(runner, size, arguments))
            # The first join of each is slower, because its processes are cold.
            seconds[str(size)] = {subject: taken[1:] for subject, taken in joins.items()}
    return seconds


def join_seconds(runner: Runner, size: int, arguments: argparse.Namespace) -> float:
    text = CLEAN.format(size=size, route=arguments.route, fresh=str(arguments.fresh).lower())
    (cell,) = load_text(text, Path("clean.rdzv.yaml"))
    result = runner.play(cell)
    if result.status != PASSED:
        raise SystemExit(f"{size} ranks did not join: {result.judgement.because}")
    ops = [op for op in result.history.ops if op.f == "rendezvous"]
    begun_ns = min(op.time_ns for op in ops if op.type == INVOKE)
    return (max(op.time_ns for op in ops if op.type == OK) - begun_ns) / 1e9


# -- messages ----------------------------------------------------------------------------------------------------------


def messages(size: int) -> dict[str, float]:
    """How many operations a join without faults asks of the server, counted on its states: the master's, a worker's.

    The greetings of each connection and of the store are two more each.
    """
    store: dict[str, str] = {}
    joins: list[Any] = [MasterJoin(Participant("run", 0, size, "n0", "p"), Incarnation("i"))]
    joins += [WorkerJoin(Participant("run", rank, size, f"n{rank}", "p")) for rank in range(1, size)]
    replies: list[list[Reply]] = [[] for _ in joins]
    counts = [0] * size
    while any(not isinstance(join, OUTCOMES) for join in joins):
        before = sum(counts)
        for rank, join in enumerate(joins):
            # Each join goes on until it waits for others.
            while not isinstance(join, OUTCOMES):
                operations = join.ask().operations
                for operation in operations[len(replies[rank]) :]:
                    if isinstance(operation, Wait) and not all(key in store for key in operation.keys):
                        break
                    replies[rank].append(_perform(store, operation))
                    counts[rank] += 1
                if len(replies[rank]) < len(operations):
                    break
                join = join.hear(replies[rank])
                replies[rank] = []
            joins[rank] = join
        if sum(counts) == before:
            raise SystemExit("the states of the join wait for each other; see tests/rendezvous/test_join_model.py")
    return {"master": counts[0], "worker": max(counts[1:], default=0)}


def _perform(store: dict[str, str], operation: Operation) -> Reply:
    if isinstance(operation, Get):
        return store.get(operation.key, "")
    if isinstance(operation, MultiGet):
        return tuple(store.get(key, "") for key in operation.keys)
    if isinstance(operation, (Set, MultiSet)):
        store.update([(operation.key, operation.value)] if isinstance(operation, Set) else operation.pairs)
        return None
    if isinstance(operation, CompareSet):
        if store.get(operation.key, "") == operation.expected:
            store[operation.key] = operation.desired
        return store[operation.key]
    if isinstance(operation, Wait):
        return None
    key, value = operation.key, str(getattr(operation, "amount", 0))
    store[key] = str(int(store.get(key, "0")) + int(value)) if hasattr(operation, "amount") else "x"
    return int(store[key]) if hasattr(operation, "amount") else None


# -- output ------------------------------------------------------------------------------------------------------------


def show(measured: dict[str, Any]) -> None:
    """Print the table."""
    console = Console()
    ranks = "fresh ranks" if measured["fresh"] else "forked ranks"
    console.print(
        f"{measured['processors']} processors, route {measured['route']}, {ranks}; seconds of a join, medians"
    )
    table = Table("ranks", "runs", STOCK, STRICT, "ratio", "messages: master", "each worker")
    for size, seconds in measured["join_seconds"].items():
        stock, strict = (statistics.median(seconds[subject]) for subject in SUBJECTS)
        counted = measured["messages"][size]
        figures = (f"{stock:.4f}", f"{strict:.4f}", f"{strict / stock:.2f}")
        table.add_row(size, str(len(seconds[STOCK])), *figures, str(counted["master"]), str(counted["worker"]))
    console.print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 64, 256], help="ranks (8 64 256)")
    parser.add_argument("--repeat", type=int, default=10, help="joins of each size and subject (10)")
    parser.add_argument(
        "--route", choices=("direct", "proxy"), default="direct", help="with proxies or without (direct)"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="each rank is a new process that imports torch itself, as under torchrun",
    )
    parser.add_argument("--json", type=Path, help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
