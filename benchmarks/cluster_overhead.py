"""What an engine costs: the same plays by `run --jobs` and by `run --cluster` on one machine, in turns.

    python benchmarks/cluster_overhead.py --plays 300 --turns 5

The engine is Dask, with a scheduler and one worker that are up already, so what is counted is the driver, the shards
and the way of the results. Both ways play the same cell with the same seeds and as many worlds side by side. The second
figure, of processor time, has less noise where other programs run. The load of the machine is printed with each turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from harness import clock

TEXT = """\
schema: rdzv-scenario/v1
title: Ranks join and wait
world: {size: 2, timeout: 10s}
workload:
  - {id: join, do: rendezvous}
  - {do: sleep, for: WAIT}
expect:
  - {id: all-join, step: join, is: ok}
"""
SITE = """
import sys, distributed
one = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": 0}
with distributed.LocalCluster(**one, dashboard_address="127.0.0.1:0") as site:
    print(site.scheduler_address, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def site(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A scheduler with one worker: its address, and the process that holds both."""
    environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-c", SITE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("tcp:"), psutil.Process(process.pid)
        assert process.stdin is not None
        process.stdin.close()


def processor_s(process: psutil.Process) -> float:
    """The processor time of a process, its children, and those that have ended and were waited for."""
    return sum(sum(one.cpu_times()[:4]) for one in (process, *process.children(recursive=True)))


def played(folder: Path, plays: int, jobs: int, *words: str) -> float:
    """How many seconds the plays took; raises SystemExit if one is not as expected."""
    command = [sys.executable, "-m", "harness.cli", "--no-config", "run", "waits.rdzv.yaml", "--subject", "echo"]
    command += ["--repeat", str(plays), "--jobs", str(jobs), "--seed", "7", *words]
    begun_ns = clock.now_ns()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return (clock.now_ns() - begun_ns) / 1e9


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=int, default=300)
    parser.add_argument("--wait", default="1s", help="how long the ranks of a play wait")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path)
    wish = parser.parse_args()
    me = psutil.Process()
    rows = []
    with tempfile.TemporaryDirectory() as name, site(Path(name)) as (address, engine):
        folder = Path(name)
        (folder / "waits.rdzv.yaml").write_text(TEXT.replace("WAIT", wish.wait))
        for turn in range(wish.turns):
            row = {"load": os.getloadavg()[0]}
            for way in ("jobs", "cluster") if turn % 2 else ("cluster", "jobs"):
                before = sum(me.cpu_times()[2:4]) + processor_s(engine)
                words = ("--cluster", f"dask:{address}") if way == "cluster" else ()
                row[f"{way}_s"] = played(folder, wish.plays, wish.jobs, *words)
                row[f"{way}_processor_s"] = sum(me.cpu_times()[2:4]) + processor_s(engine) - before
            rows.append({key: round(value, 2) for key, value in row.items()})
            print(rows[-1], flush=True)
    for unit in ("s", "processor_s"):
        ratios = [row[f"cluster_{unit}"] / row[f"jobs_{unit}"] - 1 for row in rows]
        spread = f"from {min(ratios):.1%} to {max(ratios):.1%}"
        print(
            f"overhead, {'time' if unit == 's' else 'processor time'}: median {statistics.median(ratios):.1%}, {spread}"
        )
    if wish.json:
        wish.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
