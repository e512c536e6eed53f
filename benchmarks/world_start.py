"""How fast a clean world starts, joins and is judged, beside torchrun and torch.multiprocessing, all in one run."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
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
world: {{size: {size}, timeout: 60s}}
workload:
  - {{do: rendezvous}}
expect:
  - {{step: rendezvous, is: ok}}
"""
STAYING = """\
schema: rdzv-scenario/v1
title: Everybody joins and stays
world: {{size: {size}, timeout: 60s}}
workload:
  - {{do: rendezvous}}
  - {{do: sleep, for: {seconds}s, after: rendezvous}}
expect:
  - {{step: sleep, is: ok}}
"""
STAYS_SECONDS = 3
LOOK_AGAIN_SECONDS = 0.05
LARGEST_WEIGHED = 64  # weighing more processes would take longer than they stay

# What a torchrun agent starts: it prints when it was started, and returns at once.
WORKER = "import time\nprint('started', time.clock_gettime_ns(time.CLOCK_MONOTONIC), flush=True)\n"
PEERS = Path(__file__).with_name("peers.py")


def main() -> int:
    """Measure, print a table and, on request, write JSON."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rdzv-world-start-") as folder:
        measured = measure(arguments, Path(folder))
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2) + "\n")
    return 0


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, in one run on one machine; seconds are medians, lists are in the order of measuring."""
    first, *larger = arguments.sizes
    worlds: dict[int, list[float]] = {}
    options = RunOptions(python=arguments.python, jobs=1, runs_dir=folder / "runs")
    with Runner(options) as runner:
        worlds[first] = file_to_verdict(runner, folder, first, arguments.repeat)
    peers = {} if arguments.no_peers else measure_peers(arguments, folder, first)
    with Runner(options) as runner:
        for size in larger:
            worlds[size] = file_to_verdict(runner, folder, size, arguments.repeat)
        pss = {str(size): memory(runner, folder, size) for size in arguments.sizes if size <= LARGEST_WEIGHED}
        facts = runner.facts
    ours = statistics.median(worlds[first])
    return {
        "harness": __version__,
        "versions": facts.get("versions"),
        "processors": os.cpu_count(),
        "size": first,
        "file_to_verdict_seconds": {str(size): seconds for size, seconds in worlds.items()},
        "peers_seconds": peers,
        "times_faster": {name: statistics.median(seconds) / ours for name, seconds in peers.items() if seconds},
        "pss_mib": pss,
    }


# -- ours --------------------------------------------------------------------------------------------------------------


def file_to_verdict(runner: Runner, folder: Path, size: int, repeat: int) -> list[float]:
    """Seconds from the scenario's file to its verdict, through proxies; the first, cold one does not count."""
    path = folder / f"clean-{size}.rdzv.yaml"
    path.write_text(CLEAN.format(size=size))
    return [_play(runner, path) for _ in range(repeat + 1)][1:]


def _play(runner: Runner, path: Path) -> float:
    begun_ns = clock.now_ns()
    result = runner.play(load(path)[0])
    seconds = (clock.now_ns() - begun_ns) / 1e9
    if result.status != PASSED:
        raise SystemExit(f"{path.name} did not pass: {result.judgement.because}")
    return seconds


