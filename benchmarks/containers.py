"""Measures how fast a world of containers starts, joins and is judged, against `docker run` in a shell loop."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import clock
from harness.campaign.runner import Runner
from harness.loader import load_text
from harness.machine.docker import engine, images, mounts
from harness.machine.docker.ranks import MEMORY_BYTES, PIDS
from harness.play.options import RunOptions
from harness.values.verdict import PASSED

CLEAN = """\
schema: rdzv-scenario/v1
title: Everybody joins when nothing is wrong
world: {{size: {size}, timeout: 60s}}
workload:
  - {{do: rendezvous}}
expect:
  - {{step: rendezvous, is: ok}}
"""

# The stock static rendezvous, built as torchrun builds it; the process ends when it has returned.
RANK = """
import sys
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import create_rdzv_handler
rank, size = int(sys.argv[1]), int(sys.argv[2])
handler = create_rdzv_handler(RendezvousParameters("static", "r0:29500", "loop", size, size, rank=rank, timeout=60))
handler.next_rendezvous()
"""

# Starts one container after another without waiting, then waits for all ends, and removes all.
LOOP = """
set -e
for rank in $(seq 0 $((SIZE - 1))); do
  docker run -d --name "$NAME-$rank" --network "$NAME" --hostname "r$rank" --network-alias "r$rank" \
    --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --user 65534:65534 \
    --memory "$MEMORY" --pids-limit "$PIDS" "$@" "$rank" "$SIZE" >/dev/null
done
for rank in $(seq 0 $((SIZE - 1))); do
  test "$(docker wait "$NAME-$rank")" = 0 || { docker logs "$NAME-$rank" >&2; exit 1; }
done
docker rm -f $(seq -f "$NAME-%.0f" 0 $((SIZE - 1))) >/dev/null
"""


def main() -> int:
    """Measure, print a table and, on request, write JSON."""
    arguments = _arguments()
    measured = measure(arguments)
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2) + "\n")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds by size, in order; the harness and the loop take turns, so that both meet the same load."""
    sizes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rdzv-containers-") as folder:
        options = RunOptions(python=arguments.python, world="containers", jobs=1, runs_dir=Path(folder) / "runs")
        for size in arguments.sizes:
            with Runner(options) as runner, network() as name:
                cold = ours(runner, size)
                warm, loop = [], []
                for _ in range(arguments.repeat):
                    loop.append(shell_loop(Path(arguments.python), name, size))
                    warm.append(ours(runner, size))
                versions = runner.facts.get("versions")
            ratio = statistics.median(warm) / statistics.median(loop)
            sizes[str(size)] = {"first": cold, "warm": warm, "loop": loop, "warm_to_loop": ratio}
    return {"processors": os.cpu_count(), "docker": str(engine.find()), "versions": versions, "sizes": sizes}


def ours(runner: Runner, size: int) -> float:
    """From the scenario's file to its verdict, through a proxy server in a container."""
    begun_ns = clock.now_ns()
    (scenario,) = load_text(CLEAN.format(size=size), Path(f"clean-{size}.rdzv.yaml"))
    result = runner.play(scenario)
    if result.status != PASSED:
        raise SystemExit(f"a clean world of {size} did not pass: {result.judgement.because}")
    return (clock.now_ns() - begun_ns) / 1e9


def shell_loop(python: Path, name: str, size: int) -> float:
    """From the first `docker run` to the removal of the last container; no proxy, no history, no judging."""
    inside = mounts.for_container(python)
    flags = [f"--mount=type=bind,source={one.source},target={one.target},readonly" for one in inside.binds]
    flags += [f"--env={key}={value}" for key, value in inside.environment.items()]
    command = ["sh", "-c", LOOP, "loop", *flags, images.RANK, inside.executable, "-W", "ignore", "-c", RANK]
    limits = {"SIZE": str(size), "NAME": name, "MEMORY": str(MEMORY_BYTES), "PIDS": str(PIDS)}
    begun_ns = clock.now_ns()
    done = subprocess.run(command, env={**os.environ, **limits}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the shell loop failed:\n{done.stderr}")
    return (clock.now_ns() - begun_ns) / 1e9


@contextlib.contextmanager
def network() -> Iterator[str]:
    """A network for the loop, made before anything is timed; the names of the loop's containers begin with its name."""
    name = f"rdzv-loop-{uuid.uuid4().hex[:8]}"
    subprocess.run(["docker", "network", "create", "--internal", "--subnet", "198.19.255.224/27", name], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        yield name
    finally:
        there = subprocess.run(["docker", "ps", "-aq", "--filter", f"name=^{name}-"], capture_output=True, text=True)
        for container in there.stdout.split():
            subprocess.run(["docker", "rm", "-f", container], stdout=subprocess.DEVNULL)
        subprocess.run(["docker", "network", "rm", name], stdout=subprocess.DEVNULL)


def show(measured: dict[str, Any]) -> None:
    """Print the table."""
    console = Console()
    versions = measured["versions"] or {}
    console.print(f"{measured['processors']} processors, Docker {measured['docker']}, torch {versions.get('torch')}")
    table = Table("world", "runs", "fastest s", "median s", "slowest s", "times the loop")
    for size, figures in measured["sizes"].items():
        table.add_row(f"docker run in a loop, {size} ranks", *_figures(figures["loop"]), "1")
        table.add_row(f"harness, {size} ranks, file to verdict", *_figures(figures["warm"]),
                      f"{figures['warm_to_loop']:.2f}")  # fmt: skip
        first = figures["first"] / statistics.median(figures["loop"])
        table.add_row(f"harness, {size} ranks, the first play of a world", *_figures([figures["first"]]),
                      f"{first:.2f}")  # fmt: skip
    console.print(table)


def _figures(seconds: Sequence[float]) -> tuple[str, ...]:
    return (str(len(seconds)), *(f"{x:.2f}" for x in (min(seconds), statistics.median(seconds), max(seconds))))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 8], help="ranks (4 8)")
    parser.add_argument("--repeat", type=int, default=5, help="plays of each size and kind (5)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if shutil.which("docker") is None:
        parser.error("the loop needs the docker command; install it (Debian: apt-get install docker.io)")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
