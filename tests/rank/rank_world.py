"""Ranks that are controlled over real pipes, like the controller does, with a small stand-in for the zygote."""

import json
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path

from harness.values.ops import Op
from harness.values.plan import HandlerPlan, StepPlan

HARNESS = Path(__file__).parents[2] / "harness"
PATIENCE_S = 60

# Forks a process for each request and reports how each ended; like the zygote, it knows only the harness's folder.
BOOTSTRAP = """
import json, os, sys, types
settings = json.loads(sys.argv[1])
harness = types.ModuleType("harness")
harness.__path__ = [settings["harness"]]
sys.modules["harness"] = harness
sys.path.insert(0, settings["path"])
from harness.rank import start
if settings["preload"]:
    start.preload(settings["subject"])
pids = {}
for request, control in zip(settings["requests"], settings["controls"]):
    pid = os.fork()
    if pid == 0:
        os.close(settings["ends"])
        for other in settings["controls"]:
            if other != control:
                os.close(other)
        start.main(request, control, settings["doorbell"])
    pids[pid] = request["rank"]
for control in settings["controls"]:
    os.close(control)
os.close(settings["doorbell"])
while pids:
    pid, status = os.wait()
    os.write(settings["ends"], (json.dumps([pids.pop(pid), os.waitstatus_to_exitcode(status)]) + "\\n").encode())
"""


def step(
    index, do, *, ranks=(0,), name=None, thread="main", life=None, times=1, gated=False, handler="main", **arguments
):
    """A step of a plan; its name is the verb unless given."""
    return StepPlan(index, name or do, do, tuple(ranks), arguments, handler, thread, life, times, gated)


def handler_plan(rank, size, port, *, run_id="train", timeout_s=5.0, config=None, host="127.0.0.1"):
    """The arguments of a handler that connects directly to the endpoint."""
    return HandlerPlan(rank, size, run_id, int(timeout_s * 1e9), host, port, host, port, config or {})


class Ranks:
    """A few rank processes, and the controller's ends of their pipes."""

    def __init__(self, folder, plan, *, python, life=1, path="", preload=True):
        self.folder = folder
        self.plan = plan
        self.life = life
        self.statuses = {}
        self._seen = {}
        self._begin(python, path, preload)

    def _begin(self, python, path, preload):
        plan_path = self.folder / "plan.json"
        plan_path.write_text(json.dumps(self.plan.to_json()))
        ranks = range(len(self.plan.ranks))
        requests = [{"plan": str(plan_path), "rank": r, "life": self.life, "ops": str(self._ops(r))} for r in ranks]
        pipes = [os.pipe() for _ in ranks]
        self._doorbell, bell = os.pipe()
        os.set_blocking(bell, False)
        os.set_blocking(self._doorbell, False)
        self._ends, ends = os.pipe()
        os.set_blocking(self._ends, False)
        settings = {
            "harness": str(HARNESS),
            "path": path,
            "subject": self.plan.subject,
            "preload": preload,
            "requests": requests,
            "controls": [reader for reader, _ in pipes],
            "doorbell": bell,
            "ends": ends,
        }
        handed_on = [*settings["controls"], bell, ends]
        self._controls = {rank: writer for rank, (_, writer) in enumerate(pipes)}
        self._log = open(self.folder / "log.txt", "w")
        self.process = subprocess.Popen(
            [python, "-c", BOOTSTRAP, json.dumps(settings)], pass_fds=handed_on, stdout=self._log, stderr=self._log
        )
        for fd in handed_on:
            os.close(fd)

    def tell(self, rank, **message):
        os.write(self._controls[rank], (json.dumps(message) + "\n").encode())

    def begin(self):
        for rank in self._controls:
            self.tell(rank, begin=True)

    def leave(self):
        for rank in self._controls:
            self.tell(rank, leave=True)

    def hang_up(self, rank):
        os.close(self._controls.pop(rank))

    def play(self):
        """All steps of all ranks, none of them gated, then leave; returns all operations by rank."""
        self.begin()
        for rank in range(len(self.plan.ranks)):
            due = sum(step.times for step in self.plan.steps_of(rank, self.life))
            self.await_fact(lambda r=rank, n=due: len([op for op in self.ends(r) if op.step != "exit"]) >= n)
        self.leave()
        self.await_statuses()
        return {rank: self.ops(rank) for rank in range(len(self.plan.ranks))}

    def ops(self, rank):
        path = self._ops(rank)
        # A line that is being written may be read in part.
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [Op.from_json(json.loads(line)) for line in whole.splitlines()]

    def ends(self, rank, step=None):
        """Completions in order; of one step if given."""
        found = [op for op in self.ops(rank) if op.step and op.type != "invoke"]
        return [op for op in found if step in (None, op.step)]

    def begun(self, rank, step):
        return any(op.step == step and op.type == "invoke" for op in self.ops(rank))

    def await_end(self, rank, step):
        """The completion of the step's first call."""
        self.await_fact(lambda: self.ends(rank, step))
        return self.ends(rank, step)[0]

    def await_statuses(self):
        self.await_fact(lambda: len(self.statuses) == len(self.plan.ranks))
        return self.statuses

    def await_fact(self, fact):
        """Wait for the doorbell, or for a process to end, until the fact is true."""
        deadline = time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._doorbell, selectors.EVENT_READ)
            selector.register(self._ends, selectors.EVENT_READ)
            while not fact():
                assert time.monotonic() < deadline, f"it did not happen; log: {self.log()}"
                selector.select(1)
                self._drain()

    def log(self):
        return (self.folder / "log.txt").read_text()

    def close(self):
        for rank in list(self._controls):
            self.hang_up(rank)
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self._kill_all()
            self.process.wait()
            for fd in (self._doorbell, self._ends):
                os.close(fd)
            self._log.close()

    def _kill_all(self):
        """No process outlives its test, not even a rank that hangs: its unreaped children still belong to it."""
        if self.process.poll() is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in map(int, children):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()

    def _drain(self):
        for fd in (self._doorbell, self._ends):
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                continue
            if fd == self._ends:
                self.statuses.update(json.loads(line) for line in data.splitlines())

    def _ops(self, rank):
        return self.folder / f"rank-{rank}.life-{self.life}.jsonl"
