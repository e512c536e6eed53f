"""A rank as a torchrun agent: torchrun's own code in this process, with each of its rendezvous written down."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional

from harness.rank.control import ControlUntilBegun
from harness.rank.recorder import Recorder
from harness.rank.subjects.rendezvous import STATIC, facts_of, registered, torchrun_config
from harness.rank.worker import EXIT, MAIN, WORKER_FAILED, HandlerState, StepRun, Worker, end
from harness.values.endpoint import Endpoint
from harness.values.ops import INVOKE
from harness.values.plan import JOIN, HandlerPlan, Plan, StepPlan

LIFE = "RDZV_HARNESS_WORKER_LIFE"
"""The variable by which a worker learns its life: torchrun's own count does not grow with every new worker."""

MONITOR_INTERVAL_SECONDS = 0.1
"""How often an agent looks after its worker: torchrun's own default."""

_WORKER = "harness.rank.agent_worker"


class Agent(Worker):
    """The agent's side of a rank: its rendezvous and its end; the steps between are its worker's."""

    def __init__(self, plan: Plan, request: Mapping[str, Any], control_fd: int, doorbell_fd: int) -> None:
        rank, life = request["rank"], request["life"]
        recorder = Recorder(request["ops"], rank, life, doorbell_fd)
        super().__init__(plan, rank, life, recorder, ControlUntilBegun(control_fd, life))
        self._request = request
        self._descriptors = {"control": control_fd, "doorbell": doorbell_fd}
        self._first_life = life
        self._lives = 0

    def run(self) -> None:
        """Report ready, be the agent that torchrun makes of this process, and end as it ends."""
        self.control.start()
        self.report_ready()
        if not self.control.wait_for_begin():
            self.skip_all("the play ended before this rank could begin")
            self.leave()
        self.write(INVOKE, EXIT, step=EXIT)
        end(self._be_torchrun())

    def _be_torchrun(self) -> int:
        from torch.distributed import run
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        self._watch_joins()
        try:
            run.run(run.parse_args(torchrun_arguments(self.plan, self.told(MAIN), self._log_folder, self._script())))
        except ChildFailedError as failure:
            print(failure, file=sys.stderr)
            return 1
        except BaseException:
            traceback.print_exc()
            return 1
        return 0

    def _watch_joins(self) -> None:
        """From now on, whoever gets a handler of this backend from torch's registry gets one that is written down."""
        backends = registered()
        make: Callable[[Any], Any] = backends[self.plan.subject]

        def watched(parameters: Any) -> Any:
            handler = make(parameters)
            join = handler.next_rendezvous
            handler.next_rendezvous = lambda: self._join(handler, join)
            return handler

        backends[self.plan.subject] = watched

    def _join(self, handler: Any, join: Callable[[], Any]) -> Any:
        """One rendezvous of the agent, the first of a new life."""
        self.life = self._first_life + self._lives
        self._lives += 1
        os.environ[LIFE] = str(self.life)
        watched = WatchedJoin(handler, join, self.told(MAIN))
        self.held[MAIN] = HandlerState(watched)
        StepRun(self, self._join_step()).take(None)
        if watched.error is not None:
            raise watched.error
        return watched.info

    def _join_step(self) -> StepPlan:
        return next(step for step in self.plan.steps if step.do == JOIN and self.rank in step.ranks)

    @property
    def _log_folder(self) -> str:
        return os.path.join(os.path.dirname(os.path.dirname(self._request["ops"])), "logs", "torchrun")

    def _script(self) -> List[str]:
        """What torchrun runs as its worker: the file that this process itself was started with, and what to do."""
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


class WatchedJoin:
    """A handler for one rendezvous whose outcome torchrun gets as if nobody had looked."""

    def __init__(self, handler: Any, join: Callable[[], Any], told: HandlerPlan) -> None:
        self._handler = handler
        self._join = join
        self._told = told
        self.store: Any = None
        self.info: Any = None
        self.error: Optional[BaseException] = None

    def join(self) -> Dict[str, Any]:
        try:
            self.info = self._join()
        except BaseException as error:
            self.error = error
            raise
        self.store = self.info.store
        return facts_of(self.info, self._handler, self._told)

    def shutdown(self) -> NoReturn:
        raise NotImplementedError("the handler is torchrun's, which shuts it down itself")

    set_closed = is_closed = shutdown

    def release(self) -> None:
        self.store = self.info = None


def torchrun_arguments(plan: Plan, told: HandlerPlan, log_folder: str, script: List[str]) -> List[str]:
    """The command line that torchrun would be given, without its name."""
    config = {name: str(value) for name, value in torchrun_config(plan.subject, told).items()}
    rank = config.pop("rank")
    if plan.subject == STATIC:
        place = [f"--node-rank={rank}"]
    else:
        # torchrun hands the node's rank on to `static` alone.
        place, config = [], {"rank": rank, **config}
    return [
        f"--nnodes={told.world_size}",
        "--nproc-per-node=1",
        f"--rdzv-backend={plan.subject}",
        f"--rdzv-endpoint={Endpoint(told.host, told.port)}",
        f"--rdzv-id={told.run_id}",
        f"--rdzv-conf={','.join(f'{name}={value}' for name, value in config.items())}",
        f"--max-restarts={plan.max_restarts}",
        f"--monitor-interval={MONITOR_INTERVAL_SECONDS}",
        f"--log-dir={log_folder}",
        *place,
        *script,
    ]


def be_agent(plan: Plan, request: Mapping[str, Any], control_fd: int, doorbell_fd: int) -> NoReturn:
    """Be the agent that the request describes; never returns."""
    try:
        Agent(plan, request, control_fd, doorbell_fd).run()
    except BaseException:
        traceback.print_exc()
    end(WORKER_FAILED)
