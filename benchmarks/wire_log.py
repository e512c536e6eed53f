"""What the log of messages costs: plays through an engine with it and through one without it, in turns, in one run.

    python benchmarks/wire_log.py [--python PYTHON] [--calls 40 1000] [--rounds 10] [--json FILE]

The engine without the log writes an event for each query and reply, as it did before there was a log; its plays store
no messages. Prints, for each number of calls of a `mix`, the median play time of both, the ratio of each round's two
plays (median), the processor time of each engine for a message, and the size of `wire.jsonl`. Exits with 1 if the
median ratio of the first number of calls is above the bound.
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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.archive import WIRE
from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.values.ops import LINK
from harness.values.verdict import PASSED

WITH, WITHOUT = "with", "without"
BOUND = 1.03
"""A play with the log may take so many times as long as one without."""
TICKS = os.sysconf("SC_CLK_TCK")

MIX = """\
schema: rdzv-scenario/v1
title: Workers call the store without faults
world: {{size: {size}, timeout: 30s}}
workload:
  - {{id: join, do: rendezvous}}
  - {{id: mix, do: mix, ranks: workers, calls: {calls}, keys: [a, b, c], weights: {{set: 1, check: 2, add: 1}}}}
expect:
  - {{step: join, is: ok}}
  - {{step: mix, is: ok}}
"""


@dataclass(frozen=True)
class Play:
    """One play: its seconds, the engine's processor seconds, its messages, the bytes of their file (0 without one)."""

    seconds: float
    engine_seconds: float
    messages: int
    stored_bytes: int


def main() -> int:
    """Measure, print a table and, on request, write JSON."""
    if sys.argv[1:2] == ["--engine-without"]:
        return engine_without(sys.argv[2:])
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rdzv-wire-log-") as folder:
        measured = measure(arguments, Path(folder))
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps({"processors": os.cpu_count(), "plays": measured}, indent=2) + "\n")
    return int(next(iter(measured.values()))["ratio"] > BOUND)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """By the number of calls; the two engines take turns, and which of them begins changes."""
    found = {}
    with ExitStack() as stack:
        engines = {name: stack.enter_context(engine(name)) for name in (WITH, WITHOUT)}
        runners = {
            name: stack.enter_context(Runner(_options(arguments.python, url, folder / name)))
            for name, (_, url) in engines.items()
        }
        for calls in arguments.calls:
            (cell,) = load_text(MIX.format(size=arguments.size, calls=calls), Path("mix.rdzv.yaml"))
            plays: dict[str, list[Play]] = {WITH: [], WITHOUT: []}
            for turn in range(arguments.rounds + 1):
                for name in (WITH, WITHOUT) if turn % 2 else (WITHOUT, WITH):
                    plays[name].append(play(runners[name], cell, engines[name][0]))
            # The first play of each is slower, because its processes are cold.
            found[str(calls)] = summary({name: taken[1:] for name, taken in plays.items()})
    return found


def play(runner: Runner, cell: Scenario, engine_pid: int) -> Play:
    """One play, from its first operation to its last."""
    before = processor_seconds(engine_pid)
    result: Result = runner.play(cell)
    if result.status != PASSED or result.run_dir is None:
        raise SystemExit(f"the play {result.status}: {result.judgement.because}")
    ops = result.history.ops
    connections = [one for op in ops if op.f == LINK for one in op.value["connections"]]
    stored = result.run_dir / WIRE
    return Play(
        seconds=(ops[-1].time_ns - ops[0].time_ns) / 1e9,
        engine_seconds=processor_seconds(engine_pid) - before,
        messages=sum(sum(one["messages"].values()) for one in connections),
        stored_bytes=stored.stat().st_size if stored.exists() else 0,
    )


