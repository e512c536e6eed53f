"""The driver of a campaign with many simulated machines: its time, its memory, and whether each play has one result.

    python benchmarks/campaigns.py --machines 1000 --plays 1000000 --json campaigns.json

The plan, the driver and the ledger are those of `rdzv-harness run --cluster`; machines and clock are simulated, see
tests/simulated_machines.py. No row is played: the figures are the driver's own costs, without an engine and a network.
`least` is the formula of docs/campaigns.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from simulated_machines import World, simulate

from harness import clock


def main() -> int:
    """Simulate, print the figures; returns 1 if a play has no result, or two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--plays", type=int, default=1_000_000)
    parser.add_argument("--losses", type=float, default=0.01, help="the chance of a shard to be lost")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    wish = parser.parse_args()
    world = World(wish.machines, wish.plays, losses=wish.losses, poison=frozenset({wish.plays // 2}), seed=wish.seed)
    begun_ns = clock.now_ns()
    with tempfile.TemporaryDirectory() as folder:
        outcome = simulate(world, Path(folder) / "ledger.jsonl")
    seconds = (clock.now_ns() - begun_ns) / 1e9
    missing = outcome.results.count(0)
    doubled = wish.plays - missing - outcome.results.count(1)
    figures = {
        "machines": wish.machines,
        "plays": wish.plays,
        "missing": missing,
        "doubled": doubled,
        "errors": len(outcome.errors),
        "shards": outcome.shards,
        "losses": outcome.losses,
        "rows_played_in_vain": outcome.played + len(outcome.errors) - wish.plays,
        "virtual_seconds": round(outcome.seconds, 1),
        "least_virtual_seconds": round(wish.plays * world.seconds / (wish.machines * world.side_by_side), 1),
        "driver_seconds": round(seconds, 1),
        "driver_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    for name, value in figures.items():
        print(f"{name:24} {value}")
    if wish.json:
        wish.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if missing or doubled else 0


if __name__ == "__main__":
    sys.exit(main())
