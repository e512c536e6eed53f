"""The worker of a torchrun agent: a new interpreter that runs the rank's steps after the rendezvous, then leaves."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress
from typing import Any, Callable, Mapping, NoReturn

from harness.rank import step_modules
from harness.rank.agent import LIFE
from harness.rank.control import Control
from harness.rank.recorder import Recorder
from harness.rank.subjects.rendezvous import preload as preload_torch
from harness.rank.worker import MAIN, HandlerState, Worker, end, run_to_end
from harness.values.ops import INFO, WORKER
from harness.values.plan import JOIN, HandlerPlan, Plan

AGENT_GONE = 95
"""The status of a worker whose agent died before the worker could begin."""

_PR_SET_PTRACER = 0x59616D61


def preload(_subject: str) -> None:
    """Import what the steps need, whatever the backend; raises ImportError."""
    preload_torch()


def main(request: Mapping[str, Any], _control_fd: int, _doorbell_fd: int) -> NoReturn:
    """Run one life of the worker that the agent describes; never returns.

    Torchrun passes no descriptors on, so the agent's pipes are opened by their `paths`.
    """
    run_to_end(lambda: _worker(request).run())


def _worker(request: Mapping[str, Any]) -> AgentWorker:
    life = int(os.environ[LIFE])
    _let_controller_read(request["controller"])
    control_fd = _open(request["paths"]["control"], os.O_RDONLY)
    doorbell = request["paths"].get("doorbell")
    doorbell_fd = -1 if doorbell is None else _open(doorbell, os.O_WRONLY | os.O_NONBLOCK)
    recorder = Recorder(request["ops"], request["rank"], request["life"], doorbell_fd)
    return AgentWorker(request["plan_object"], request["rank"], life, recorder, Control(control_fd, life))


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError:
        end(AGENT_GONE)


def _let_controller_read(controller: int) -> None:
    """Allow the controller's py-spy to read this process: Yama may allow that to ancestors only, and it is none."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(controller), 0, 0, 0)


class AgentWorker(Worker):
    """One life of a torchrun worker.

    Its store is the one that torch's `env://` makes from the environment that torchrun set. It leaves when all its
    steps are done: with status 1 if one of its calls raised, like a script that does not catch the error, else with 0.
    """

    def __init__(self, plan: Plan, rank: int, life: int, recorder: Recorder, control: Control) -> None:
        super().__init__(plan, rank, life, recorder, control)
        self.handlers[MAIN] = HandlerState(EnvironmentHandler(self.handler_plan(MAIN)))

    def run(self) -> None:
        """Report the worker, run its steps on all threads, and leave; it needs no `begin`, which its agent got."""
        step_modules.load(self.plan.step_modules)
        self.control.start()
        self.write(INFO, WORKER, value={"pid": os.getpid(), "restart_count": _restart_count()})
        self.work()

    def work(self) -> None:
        steps = tuple(step for step in self.plan.steps_of(self.rank, self.life) if step.do != JOIN)
        for thread in self.run_steps(steps):
            thread.join()
        self.exit(1 if self.has_failed else 0)

    def exit(self, code: int) -> NoReturn:
        """Record that the worker leaves; the rank's `exit` is the agent's."""
        self.write(INFO, WORKER, value={"leaves": code})
        end(code)


def _restart_count() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


class EnvironmentHandler:
    """What a torchrun worker has in place of a handler: the environment that its agent set."""

    init_method = "env://"

    def __init__(self, plan: HandlerPlan) -> None:
        self.store: Any = EnvironmentStore(plan)

    def join(self) -> NoReturn:
        raise NotImplementedError("the agent does the rendezvous, not its worker")

    shutdown = set_closed = is_closed = join

    def release(self) -> None:
        self.store = None


class EnvironmentStore:
    """The store of `env://`, opened by the first call that needs it: at MASTER_ADDR:MASTER_PORT, without a prefix."""

    def __init__(self, plan: HandlerPlan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._opened: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method of the store; raises AttributeError if the TCPStore of this torch has no such method."""
        from torch.distributed import TCPStore

        getattr(TCPStore, name)
        return lambda *arguments: getattr(self._open(), name)(*arguments)

    def _open(self) -> Any:
        import datetime

        from torch.distributed import rendezvous

        with self._lock:
            if self._opened is None:
                timeout = datetime.timedelta(microseconds=self._plan.timeout_ns / 1000)
                self._opened, _, _ = next(rendezvous("env://", timeout=timeout))
            return self._opened
