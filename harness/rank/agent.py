"""A rank as a torchrun agent: it runs torchrun's own code in this process, and records each of its rendezvous."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional

from harness.rank.control import ControlUntilBegun
from harness.rank.recorder import CANNOT_RECORD, Recorder
from harness.rank.subjects.rendezvous import STATIC, facts_of, listeners_of_master, registered, torchrun_config
from harness.rank.worker import EXIT, MAIN, HandlerState, StepRun, Worker, end
from harness.values.ops import INVOKE
from harness.values.plan import JOIN, HandlerPlan, Plan, StepPlan

LIFE = "RDZV_HARNESS_WORKER_LIFE"
"""The variable that gives a worker its life: torchrun's own count does not grow with every new worker."""

MONITOR_INTERVAL_SECONDS = 0.1
"""How often an agent checks its worker: torchrun's own default."""

_WORKER = "harness.rank.agent_worker"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Agent(Worker):
    """The agent's side of a rank: its rendezvous and its end. The steps after the rendezvous are run by its worker."""

    def __init__(self, plan: Plan, request: Mapping[str, Any], control_fd: int, doorbell_fd: int) -> None:
        rank, life = request["rank"], request["life"]
        recorder = Recorder(request["ops"], rank, life, doorbell_fd)
        super().__init__(plan, rank, life, recorder, ControlUntilBegun(control_fd, life))
        self._request = request
        self._descriptors = {"control": control_fd, "doorbell": doorbell_fd}
        self._next_life = life

    def work(self) -> None:
        """Run torchrun as the agent of one node, and end with its status."""
        self.write(INVOKE, EXIT, step=EXIT)
        end(self._run_torchrun())

    def _run_torchrun(self) -> int:
        from torch.distributed import run
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        self._record_joins()
        arguments = torchrun_arguments(self.plan, self.handler_plan(MAIN), self._log_folder, self._script())
        try:
            run.run(run.parse_args(arguments))
        except ChildFailedError as failure:
            print(failure, file=sys.stderr)
            return 1
        except BaseException as failure:
            traceback.print_exc()
            # Torchrun makes folders of logs in the run directory.
            return CANNOT_RECORD if getattr(failure, "errno", None) in _DISK_FULL else 1
        return 0

    def _record_joins(self) -> None:
        """From now on, each handler of this backend that torch's registry makes has its rendezvous recorded."""
        backends = registered()
        make: Callable[[Any], Any] = backends[self.plan.subject]

        def make_recorded(parameters: Any) -> Any:
            handler = make(parameters)
            join = handler.next_rendezvous
            handler.next_rendezvous = lambda: self._join(handler, join)
            return handler

        backends[self.plan.subject] = make_recorded

    def _join(self, handler: Any, join: Callable[[], Any]) -> Any:
        """One rendezvous of the agent, the first of a new life."""
        self.life, self._next_life = self._next_life, self._next_life + 1
        os.environ[LIFE] = str(self.life)
        recorded = RecordedJoin(handler, join, self.handler_plan(MAIN))
        self.handlers[MAIN] = HandlerState(recorded)
        StepRun(self, self._join_step()).run(None)
        if recorded.error is not None:
            raise recorded.error
        return recorded.info

    def _join_step(self) -> StepPlan:
        return next(step for step in self.plan.steps if step.do == JOIN and self.rank in step.ranks)

    @property
    def _log_folder(self) -> str:
        return os.path.join(os.path.dirname(os.path.dirname(self._request["ops"])), "logs", "torchrun")

    def _script(self) -> List[str]:
        """The command line of torchrun's worker: the file that started this process itself, and its settings."""
        here = f"/proc/{os.path.basename(os.readlink('/proc/self'))}/fd"
        request = {name: self._request[name] for name in ("plan", "rank", "life", "ops")}
        paths = {name: f"{here}/{fd}" for name, fd in self._descriptors.items() if fd >= 0}
        settings = {
            "mode": "rank",
            "harness": os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
            "worker": _WORKER,
            "request": {**request, "paths": paths, "controller": os.getppid(), "doorbell": False},
            "control": -1,
        }
        return [str(sys.modules["__main__"].__file__), json.dumps(settings)]


class RecordedJoin:
    """A handler for one rendezvous, which keeps the outcome so that torchrun gets exactly what its handler gave."""

    def __init__(self, handler: Any, join: Callable[[], Any], plan: HandlerPlan) -> None:
        self._handler = handler
        self._join = join
        self._plan = plan
        self.store: Any = None
        self.info: Any = None
        self.error: Optional[BaseException] = None

    def join(self) -> Dict[str, Any]:
        before = listeners_of_master(self._plan)
        try:
            self.info = self._join()
        except BaseException as error:
            self.error = error
            raise
        self.store = self.info.store
        return facts_of(self.info, self._handler, self._plan, before)

    def shutdown(self) -> NoReturn:
        raise NotImplementedError("torchrun owns the handler and shuts it down itself")

    set_closed = is_closed = shutdown

    def release(self) -> None:
        self.store = self.info = None


def torchrun_arguments(plan: Plan, handler: HandlerPlan, log_folder: str, script: List[str]) -> List[str]:
    """The arguments of the command line `torchrun ...` that this agent stands for."""
    config = {name: str(value) for name, value in torchrun_config(plan.subject, handler).items()}
    rank = config.pop("rank")
    if plan.subject == STATIC:
        node_rank = [f"--node-rank={rank}"]
    else:
        # torchrun passes the node's rank to `static` only.
        node_rank, config = [], {"rank": rank, **config}
    return [
        f"--nnodes={handler.world_size}",
        "--nproc-per-node=1",
        f"--rdzv-backend={plan.subject}",
        f"--rdzv-endpoint={handler.given_endpoint}",
        f"--rdzv-id={handler.run_id}",
        f"--rdzv-conf={','.join(f'{name}={value}' for name, value in config.items())}",
        f"--max-restarts={plan.max_restarts}",
        f"--monitor-interval={MONITOR_INTERVAL_SECONDS}",
        f"--log-dir={log_folder}",
        *node_rank,
        *script,
    ]
