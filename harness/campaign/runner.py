"""The parent's side: starts controllers, feeds, times and replaces them, and has every history judged."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

from packaging.specifiers import SpecifierSet

from harness import clock
from harness.archive import STEADY, create_run, fill_run, prune, read_history, write_judgement
from harness.campaign.local_controller import ControllerProcess
from harness.judge.judge import judge, judge_skipped, needs_steady_state
from harness.judge.result import Result
from harness.machine.docker import leases
from harness.machine.process.interpreter import require
from harness.machine.toxiproxy.server import require_server
from harness.play.needs import through_the_same, unmet_by_proxy, unmet_by_world
from harness.play.settings import AUTO, REAL, TORCHLESS, Order, Settings, is_url
from harness.scenario.scenario import Scenario
from harness.schedule.time_limit import longest_ns
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.verdict import ERROR, Judgement
from harness.worlds.base import WORLDS

STARTUP_LIMIT_NS = 120_000_000_000
"""A controller is up in 1.5 s; on a machine where many import torch at once it has taken half a minute."""

MARGIN_NS = 120_000_000_000
"""What a play may take beyond its own times: only a controller that is stuck takes longer."""


MOST_ENGINE_WORLDS = 2
"""Worlds of containers side by side: the engine does one thing at a time, and four at once took twice as long each."""

CONTROLLER_LOGS = ".controllers"
"""Beside the run directories: logs of what outlives a play; gone when the runner is."""


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        subject: as torchrun names it, or `echo`, or `command`.
        command: argv of `command`.
        python: the ranks' interpreter.
        toxiproxy: `auto`: a toxiproxy-server if this machine has one, else the embedded engine; `embedded`; `real`;
            or the URL of a running server, on loopback.
        jobs: worlds side by side; None is twice the number of processors, since worlds mostly wait.
        seed: None draws one.
        keep: how many run directories stay.
        require: kinds of need (`torch`, `world`, `proxy`, ...) whose absence is an error instead of a skip.
        isolation: `auto`, `private` or `host`.
        world: play everything in this kind of world, whatever the files say; None as they say.
    """

    subject: str = "static"
    command: tuple[str, ...] = ()
    python: str = sys.executable
    toxiproxy: str = AUTO
    jobs: int | None = None
    seed: int | None = None
    runs_dir: Path = Path(".rdzv/runs")
    keep: int = 50
    require: frozenset[str] = frozenset()
    isolation: str = "auto"
    world: str | None = None

    @property
    def worlds(self) -> int:
        """How many worlds side by side."""
        return self.jobs or 2 * (os.cpu_count() or 1)


class Observer(Protocol):
    """Who wants to know what runs now."""

    def started(self, scenario: Scenario, attempt: int) -> None:
        """A cell was sent to a world."""


@dataclass
class _Task:
    scenario: Scenario
    attempt: int
    seed: int
    begun_ns: int = 0
    deadline_ns: int = 0
    run_dir: Path | None = None
    red: Judgement | None = None
    history: History = field(default_factory=History)


