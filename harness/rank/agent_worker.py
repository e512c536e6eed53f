"""The worker of a torchrun agent: a new interpreter that takes the rank's steps after the rendezvous, then leaves."""

from __future__ import annotations

import ctypes
import os
import threading
import traceback
from contextlib import suppress
from typing import Any, Callable, List, Mapping, NoReturn, Tuple

from harness.rank import step_modules
from harness.rank.agent import LIFE
from harness.rank.control import Control
from harness.rank.recorder import Recorder
from harness.rank.subjects.rendezvous import preload as preload_torch
from harness.rank.worker import MAIN, WORKER_FAILED, HandlerState, Worker, end
from harness.values.ops import INFO, WORKER
from harness.values.plan import JOIN, HandlerPlan, Plan, StepPlan

AGENT_GONE = 95
"""A worker whose agent died before it could begin does not begin."""

_PR_SET_PTRACER = 0x59616D61


def preload(_subject: str) -> None:
    """Import what the steps need, whatever the backend; raises ImportError."""
    preload_torch()


def main(request: Mapping[str, Any], _control_fd: int, _doorbell_fd: int) -> NoReturn:
    """Be one life of the worker that the agent describes; never returns.

    Torchrun hands no descriptors on, so pipes are opened by the `paths` of the agent's own.
    """
    try:
        life = int(os.environ[LIFE])
        _let_controller_read(request["controller"])
        control_fd = _open(request["paths"]["control"], os.O_RDONLY)
        doorbell = request["paths"].get("doorbell")
        doorbell_fd = -1 if doorbell is None else _open(doorbell, os.O_WRONLY | os.O_NONBLOCK)
        recorder = Recorder(request["ops"], request["rank"], request["life"], doorbell_fd)
        AgentWorker(request["plan_object"], request["rank"], life, recorder, Control(control_fd, life)).run()
    except BaseException:
        traceback.print_exc()
    end(WORKER_FAILED)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError:
        end(AGENT_GONE)


def _let_controller_read(controller: int) -> None:
    """Where Yama lets only ancestors read a process, the controller's py-spy is none: allow it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(controller), 0, 0, 0)


class AgentWorker(Worker):
    """One life of a torchrun worker.

    Its store is what torch's `env://` makes of the environment that torchrun gave it. When it has no more steps it
    leaves: with status 1 if one of its calls raised, as a script would that does not catch it, else with 0.
    """

    def __init__(self, plan: Plan, rank: int, life: int, recorder: Recorder, control: Control) -> None:
        super().__init__(plan, rank, life, recorder, control)
        self.held[MAIN] = HandlerState(EnvironmentHandler(self.told(MAIN)))

    def run(self) -> None:
        step_modules.load(self.plan.step_modules)
        self.control.start()
        self.write(INFO, WORKER, value={"pid": os.getpid(), "restart_count": _restart_count()})
        steps = tuple(step for step in self.plan.steps_of(self.rank, self.life) if step.do != JOIN)
        threads = self._start_threads(steps)
        self.take_steps(MAIN, steps)
        for thread in threads:
            thread.join()
        self.exit(1 if self.has_failed else 0)

    def exit(self, code: int) -> NoReturn:
        """The end of the worker is not the rank's, whose `exit` is the agent's."""
        self.write(INFO, WORKER, value={"leaves": code})
        end(code)

    def _start_threads(self, steps: Tuple[StepPlan, ...]) -> List[threading.Thread]:
        names = dict.fromkeys(step.thread for step in steps if step.thread != MAIN)
        threads = [
            threading.Thread(target=self.run_thread, args=(name, steps), name=name, daemon=True) for name in names
        ]
        for thread in threads:
            thread.start()
        return threads


def _restart_count() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


class EnvironmentHandler:
    """What a torchrun worker has instead of a handler: the environment that its agent gave it."""

    init_method = "env://"

    def __init__(self, told: HandlerPlan) -> None:
        self.store: Any = EnvironmentStore(told)

    def join(self) -> NoReturn:
        raise NotImplementedError("the rendezvous is the agent's")

    shutdown = set_closed = is_closed = join

    def release(self) -> None:
        self.store = None


class EnvironmentStore:
    """The store of `env://`, opened by the first call that needs it: MASTER_ADDR:MASTER_PORT with no prefix."""

    def __init__(self, told: HandlerPlan) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._opened: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method of the store; raises AttributeError if this torch's has none of that name."""
        from torch.distributed import TCPStore

        getattr(TCPStore, name)
        return lambda *arguments: getattr(self._open(), name)(*arguments)

    def _open(self) -> Any:
        import datetime

        from torch.distributed import rendezvous

        with self._lock:
            if self._opened is None:
                timeout = datetime.timedelta(microseconds=self._told.timeout_ns / 1000)
                self._opened, _, _ = next(rendezvous("env://", timeout=timeout))
            return self._opened
