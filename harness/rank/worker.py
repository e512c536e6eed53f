"""A rank: it takes its steps as the controller tells it, and writes down each before and after it happens."""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import traceback
from contextlib import suppress
from random import Random
from typing import Any, Callable, Dict, Mapping, NoReturn, Optional, Tuple

from harness import clock
from harness.rank import step_modules
from harness.rank.control import Control
from harness.rank.recorder import Recorder, error_info, lag_ns
from harness.rank.steps import STEPS
from harness.rank.steps.base import StepMember
from harness.rank.subjects import CommandSubject, Handler, needs_torch, subject_of
from harness.rank.subjects.command import BECAUSE
from harness.rank.subjects.rendezvous import preload as preload_torch
from harness.values.endpoint import Endpoint
from harness.values.ops import FAIL, INFO, INVOKE, OK, Op, Process
from harness.values.plan import HandlerPlan, Plan, StepPlan

WORKER_FAILED = 70
MAIN, EXIT, READY = "main", "exit", "ready"


def preload(subject: str) -> None:
    """Import what ranks of this subject need, in a process that they are forked from; raises ImportError."""
    if needs_torch(subject):
        preload_torch()


def main(request: Mapping[str, Any], control_fd: int, doorbell_fd: int) -> NoReturn:
    """Be the rank that the request describes, until the controller says leave; never returns.

    Args:
        request: `plan` (a path) or `plan_object` (a Plan), `rank`, `life`, and `ops`, the file of operations.
        control_fd: the read end of the rank's control pipe.
        doorbell_fd: the write end of the doorbell, non-blocking; negative for none.
    """
    try:
        plan, rank, life = _plan(request), request["rank"], request["life"]
        if plan.max_restarts is not None:
            from harness.rank.agent import be_agent

            be_agent(plan, request, control_fd, doorbell_fd)
        recorder = Recorder(request["ops"], rank, life, doorbell_fd)
        Worker(plan, rank, life, recorder, Control(control_fd, life)).run()
    except BaseException:
        traceback.print_exc()
    end(WORKER_FAILED)


def _plan(request: Mapping[str, Any]) -> Plan:
    plan: Optional[Plan] = request.get("plan_object")
    if plan is None:
        with open(request["plan"]) as file:
            plan = Plan.from_json(json.load(file))
    return plan


def end(code: int) -> NoReturn:
    """End this process at once, what it printed written out; never returns."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class Worker:
    """One life of a rank."""

    def __init__(self, plan: Plan, rank: int, life: int, recorder: Recorder, control: Control) -> None:
        self.plan = plan
        self.rank = rank
        self.life = life
        self.recorder = recorder
        self.control = control
        self.subject = subject_of(plan)
        self.held: Dict[str, HandlerState] = {}
        self.exit_code: Optional[int] = None
        self.has_failed = False

    def run(self) -> None:
        """Report ready, take the steps, stay until told to leave."""
        self.control.start()
        self.report_ready()
        if not self.control.wait_for_begin():
            self.skip_all("the play ended before this rank could begin")
            self.leave()
        if isinstance(self.subject, CommandSubject):
            self._be_replaced(self.subject)
        steps = self.plan.steps_of(self.rank, self.life)
        for thread in dict.fromkeys(step.thread for step in steps if step.thread != MAIN):
            threading.Thread(target=self.run_thread, args=(thread, steps), name=thread, daemon=True).start()
        self.take_steps(MAIN, steps)
        self.control.wait_for_leave()
        self.leave()

    def told(self, handler: str) -> HandlerPlan:
        return self.plan.ranks[self.rank].handlers[handler]

    def exit(self, code: int) -> NoReturn:
        """Write down that the process ends, and end it; the controller writes how it ended."""
        self.write(INVOKE, EXIT, step=EXIT)
        end(code)

    def write(self, type_: str, f: str, thread: str = MAIN, **fields: Any) -> None:
        self.recorder.write(Op(clock.now_ns(), Process(self.rank, thread, self.life), type_, f, **fields))

    def report_ready(self) -> None:
        """Prepare the subject and tell of it; a subject that cannot be had ends the process."""
        try:
            step_modules.load(self.plan.step_modules)
            facts = self.subject.prepare()
        except BaseException as error:
            traceback.print_exc()
            self.write(FAIL, READY, error=error_info(error))
            end(WORKER_FAILED)
        # The thread that listens to the controller is ours, not the subject's.
        threads = len(os.listdir("/proc/self/task")) - 1
        value = {"pid": os.getpid(), "python": platform.python_version(), "threads": threads, **facts}
        self.write(INFO, READY, value=value)

    def _be_replaced(self, subject: CommandSubject) -> NoReturn:
        # First: with no step left and no `exit` begun, the controller would take the play for over, and heal.
        self.write(INVOKE, EXIT, step=EXIT)
        self.skip_all(BECAUSE)
        self.recorder.close_on_exec()
        try:
            subject.take_over(self.told(MAIN))
        except OSError:
            traceback.print_exc()
            end(WORKER_FAILED)

    def skip_all(self, because: str) -> None:
        """Write down that no step of this life begins."""
        for step in self.plan.steps_of(self.rank, self.life):
            StepRun(self, step).skip(because)

    def run_thread(self, thread: str, steps: Tuple[StepPlan, ...]) -> None:
        """Take the steps of one thread beside the main one."""
        try:
            self.take_steps(thread, steps)
        except BaseException:
            traceback.print_exc()
            end(WORKER_FAILED)

    def take_steps(self, thread: str, steps: Tuple[StepPlan, ...]) -> None:
        """Take the steps of one thread, each in its turn."""
        for step in steps:
            if step.thread == thread:
                because = self.control.wait_for_step(step.index) if step.gated else None
                StepRun(self, step).take(because)

    def leave(self) -> NoReturn:
        """Write down that the process ends, let go of everything, and end."""
        self.write(INVOKE, EXIT, step=EXIT)
        for held in list(self.held.values()):
            held.handler.release()
        self.held.clear()
        end(0)


class HandlerState:
    """A handler that the rank holds, and what hangs on it."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.round: Optional[int] = None
        self.destroy_group: Optional[Callable[[], None]] = None