def summary(plays: Mapping[str, list[Play]]) -> dict[str, float]:
    """Medians, and the ratio over the rounds."""
    pairs = list(zip(plays[WITH], plays[WITHOUT], strict=True))
    messages = sum(one.messages for one in plays[WITH])
    return {
        "messages": messages / len(pairs),
        **{f"{name}_seconds": statistics.median(one.seconds for one in taken) for name, taken in plays.items()},
        "ratio": statistics.median(one.seconds / other.seconds for one, other in pairs),
        **{
            f"{name}_engine_us_per_message": 1e6
            * sum(one.engine_seconds for one in taken)
            / sum(one.messages for one in taken)
            for name, taken in plays.items()
        },
        "stored_bytes": sum(one.stored_bytes for one in plays[WITH]) / len(pairs),
        "bytes_per_message": sum(one.stored_bytes for one in plays[WITH]) / messages,
    }


def _options(python: str, url: str, runs_dir: Path) -> RunOptions:
    return RunOptions(python=python, toxiproxy=url, jobs=1, runs_dir=runs_dir, seed=1)


# -- engines -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def engine(name: str) -> Iterator[tuple[int, str]]:
    """The pid and the URL of an engine."""
    argv = [sys.executable, "-m", "harness.engine"] if name == WITH else [sys.executable, __file__, "--engine-without"]
    argv += ["--port", "0", "--parent-pid", str(os.getpid())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        finally:
            process.terminate()


def engine_without(arguments: list[str]) -> int:
    """The engine, with its log replaced by events."""
    from starlette.responses import JSONResponse

    from harness.engine import __main__, engine, extensions
    from harness.engine.wire.decoder import Message
    from harness.engine.wire.fates import Fates
    from harness.engine.wire.log import LoggedMessage, MessageLog

    unlogged = LoggedMessage("", 0, Message("query", "set"), 0, 0)

    class Events(MessageLog):
        """Writes an event for each message and keeps no message."""

        def add(self, proxy: str, connection: int, message: Message, time_ns: int) -> LoggedMessage:
            details: dict[str, Any] = {"keys": list(message.keys)} if message.keys else {}
            journal = self._number.__self__  # type: ignore[attr-defined]
            journal.note(message.side, proxy=proxy, connection=connection, kind=message.kind, **details)
            return unlogged

    async def about(self: extensions.Extensions, request: object) -> JSONResponse:
        said = json.loads((await with_log(self, request)).body)
        return JSONResponse({name: value for name, value in said.items() if name != "kept_messages"})

    with_log: Any = extensions.Extensions._about
    for owner, name, replacement in (
        (engine, "MessageLog", Events),
        (extensions.Extensions, "_about", about),
        *((Fates, name, lambda *_: None) for name in ("begin", "sent", "close")),
    ):
        setattr(owner, name, replacement)
    return __main__.main(arguments)


def processor_seconds(pid: int) -> float:
    """Of a process, user and system together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# -- output ------------------------------------------------------------------------------------------------------------


def show(measured: Mapping[str, Mapping[str, float]]) -> None:
    """Print the table."""
    table = Table(title=f"{os.cpu_count()} processors; a ratio of at most {BOUND} is wanted")
    for title in ("calls", "messages", "with", "without", "ratio", "engine with", "engine without", "stored", "each"):
        table.add_column(title, justify="right")
    for calls, row in measured.items():
        table.add_row(
            calls,
            f"{row['messages']:.0f}",
            f"{row['with_seconds']:.3f} s",
            f"{row['without_seconds']:.3f} s",
            f"{row['ratio']:.3f}",
            f"{row['with_engine_us_per_message']:.1f} µs",
            f"{row['without_engine_us_per_message']:.1f} µs",
            f"{row['stored_bytes'] / 1000:.1f} kB",
            f"{row['bytes_per_message']:.0f} bytes",
        )
    Console(width=160).print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter, with torch")
    parser.add_argument("--size", type=int, default=3, help="ranks")
    parser.add_argument("--calls", type=int, nargs="+", default=[40, 1000], help="calls of each worker")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
