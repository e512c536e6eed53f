"""Measures how fast a clean world of hosts starts, joins and is judged, against the same ranks as processes."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import __version__, clock
from harness.campaign.runner import Runner
from harness.loader import load
from harness.play.options import RunOptions
from harness.values.verdict import PASSED

CLEAN = """\
schema: rdzv-scenario/v1
title: Everybody joins when nothing is wrong
world: {{size: {size}, timeout: 60s, kind: {kind}, family: {family}}}
workload:
  - {{do: rendezvous}}
expect:
  - {{step: rendezvous, is: ok}}
"""
WORLDS = {"processes": ("processes", "ipv4"), "namespaces": ("namespaces", "ipv4"), "IPv6": ("namespaces", "ipv6")}
"""The kind and the family of each world, by its name in the table."""


def main() -> int:
    """Measure, print a table and, on request, write JSON."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rdzv-namespaces-") as folder:
        measured = measure(arguments, Path(folder))
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2) + "\n")
    return 0


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds by size and world, through proxies, without each world's first play.

    Worlds take turns, so other load on the machine slows all of them, and their ratio stays.
    """
    seconds: dict[int, dict[str, list[float]]] = {size: {name: [] for name in WORLDS} for size in arguments.sizes}
    with Runner(RunOptions(python=arguments.python, jobs=1, runs_dir=folder / "runs")) as runner:
        for size in arguments.sizes:
            for turn in range(arguments.repeat + 1):
                for name in WORLDS:
                    took = _file_to_verdict(runner, folder, size, name)
                    if turn:
                        seconds[size][name].append(took)
        facts = runner.facts
    return {
        "harness": __version__,
        "versions": facts.get("versions"),
        "processors": os.cpu_count(),
        "file_to_verdict_seconds": {str(size): by_name for size, by_name in seconds.items()},
        "times_processes": {str(size): _ratios(by_name) for size, by_name in seconds.items()},
    }


def _file_to_verdict(runner: Runner, folder: Path, size: int, name: str) -> float:
    kind, family = WORLDS[name]
    path = folder / f"clean-{name}-{size}.rdzv.yaml"
    path.write_text(CLEAN.format(size=size, kind=kind, family=family if kind == "namespaces" else "ipv4"))
    begun_ns = clock.now_ns()
    result = runner.play(load(path)[0])
    seconds = (clock.now_ns() - begun_ns) / 1e9
    if result.status != PASSED:
        raise SystemExit(f"{path.name} is {result.status}: {result.judgement.because}")
    return seconds


def _ratios(by_name: dict[str, list[float]]) -> dict[str, float]:
    base = statistics.median(by_name["processes"])
    return {name: statistics.median(seconds) / base for name, seconds in by_name.items()}


def show(measured: dict[str, Any]) -> None:
    """Print the table."""
    versions = measured["versions"] or {}
    console = Console()
    console.print(
        f"{measured['processors']} processors, torch {versions.get('torch')}, Python {versions.get('python')}; "
        "file to verdict, warm, through proxies; ratio: to processes"
    )
    table = Table("ranks", "world", "runs", "fastest s", "median s", "slowest s", "ratio", "ms a rank")
    for size, by_name in measured["file_to_verdict_seconds"].items():
        for name, seconds in by_name.items():
            ratio = f"{measured['times_processes'][size][name]:.2f}"
            each = f"{statistics.median(seconds) / int(size) * 1000:.1f}"
            table.add_row(size, name, str(len(seconds)), *_figures(seconds), ratio, each)
    console.print(table)


def _figures(seconds: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{x:.3f}" for x in (min(seconds), statistics.median(seconds), max(seconds)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 32, 128], help="ranks (8 32 128)")
    parser.add_argument("--repeat", type=int, default=10, help="plays of each size and kind (10)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
