"""What a machine of a cluster does: it says its facts, finds the build of a torch, and plays shards.

The process that does it is `harness.cli.player`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import __version__
from harness.campaign.orders import FACTS, TORCH, MachineOrder
from harness.campaign.runner import Runner
from harness.campaign.shipping import shipped
from harness.campaign.source import Given, Trial
from harness.campaign.torch_build import build_of
from harness.judge.result import Result
from harness.machine.facts import facts
from harness.machine.process.interpreter import examine, require_backend
from harness.machine.process.namespaces import probe_elsewhere
from harness.machine.process.scratch import scratch
from harness.machine.torches import torches
from harness.play.options import SUBJECTS, RunOptions
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError

Say = Callable[[Mapping[str, Any]], None]
RowOf = Callable[[str, Result], Mapping[str, Any]]
"""What is said of a play that is over, by its id."""

PREFIX = "rdzv-machine-"


@dataclass(frozen=True)
class _Observer:
    say: Say
    ids: Mapping[Any, str]

    def started(self, scenario: Scenario, attempt: int) -> None:
        self.say({"begun": self.ids[_key(scenario, attempt)]})


def perform(order: MachineOrder, say: Say, row_of: RowOf = shipped) -> None:
    """Do what is asked for, and say what comes of it; raises HarnessError."""
    if order.want == FACTS:
        say({"facts": _facts(replace(order.options, python=order.options.python or sys.executable))})
        return
    with ExitStack() as held:
        try:
            runner = _ready(order, say, held)
        except HarnessError as error:
            say({"refused": str(error)})
            return
        if order.want != TORCH:
            say({"shard": "begun"})
            _play(order, runner, say, row_of)


def _ready(order: MachineOrder, say: Say, held: ExitStack) -> Runner:
    """A runner with the interpreter that is asked for; raises HarnessError if this machine cannot have it."""
    python = held.enter_context(_interpreter(order, say))
    folder = held.enter_context(scratch(PREFIX))
    options = replace(order.options, python=python, runs_dir=folder / "runs", keep=0)
    runner = held.enter_context(Runner(options))
    if order.want == TORCH or order.build:
        if options.subject not in SUBJECTS:
            require_backend(Path(python), options.subject, SUBJECTS)
        build = build_of(runner, [one.scenario for one in order.plays])
        if order.want == TORCH and not build:
            raise HarnessError("it can play none of these scenarios; `rdzv-harness validate` says what they need")
        if order.build and build not in ("", order.build):
            raise HarnessError(f"its torch is {build}, and {order.build} is played; let all machines install one build")
        if order.want == TORCH:
            say({"torch": build})
    return runner


@contextmanager
def _interpreter(order: MachineOrder, say: Say) -> Iterator[str]:
    """The ranks' interpreter for the block; a release of torch is installed first if it is not there."""
    version = torches.named(order.options.python)
    if version is None:
        yield order.options.python or sys.executable
        return
    with torches.use(version, lambda text: say({"note": text}), order.limit or torches.LIMIT) as environment:
        yield str(environment.interpreter)


def _play(order: MachineOrder, runner: Runner, say: Say, row_of: RowOf) -> None:
    ids = {_key(one.scenario, one.attempt): one.play for one in order.plays}
    trials = [Trial(one.scenario, one.attempt, one.seed) for one in order.plays]
    for result in runner.run_source(Given(trials), _Observer(say, ids)):
        say({"result": row_of(ids[_key(result.scenario, result.attempt)], result)})
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
