"""Plays one clean scenario of eight ranks 500 times and says how often it was red, and how long it took."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from harness import clock
from harness.campaign.runner import Runner
from harness.loader import load_text
from harness.play.options import RunOptions

CLEAN = """\
schema: rdzv-scenario/v1
title: Eight ranks join, write and read when nothing is wrong
world: {size: 8, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
  - {do: set, ranks: 0, key: ready, value: "1"}
  - {do: get, key: ready}
expect:
  - {step: join, is: ok, within: [0s, 2s]}
  - {step: get, is: ok, value: "1", within: [0s, 2s]}
"""


def main() -> int:
    """Print counts and times; 1 if any run was neither passed nor skipped."""
    arguments = _arguments()
    cells = load_text(CLEAN, Path("clean.rdzv.yaml"))
    with tempfile.TemporaryDirectory(prefix="rdzv-clean-") as runs:
        options = RunOptions(
            subject=arguments.subject, python=arguments.python, jobs=arguments.jobs, runs_dir=Path(runs)
        )
        with Runner(options) as runner:
            begun_ns = clock.now_ns()
            results = [
                (result.status, result.seconds, result.judgement.because)
                for result in runner.run(cells, repeat=arguments.count)
            ]
            wall_s = (clock.now_ns() - begun_ns) / 1e9
    return _report(results, wall_s)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="how many times (500)")
    parser.add_argument("--jobs", type=int, default=1, help="worlds side by side (1)")
    parser.add_argument("--subject", default="static", help="who is tested (static)")
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter")
    return parser.parse_args()


def _report(results: list[tuple[str, float, str]], wall_s: float) -> int:
    statuses = Counter(status for status, _, _ in results)
    seconds = sorted(seconds for _, seconds, _ in results)
    print(f"{len(results)} runs in {wall_s:.1f} s:", ", ".join(f"{n} {status}" for status, n in statuses.items()))
    marks = (("fastest", 0.0), ("median", 0.5), ("95 in 100", 0.95), ("99 in 100", 0.99), ("slowest", 1.0))
    for name, share in marks:
        print(f"  {name:>10}: {seconds[round(share * (len(seconds) - 1))]:.3f} s from file to verdict")
    for status, took_s, because in results:
        if status != "passed":
            print(f"  {status} after {took_s:.3f} s: {because}")
    return int(set(statuses) != {"passed"})


if __name__ == "__main__":
    sys.exit(main())
