"""The player of a shard: `python -m harness.campaign.machine`, which a cluster starts on each of its machines.

It reads one order from its standard input and says lines on its standard output. When its input ends, it heals its
worlds and ends: then the process that started it is gone, or wants no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import __version__
from harness.campaign.orders import FACTS, MachineOrder, PlayOrder
from harness.campaign.runner import Runner
from harness.campaign.shipping import shipped
from harness.campaign.source import Given, Trial
from harness.machine.facts import facts
from harness.machine.process.interpreter import examine
from harness.machine.process.namespaces import probe_elsewhere
from harness.machine.process.scratch import scratch
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError

Say = Callable[[Mapping[str, Any]], None]
STOPPED = 130
FAILED = 3
PREFIX = "rdzv-machine-"


@dataclass(frozen=True)
class _Observer:
    say: Say
    ids: Mapping[Any, str]

    def started(self, scenario: Scenario, attempt: int) -> None:
        self.say({"begun": self.ids[_key(scenario, attempt)]})


def perform(order: MachineOrder, say: Say) -> None:
    """Do what is asked for, and say what comes of it; raises HarnessError."""
    options = order.options if order.options.python else replace(order.options, python=sys.executable)
    if order.want == FACTS:
        say({"facts": _facts(options)})
        return
    say({"shard": "begun"})
    with scratch(PREFIX) as folder:
        _play(order.plays, replace(options, runs_dir=folder / "runs", keep=0), say)


def _play(plays: tuple[PlayOrder, ...], options: RunOptions, say: Say) -> None:
    ids = {_key(one.scenario, one.attempt): one.play for one in plays}
    trials = [Trial(one.scenario, one.attempt, one.seed) for one in plays]
    with Runner(options) as runner:
        for result in runner.run_source(Given(trials), _Observer(say, ids)):
            say({"result": shipped(ids[_key(result.scenario, result.attempt)], result)})
            if result.run_dir is not None:
                shutil.rmtree(result.run_dir, ignore_errors=True)


def _key(scenario: Scenario, attempt: int) -> tuple[str, Path, int]:
    return scenario.id, scenario.path, attempt


def _facts(options: RunOptions) -> dict[str, Any]:
    """What decides whether this machine is fit: what `doctor` asks too."""
    python = examine(Path(options.python))
    isolation = probe_elsewhere()
    return {
        "harness": __version__,
        "worlds": options.worlds,
        "torch": python.torch or "",
        "python": python.problem if options.needs_torch else "",
        "isolation": "" if isolation.possible else isolation.reason,
        "machine": dict(facts()),
    }


def _watch() -> None:
    """Interrupt the main thread at the end of the input."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)


def main() -> int:
    """Perform one order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed is no line of ours

    def say(line: Mapping[str, Any]) -> None:
        out.write(json.dumps(line, separators=(",", ":")) + "\n")
        out.flush()

    try:
        order = MachineOrder.from_json(sys.stdin.readline())
        threading.Thread(target=_watch, daemon=True).start()
        perform(order, say)
    except KeyboardInterrupt:
        return STOPPED
    except (HarnessError, ValueError, OSError) as error:
        print(f"{type(error).__name__ if isinstance(error, ValueError) else 'error'}: {error}", file=sys.stderr)
        return FAILED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the input may end at any moment now, and changes nothing
    return 0


if __name__ == "__main__":
    # The thread that reads the input is not waited for.
    code = main()
    sys.stderr.flush()
    os._exit(code)