class StepRun:
    """One step as one rank takes it: what its verb sees, and what is written down."""

    def __init__(self, worker: Worker, step: StepPlan) -> None:
        self._worker = worker
        self._step = step
        self._member = STEPS[step.do]
        self._calls = step.arguments["calls"] if self._member.draw is not None else step.times

    # What a verb sees.

    @property
    def told(self) -> HandlerPlan:
        return self._worker.told(self._step.handler)

    @property
    def handler(self) -> Handler:
        return self._worker.held[self._step.handler].handler

    @property
    def store(self) -> Any:
        return self.handler.store

    def join(self) -> Dict[str, Any]:
        held = self._worker.held.get(self._step.handler)
        if held is None:
            held = self._worker.held[self._step.handler] = HandlerState(self._worker.subject.open(self.told))
        value = held.handler.join()
        held.round = value.get("round")
        return value

    def drop(self) -> None:
        held = self._worker.held.pop(self._step.handler)
        if held.destroy_group is not None:
            held.destroy_group()
        held.handler.release()

    def leave(self, code: int) -> None:
        self._worker.exit_code = code

    def keep_group(self, destroy: Callable[[], None]) -> None:
        # There is one default group in a process: whoever made it last has it.
        for held in self._worker.held.values():
            held.destroy_group = None
        self._worker.held[self._step.handler].destroy_group = destroy

    # What is done and written down.

    def take(self, because: Optional[str]) -> None:
        """All calls of the step, one after another; a text says why none is made."""
        if because is not None:
            self.skip(because)
            return
        random = Random(f"{self._worker.plan.seed}:{self._worker.rank}:{self._worker.life}:{self._step.name}")
        for number in range(1, self._calls + 1):
            verb, arguments = self._step.do, dict(self._step.arguments)
            if self._member.draw is not None:
                verb, arguments = self._member.draw(random, arguments)
            self._call(number, verb, STEPS[verb], arguments)

    def skip(self, because: str) -> None:
        for number in range(1, self._calls + 1):
            self._skip_call(number, because)

    def _call(self, number: int, verb: str, member: StepMember, arguments: Dict[str, Any]) -> None:
        lacking = self._lacking(member)
        if lacking:
            self._skip_call(number, lacking)
            return
        whose = self._whose(member)
        waited_ns = lag_ns()
        self._write(INVOKE, verb, number, value=self._told_text() if member.tells else arguments, **whose)
        try:
            value = member.run(self, arguments)
        except BaseException as error:
            self._worker.has_failed = True
            self._complete(FAIL, verb, number, waited_ns, error=error_info(error), **whose)
        else:
            if member.tells:
                whose["round"] = value.get("round")
            self._complete(OK, verb, number, waited_ns, value=value, **whose)
        if self._worker.exit_code is not None:
            self._worker.exit(self._worker.exit_code)

    def _lacking(self, member: StepMember) -> str:
        """Why the call cannot begin here; empty if it can."""
        held = self._worker.held.get(self._step.handler)
        name = self._step.handler
        if member.needs and held is None:
            return f"there is no handler {name!r} in this rank"
        if member.needs in ("store", "group") and held is not None and held.handler.store is None:
            return f"handler {name!r} has no store in this rank: no rendezvous has returned"
        if member.needs == "group" and held is not None and held.destroy_group is None:
            return f"handler {name!r} has no process group in this rank"
        return member.lacks(self)

    def _whose(self, member: StepMember) -> Dict[str, Any]:
        if not (member.needs or member.tells):
            return {}
        held = self._worker.held.get(self._step.handler)
        number = None if held is None or member.tells else held.round
        return {"handler": self._step.handler, "run_id": self.told.run_id, "round": number}

    def _told_text(self) -> Dict[str, Any]:
        told = self.told
        text: Dict[str, Any] = {
            "rank": told.rank,
            "world_size": told.world_size,
            "run_id": told.run_id,
            "endpoint": str(Endpoint(told.host, told.port)),
            "master_endpoint": str(Endpoint(told.master_host, told.master_port)),
            "timeout_ns": told.timeout_ns,
        }
        return {**text, "config": dict(told.config)} if told.config else text

    def _complete(self, type_: str, verb: str, number: int, waited_ns: int, **fields: Any) -> None:
        ended_ns = clock.now_ns()
        lag = max(0, lag_ns() - waited_ns)
        self._write(type_, verb, number, time_ns=ended_ns, lag_ns=lag, **fields)

    def _skip_call(self, number: int, because: str) -> None:
        self._write(INFO, self._step.do, number, value={"outcome": "skipped", "because": because})

    def _write(self, type_: str, verb: str, number: int, time_ns: Optional[int] = None, **fields: Any) -> None:
        process = Process(self._worker.rank, self._step.thread, self._worker.life)
        stamp = clock.now_ns() if time_ns is None else time_ns
        self._worker.recorder.write(Op(stamp, process, type_, verb, step=self._step.name, call=number, **fields))