def memory(runner: Runner, folder: Path, size: int) -> dict[str, float]:
    """Proportional set size in MiB while all ranks stay: of a rank (the median), and of what they were cloned from."""
    path = folder / "staying.rdzv.yaml"
    path.write_text(STAYING.format(size=size, seconds=STAYS_SECONDS))
    samples: list[dict[str, float]] = []
    over = threading.Event()
    looker = threading.Thread(target=_look, args=(size, samples, over))
    looker.start()
    try:
        _play(runner, path)
    finally:
        over.set()
        looker.join()
    if not samples:
        raise SystemExit("the ranks were not found among the descendants; is /proc mounted?")
    return samples[len(samples) // 2]


def _look(size: int, samples: list[dict[str, float]], over: threading.Event) -> None:
    while not over.wait(LOOK_AGAIN_SECONDS):
        with contextlib.suppress(psutil.Error, OSError):
            processes = _cloned_ones()
            if len(processes) == size + 1:
                zygote, *ranks = [_pss_mib(process) for process in processes]
                samples.append({"rank": statistics.median(ranks), "zygote": zygote, "all": zygote + sum(ranks)})


def _cloned_ones() -> list[psutil.Process]:
    """The zygote and its clones: they share a command line; the oldest is the zygote."""
    found = [process for process in psutil.Process().children(recursive=True) if "zygote.py" in str(process.cmdline())]
    return sorted(found, key=lambda process: process.create_time())


def _pss_mib(process: psutil.Process) -> float:
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError("no Pss in smaps_rollup")


# -- the peers ---------------------------------------------------------------------------------------------------------


def measure_peers(arguments: argparse.Namespace, folder: Path, size: int) -> dict[str, list[float]]:
    """Seconds of the same join, made in the ways that torch offers; no proxy, no judging."""
    repeat = arguments.peer_repeat
    agents = [torchrun(arguments.python, folder, size) for _ in range(repeat)]
    server = forkserver(arguments.python, folder, size, repeat)
    return {
        "torchrun, until the last worker runs": [joined for joined, _ in agents],
        "torchrun, until the last agent has ended": [ended for _, ended in agents],
        "forkserver, the first world": [server["first"]],
        "forkserver, warm": server["warm"],
    }


def torchrun(python: str, folder: Path, size: int) -> tuple[float, float]:
    """One agent for each rank, each with one worker: seconds until the last worker runs, and until all have ended."""
    worker = folder / "worker.py"
    worker.write_text(WORKER)
    (port,) = _free_ports(1)
    command = [python, "-m", "torch.distributed.run", f"--nnodes={size}", "--nproc-per-node=1", "--rdzv-backend=static"]
    command += ["--master-addr=127.0.0.1", f"--master-port={port}", "--max-restarts=0"]
    begun_ns = clock.now_ns()
    with contextlib.ExitStack() as stack:
        agents = [
            stack.enter_context(_agent([*command, f"--node-rank={rank}", str(worker)], folder)) for rank in range(size)
        ]
        outputs = [agent.communicate()[0] for agent in agents]
        ended_ns = clock.now_ns()
    started = [
        int(line.split()[1]) for output in outputs for line in output.splitlines() if line.startswith("started ")
    ]
    if len(started) != size or any(agent.returncode for agent in agents):
        raise SystemExit(f"torchrun failed: {[agent.returncode for agent in agents]}\n" + "\n".join(outputs))
    return (max(started) - begun_ns) / 1e9, (ended_ns - begun_ns) / 1e9


@contextlib.contextmanager
def _agent(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as agent:
        try:
            yield agent
        finally:
            agent.terminate()


def forkserver(python: str, folder: Path, size: int, repeat: int) -> dict[str, Any]:
    """Worlds through the fork server, one after another: seconds of the first, and of `repeat` warm ones."""
    ports = [str(port) for port in _free_ports(repeat + 1)]
    command = [python, str(PEERS), str(size), str(repeat + 1), *ports]
    done = subprocess.run(command, env=_environment(folder), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the fork server failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _environment(folder: Path) -> dict[str, str]:
    """Look-ups that answer at once, as the harness's worlds have them: a slow resolver would flatter us.

    What the peers leave in the folder for temporary files goes with ours.
    """
    return {**os.environ, "RES_OPTIONS": "timeout:1 attempts:1", "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


# -- showing -----------------------------------------------------------------------------------------------------------


def show(measured: dict[str, Any]) -> None:
    """The table."""
    size, versions = measured["size"], measured["versions"] or {}
    console = Console()
    console.print(
        f"{measured['processors']} processors, torch {versions.get('torch')}, Python {versions.get('python')}"
    )
    table = Table("world", "runs", "fastest s", "median s", "slowest s", "times ours")
    for text_size, seconds in measured["file_to_verdict_seconds"].items():
        ratio = "1" if int(text_size) == size else ""
        table.add_row(f"harness, {text_size} ranks, file to verdict, warm", *_figures(seconds), ratio)
    for name, seconds in measured["peers_seconds"].items():
        ratio = f"{measured['times_faster'][name]:.1f}" if seconds else ""
        table.add_row(f"{name}, {size} ranks", *_figures(seconds), ratio)
    console.print(table)
    for text_size, pss in measured["pss_mib"].items():
        about = f"{pss['rank']:.1f} MiB a rank, {pss['zygote']:.0f} the zygote, {pss['all']:.0f} in all"
        console.print(f"memory (PSS), {text_size} ranks: {about}")


def _figures(seconds: Sequence[float]) -> tuple[str, ...]:
    if not seconds:
        return ("0", "", "", "")
    return (str(len(seconds)), *(f"{x:.3f}" for x in (min(seconds), statistics.median(seconds), max(seconds))))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[8, 64, 256], help="ranks; peers have the first (8 64 256)"
    )
    parser.add_argument("--repeat", type=int, default=10, help="warm worlds of each size (10)")
    parser.add_argument("--peer-repeat", type=int, default=3, help="worlds of each peer (3)")
    parser.add_argument("--no-peers", action="store_true", help="leave out torchrun and the fork server")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
