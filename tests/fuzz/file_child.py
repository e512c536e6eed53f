"""Reads many drawn files in one process that is bounded in memory and, for each file, in time.

`python file_child.py SEED FIRST COUNT` prints a line of JSON for each file: its number, how it ended, what is wrong.
Arguments behind these are files, which are read in place of drawn ones.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
import traceback
from pathlib import Path

from file_mutations import mutated

from harness.loader import load_text
from harness.loader.tree.file import decode
from harness.loader.tree.problems import split_lines
from harness.play.addresses import Addresses
from harness.play.options import Order, RunOptions
from harness.play.plan import make_plan
from harness.scenario.scenario import Scenario
from harness.schedule.time_limit import longest_ns
from harness.values.errors import ScenarioError, Unsupported

NAME = Path("f.rdzv.yaml")
MEMORY_BYTES = 1 << 30
SECONDS = 60
"""Of processor time for one file; the slowest that is within all limits takes some 20 s."""

LATEST_NS = 10**9 * 10**12
PLACE = re.compile(r"f\.rdzv\.yaml:(\d+):(\d+): \S")


class TooSlow(Exception):
    """A file took longer than SECONDS."""


def read(data: bytes) -> str:
    """`loaded` or `refused`; raises AssertionError, or whatever the loader raised, if it did anything else."""
    try:
        text = decode(data, NAME)
        cells = load_text(text, NAME)
    except ScenarioError as error:
        check_problems(error.problems, data)
        return "refused"
    assert cells
    for scenario in cells[:50]:
        check_scenario(scenario)
    return "loaded"


def check_problems(problems: list[str], data: bytes) -> None:
    """Each has a place that is in the file, and nothing that a terminal would obey."""
    assert problems
    lines = split_lines(data.decode("utf-8-sig", "replace"))
    for problem in problems:
        assert all(line.isprintable() for line in problem.split("\n")), ascii(problem)
        place = PLACE.match(problem)
        if place is None:
            assert "too large for a scenario" in problem, problem
            continue
        line, column = int(place[1]), int(place[2])
        assert 1 <= line <= len(lines), problem
        assert 1 <= column <= len(lines[line - 1]) + 1, problem


def check_scenario(scenario: Scenario) -> None:
    """What is made of it before it is played: limits of time, the order, the plan."""
    for one in (scenario, scenario.steady_state()):
        assert 0 < longest_ns(one) < LATEST_NS
    order = Order(scenario, Path("run"), RunOptions(subject="static"), seed=1)
    assert Order.from_json(order.to_json()) == order
    try:
        plan = make_plan(order, Addresses(scenario, 29500, "127.0.0.1", "127.0.0.1"), order.run_dir, "python")
    except Unsupported:
        return
    json.dumps(plan.to_json(), allow_nan=False).encode()
    assert scenario.id.startswith(scenario.name)


def stop(number: int, frame: object) -> None:
    raise TooSlow(f"more than {SECONDS} s")


def main() -> None:
    """Read the files and print a line for each."""
    seed, first, count = map(int, sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGPROF, stop)
    for number in range(first, first + count):
        data = Path(sys.argv[4 + number - first]).read_bytes() if sys.argv[4:] else mutated(seed, number)
        print(json.dumps({"number": number, "begins": True}), flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            found = {"outcome": read(data), "problem": ""}
        except (Exception, MemoryError):
            found = {"outcome": "broken", "problem": traceback.format_exc(limit=-4)}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({"number": number, **found}), flush=True)


if __name__ == "__main__":
    main()
