"""Plays what must not be red beside processes that keep every processor busy, and says how often it was red."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness import clock
from harness.campaign.runner import Runner
from harness.loader import load, load_text
from harness.play.options import RunOptions
from harness.reports.parts.statistics import of_n
from harness.scenario.scenario import Scenario
from harness.values.verdict import ERROR, FAILED, SKIPPED, VACUOUS

CLEAN = """\
schema: rdzv-scenario/v1
title: Four ranks join, write and read when nothing is wrong
world: {size: 4, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
  - {do: set, ranks: 0, key: ready, value: "1"}
  - {do: get, key: ready}
expect:
  - {step: join, is: ok, within: [0s, 2s]}
  - {step: get, is: ok, value: "1", within: [0s, 1s]}
"""
SCENARIOS = Path(__file__).parents[1] / "scenarios"
BUSY_LOOP = "while True: pass"
BAD = (FAILED, ERROR, VACUOUS)
"""What nothing that is played here may be: on a quiet machine all of it passes, or fails as its file says."""


@dataclass
class Count:
    """What became of the cells that were played.

    Attributes:
        shown: one line for each that was failed, vacuous or an error.
        granted: how many passed only because a bound is longer by the lateness that was measured.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    granted: int = 0

    @property
    def played(self) -> int:
        return self.statuses.total() - self.statuses[SKIPPED]


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that never wait, for as long as this is entered."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def count(cells: Sequence[Scenario], options: RunOptions, repeat: int = 1) -> Count:
    """Play each cell so often."""
    counted = Count()
    with Runner(options) as runner:
        for result in runner.run(cells, repeat=repeat):
            counted.statuses[result.status] += 1
            counted.granted += any(verdict.granted_ns for verdict in result.judgement.verdicts)
            if result.status in BAD:
                counted.shown.append(f"{result.status} {result.scenario.id}: {result.judgement.because}")
    return counted


def main() -> int:
    """Print counts with their intervals; 1 if anything was failed, vacuous or an error."""
    arguments = _arguments()
    bad = 0
    with busy(arguments.busy), tempfile.TemporaryDirectory(prefix="rdzv-false-reds-") as runs:
        for subject in arguments.subject:
            options = RunOptions(
                subject=subject, python=arguments.python, jobs=arguments.jobs, runs_dir=Path(runs) / subject, replays=0
            )
            if arguments.joins:
                clean = load_text(CLEAN, Path("clean.rdzv.yaml"))
                bad += _report(
                    f"{subject}: clean joins", partial(count, clean, options, arguments.joins), arguments.busy
                )
            if arguments.suite:
                suite = [cell for path in sorted(SCENARIOS.rglob("*.rdzv.yaml")) for cell in load(path)]
                bad += _report(f"{subject}: the whole suite", partial(count, suite, options), arguments.busy)
    return int(bad > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--joins", type=int, default=1000, help="clean joins (1000); 0 is none")
    parser.add_argument("--suite", action="store_true", help="every scenario of the repository, once, too")
    parser.add_argument("--subject", action="append", help="who is tested; may be repeated (static and static-strict)")
    parser.add_argument("--busy", type=int, default=2, help="busy loops beside it (2)")
    parser.add_argument("--jobs", type=int, default=None, help="worlds side by side (twice the processors)")
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter")
    arguments = parser.parse_args()
    arguments.subject = arguments.subject or ["static", "static-strict"]
    return arguments


def _report(what: str, play: Callable[[], Count], loops: int) -> int:
    """Print what became of it; returns how many were failed, vacuous or an error."""
    begun_ns = clock.now_ns()
    counted = play()
    took_s = (clock.now_ns() - begun_ns) / 1e9
    statuses = ", ".join(f"{number} {status}" for status, number in sorted(counted.statuses.items()))
    print(f"{what} beside {loops} busy loops, {took_s:.0f} s: {statuses}")
    for status in (FAILED, ERROR):
        print(f"  {of_n(counted.statuses[status], counted.played, status)}")
    print(f"  {of_n(counted.granted, counted.played, 'held by measured lateness alone')}")
    for line in counted.shown:
        print(f"  {line}")
    return len(counted.shown)


if __name__ == "__main__":
    sys.exit(main())