class Runner:
    """Plays and judges cells; a context manager that leaves nothing behind.

    Raises UsageError on entry for options that cannot work.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
        self._controllers: list[ControllerProcess] = []
        self._tasks: dict[ControllerProcess, _Task] = {}
        self._logs = options.runs_dir / CONTROLLER_LOGS / str(os.getpid())
        self._hired = 0
        self._examined = False
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Runner:
        _sweep_logs(self._logs.parent)
        return self

    def __exit__(self, *_: object) -> None:
        for controller in self._controllers:
            controller.hang_up()
        for controller in self._controllers:
            controller.wait_gone()
        self._controllers.clear()
        leases.end_reaper()
        shutil.rmtree(self._logs, ignore_errors=True)
        prune(self.options.runs_dir, self.options.keep)

    # -- running -----------------------------------------------------------------------------------------------

    def run(
        self,
        cells: Sequence[Scenario],
        repeat: int = 1,
        until_fail: bool = False,
        observer: Observer | None = None,
    ) -> Iterator[Result]:
        """Play each cell `repeat` times and yield results as they come; `until_fail` stops at the first bad one.

        On KeyboardInterrupt what runs is healed and ended before it is raised again.
        """
        cells = [self._placed(cell) for cell in cells]
        queue = deque(
            _Task(cell, attempt, self.seed + attempt - 1) for attempt in range(1, repeat + 1) for cell in cells
        )
        self._check_machine([task.scenario for task in queue])
        stop = False
        while (queue and not stop) or self._tasks:
            if not stop:
                yield from self._feed(queue, observer)
            for result in self._collect():
                stop = stop or (until_fail and result.status not in ("passed", "known failure", "skipped"))
                yield result

    def play(self, scenario: Scenario) -> Result:
        """Play and judge one cell."""
        return next(iter(self.run([scenario])))

    def _check_machine(self, cells: Sequence[Scenario]) -> None:
        """Say at once, and by name, what every cell would meet: no torch, no proxy server."""
        if not self._examined:
            require(Path(self.options.python), needs_torch=self.options.subject not in TORCHLESS)
            self._examined = True
        if self.options.toxiproxy == REAL and any(_plays_through_proxy(cell) for cell in cells):
            require_server()  # raises with the ways to get one

    def _placed(self, cell: Scenario) -> Scenario:
        return cell if self.options.world is None else replace(cell, world=replace(cell.world, kind=self.options.world))

    def _feed(self, queue: deque[_Task], observer: Observer | None) -> Iterator[Result]:
        """Give idle controllers their next cell; what cannot be played at all is a result at once."""
        waiting: list[_Task] = []
        while queue:
            task = queue.popleft()
            unmet = self._unmet(task.scenario)
            if unmet is not None:
                yield self._skipped(task, *unmet)
                continue
            controller = self._idle(task, queue, waiting)
            if controller is None:
                waiting.append(task)
                if len(self._tasks) == len(self._controllers) or not any(one.is_ready for one in self._controllers):
                    break  # nobody is idle, so nothing behind it can be played now
                continue
            if not self.facts:
                self.facts = dict(controller.facts)
                queue.appendleft(task)  # now that the ranks' versions are known, the needs are looked at again
                continue
            if observer is not None:
                observer.started(task.scenario, task.attempt)
            self._send(controller, task)
        queue.extendleft(reversed(waiting))

    def _idle(self, task: _Task, queue: Sequence[_Task], waiting: Sequence[_Task]) -> ControllerProcess | None:
        """A controller that can play this now, hired if there is room; None if it must wait."""
        isolation = self._isolation(task.scenario)
        mine = [one for one in self._controllers if one.isolation == isolation]
        most = min(self.options.worlds, MOST_ENGINE_WORLDS) if _in_engine(task.scenario) else self.options.worlds
        alike = (other for other in chain(queue, waiting) if self._isolation(other.scenario) == isolation)
        work = 1 + sum(one in self._tasks for one in mine) + sum(1 for _ in islice(alike, most))
        for _ in range(min(most, work) - len(mine)):
            mine.append(self._start_controller(isolation, task.scenario.world.kind))
            self._controllers.append(mine[-1])
        return next((one for one in mine if one.is_ready and one not in self._tasks), None)

    def _isolation(self, scenario: Scenario) -> str:
        # A server that is not ours lies outside any namespace, so its worlds stay on the host's network.
        return "host" if is_url(self.options.toxiproxy) or _in_engine(scenario) else self.options.isolation

    def _start_controller(self, isolation: str, world: str) -> ControllerProcess:
        self._hired += 1
        log_dir = (self._logs / str(self._hired)).absolute()
        log_dir.mkdir(parents=True)
        settings = Settings(
            subject=self.options.subject,
            python=self.options.python,
            toxiproxy=self.options.toxiproxy,
            log_dir=str(log_dir),
            world=world,
        )
        # What a killed controller leaves in an engine is let go of by somebody who does not end with it.
        reaper = leases.reaper_fd() if isolation == "host" else None
        return ControllerProcess(settings, isolation, clock.now_ns() + STARTUP_LIMIT_NS, reaper)

    def _send(self, controller: ControllerProcess, task: _Task) -> None:
        scenario = task.scenario
        if task.red is not None:
            assert task.run_dir is not None
            scenario, run_dir = through_the_same(task.scenario.steady_state(), scenario), task.run_dir / STEADY
            fill_run(run_dir, scenario, {"subject": self.options.subject})
        else:
            task.begun_ns = clock.now_ns()
            task.run_dir = run_dir = create_run(self.options.runs_dir, scenario, self._meta(task))
        task.deadline_ns = clock.now_ns() + longest_ns(scenario) + MARGIN_NS
        self._tasks[controller] = task
        controller.send(Order(scenario, run_dir, self.options.subject, self.options.command, task.seed))

    # -- collecting --------------------------------------------------------------------------------------------

    def _collect(self) -> Iterator[Result]:
        if not self._controllers:
            return
        now_ns = clock.now_ns()
        deadlines = [task.deadline_ns for task in self._tasks.values()]
        deadlines += [one.startup_deadline_ns for one in self._controllers if not one.is_ready]
        timeout = max(0.0, (min(deadlines) - now_ns) / 1e9) if deadlines else 0.0
        ready = {id(connection) for connection in wait([one.connection for one in self._controllers], timeout)}
        for controller in list(self._controllers):
            if id(controller.connection) in ready:
                yield from self._hear(controller)
            else:
                yield from self._check_deadline(controller)

    def _hear(self, controller: ControllerProcess) -> Iterator[Result]:
        try:
            message = controller.receive()
        except (EOFError, OSError):
            yield from self._lost(controller, controller.last_words())
            return
        if "failed" in message:
            yield from self._lost(controller, str(message["failed"]))
        elif "played" in message:
            task = self._tasks.pop(controller)
            result = self._judge(controller, task)
            if result is not None:
                yield result

    def _check_deadline(self, controller: ControllerProcess) -> Iterator[Result]:
        task, now_ns = self._tasks.get(controller), clock.now_ns()
        if task is not None and now_ns > task.deadline_ns:
            yield from self._lost(controller, "the controller missed its deadline and was replaced")
        elif not controller.is_ready and now_ns > controller.startup_deadline_ns:
            yield from self._lost(controller, f"a controller was not up within {STARTUP_LIMIT_NS // 10**9} s")

    def _lost(self, controller: ControllerProcess, because: str) -> Iterator[Result]:
        """A controller is gone: its cell is an error, and it is replaced by the next that is needed."""
        controller.kill()
        self._controllers.remove(controller)
        task = self._tasks.pop(controller, None)
        if task is None:
            raise HarnessError(f"{because}; `rdzv-harness doctor` tells what this machine can do")
        yield self._result(task, Judgement(ERROR, because))

    def _judge(self, controller: ControllerProcess, task: _Task) -> Result | None:
        assert task.run_dir is not None
        if task.red is not None:
            steady = read_history(task.run_dir / STEADY)
            return self._result(task, judge(task.scenario, task.history, steady))
        task.history = read_history(task.run_dir)
        unsupported = (task.history.ended or {}).get("unsupported")
        if unsupported:
            return self._skipped(task, *unsupported)
        judgement = judge(task.scenario, task.history)
        if needs_steady_state(judgement):
            task.red = judgement
            self._send(controller, task)
            return None
        return self._result(task, judgement)

    # -- results -----------------------------------------------------------------------------------------------

    def _unmet(self, scenario: Scenario) -> tuple[str, str] | None:
        """What this machine or release cannot offer; (need, reason)."""
        if scenario.unsupported:
            return scenario.unsupported[0]
        torch = (self.facts.get("versions") or {}).get("torch")
        wanted = scenario.needs.get("torch")
        if wanted and torch and not SpecifierSet(wanted, prereleases=True).contains(torch.split("+")[0]):
            return ("torch", f"needs torch {wanted}, the ranks have {torch}")
        if wanted and self.options.subject in TORCHLESS:
            return ("torch", f"needs torch {wanted}, and the subject {self.options.subject} has none")
        return unmet_by_proxy(scenario, self.options.toxiproxy) or unmet_by_world(scenario)

    def _skipped(self, task: _Task, need: str, reason: str) -> Result:
        return self._result(task, judge_skipped(task.scenario, need, reason, need in self.options.require))

    def _result(self, task: _Task, judgement: Judgement) -> Result:
        if task.run_dir is not None:
            write_judgement(task.run_dir, judgement)
        return Result(
            scenario=task.scenario,
            judgement=judgement,
            history=task.history,
            run_dir=task.run_dir,
            seconds=(clock.now_ns() - task.begun_ns) / 1e9 if task.begun_ns else 0.0,
            attempt=task.attempt,
            subject=self.options.subject,
            seed=task.seed,
            command=self.command(task.scenario, task.seed),
        )

    def command(self, scenario: Scenario, seed: int) -> str:
        """The command line that plays just this cell."""
        options = self.options
        words = ["rdzv-harness", "run", str(scenario.path)]
        words += ["-k", scenario.id] if scenario.cell else []
        words += ["--subject", options.subject] if options.subject != "static" else []
        words += ["--python", options.python] if options.python != sys.executable else []
        words += ["--toxiproxy", options.toxiproxy] if options.toxiproxy != AUTO else []
        words += ["--world", options.world] if options.world else []
        words += ["--seed", str(seed)]
        words += ["--", *options.command] if options.command else []
        return shlex.join(words)

    def _meta(self, task: _Task) -> dict[str, Any]:
        return {
            "subject": self.options.subject,
            "seed": task.seed,
            "attempt": task.attempt,
            "python": self.options.python,
            "command": self.command(task.scenario, task.seed),
        }


def _in_engine(scenario: Scenario) -> bool:
    return WORLDS[scenario.world.kind].isolation == "host"


def _sweep_logs(folder: Path) -> None:
    """Delete the logs of harnesses that were killed before they could."""
    for logs in folder.iterdir() if folder.is_dir() else ():
        if logs.name.isdigit() and not Path("/proc", logs.name).exists():
            shutil.rmtree(logs, ignore_errors=True)


def _plays_through_proxy(scenario: Scenario) -> bool:
    return scenario.world.route == "proxy" and scenario.world.size > 1 and not scenario.unsupported
