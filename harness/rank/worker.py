"""One life of a rank: it runs its steps when the controller says so, and records each call before and after it."""

from __future__ import annotations

import os
import platform
import sys
import threading
import traceback
from contextlib import suppress
from random import Random
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple

from harness import clock
from harness.rank import step_modules
from harness.rank.control import Control
from harness.rank.holdings import holdings
from harness.rank.interrupts import INTERRUPTS
from harness.rank.recorder import Recorder, Usage, error_info
from harness.rank.refused import Refusals
from harness.rank.steps import STEPS
from harness.rank.steps.base import StepMember
from harness.rank.steps.flow import INTERRUPT
from harness.rank.subjects import CommandSubject, Handler, subject_of
from harness.rank.subjects.command import SKIP_REASON
from harness.values.endpoint import Endpoint
from harness.values.ops import FAIL, HOLDS, INFO, INVOKE, OK, Op, Process
from harness.values.plan import HandlerPlan, Plan, StepPlan

WORKER_FAILED = 70
MAIN, EXIT, READY = "main", "exit", "ready"


def run_to_end(run: Callable[[], object]) -> NoReturn:
    """Call `run`, which ends this process itself; if it raises or returns, end with WORKER_FAILED."""
    try:
        run()
    except BaseException:
        traceback.print_exc()
    end(WORKER_FAILED)


def end(code: int) -> NoReturn:
    """Flush the output and end this process at once; never returns."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class Worker:
    """One life of a rank. A torchrun agent and its workers differ in what they do once the rank may begin."""

    def __init__(self, plan: Plan, rank: int, life: int, recorder: Recorder, control: Control) -> None:
        self.plan = plan
        self.rank = rank
        self.life = life
        self.recorder = recorder
        self.control = control
        self.subject = subject_of(plan, rank)
        self.handlers: Dict[str, HandlerState] = {}
        self.exit_code: Optional[int] = None
        self.has_failed = False
        self.joins = 0

    def run(self) -> None:
        """Report ready, wait for `begin`, and do the work of this life; ends the process."""
        self.control.start()
        self.report_ready()
        if not self.control.wait_for_begin():
            self.skip_all("the play ended before this rank could begin")
            self.leave()
        self.work()

    def work(self) -> None:
        """Run all steps, then stay until the controller sends `leave`."""
        if isinstance(self.subject, CommandSubject):
            self._exec(self.subject)
        self.run_steps(self.plan.steps_of(self.rank, self.life))
        self.control.wait_for_leave()
        self.leave()

    def handler_plan(self, handler: str) -> HandlerPlan:
        return self.plan.ranks[self.rank].handlers[handler]

    def exit(self, code: int) -> NoReturn:
        """Record that the process ends, and end it; the controller records how it ended."""
        self.write(INVOKE, EXIT, step=EXIT)
        end(code)

    def write(self, type_: str, f: str, thread: str = MAIN, **fields: Any) -> None:
        self.recorder.write(Op(clock.now_ns(), Process(self.rank, thread, self.life), type_, f, **fields))

    def report_ready(self) -> None:
        """Prepare the subject and record what it is; if it cannot be prepared, the process ends."""
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

    def _exec(self, subject: CommandSubject) -> NoReturn:
        # `exit` begins before the steps are skipped: with all steps done and no `exit` begun, the controller would
        # take the play to be over, and heal its faults.
        self.write(INVOKE, EXIT, step=EXIT)
        self.skip_all(SKIP_REASON)
        self.recorder.close_on_exec()
        try:
            subject.exec(self.handler_plan(MAIN))
        except OSError:
            traceback.print_exc()
            end(WORKER_FAILED)

    def skip_all(self, reason: str) -> None:
        """Record that no step of this life begins."""
        for step in self.plan.steps_of(self.rank, self.life):
            StepRun(self, step).skip(reason)

    def run_steps(self, steps: Tuple[StepPlan, ...]) -> List[threading.Thread]:
        """Start the other threads and run the main thread's steps to the end; returns the other threads."""
        if any(step.do == INTERRUPT for step in steps):
            INTERRUPTS.install()
        names = dict.fromkeys(step.thread for step in steps if step.thread != MAIN)
        threads = [
            threading.Thread(target=self._run_thread, args=(name, steps), name=name, daemon=True) for name in names
        ]
        for thread in threads:
            thread.start()
        self._run_in_order(MAIN, steps)
        return threads

    def _run_thread(self, thread: str, steps: Tuple[StepPlan, ...]) -> None:
        try:
            self._run_in_order(thread, steps)
        except BaseException:
            traceback.print_exc()
            end(WORKER_FAILED)

    def _run_in_order(self, thread: str, steps: Tuple[StepPlan, ...]) -> None:
        for step in steps:
            if step.thread == thread:
                skip_reason = self.control.wait_for_step(step.index) if step.gated else None
                StepRun(self, step).run(skip_reason)

    def leave(self) -> NoReturn:
        """Record that the process ends, release all handlers, and end with status 0."""
        self.write(INVOKE, EXIT, step=EXIT)
        for state in list(self.handlers.values()):
            state.handler.release()
        self.handlers.clear()
        end(0)


class HandlerState:
    """A handler that the rank holds, with its round and its process group."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.round: Optional[int] = None
        self.destroy_group: Optional[Callable[[], None]] = None


class StepRun:
    """One step as one rank runs it: the context that its verb gets, and the record of its calls."""

    def __init__(self, worker: Worker, step: StepPlan) -> None:
        self._worker = worker
        self._step = step
        self._member = STEPS[step.do]
        self._calls = step.arguments["calls"] if self._member.draw is not None else step.times

    # The context of a verb.

    @property
    def handler_plan(self) -> HandlerPlan:
        return self._worker.handler_plan(self._step.handler)

    @property
    def handler(self) -> Handler:
        return self._worker.handlers[self._step.handler].handler

    @property
    def store(self) -> Any:
        return self.handler.store

    def use_store(self, store: Any) -> None:
        self.handler.store = store

    def join(self) -> Dict[str, Any]:
        state = self._state
        if state is None:
            state = HandlerState(self._worker.subject.open(self.handler_plan))
            self._worker.handlers[self._step.handler] = state
        value = state.handler.join()
        state.round = value.get("round")
        return value

    def drop(self) -> None:
        state = self._worker.handlers.pop(self._step.handler)
        if state.destroy_group is not None:
            state.destroy_group()
        state.handler.release()

    def leave(self, code: int) -> None:
        self._worker.exit_code = code

    def keep_group(self, destroy: Callable[[], None]) -> None:
        # A process has one default group: it belongs to the handler that made it last.
        for state in self._worker.handlers.values():
            state.destroy_group = None
        self._worker.handlers[self._step.handler].destroy_group = destroy

    # The calls, and their record.

    def run(self, skip_reason: Optional[str]) -> None:
        """Make all calls of the step, one after another; if there is a reason to skip the step, record that instead."""
        if skip_reason is not None:
            self.skip(skip_reason)
            return
        random = Random(f"{self._worker.plan.seed}:{self._worker.rank}:{self._worker.life}:{self._step.name}")
        for number in range(1, self._calls + 1):
            verb, arguments = self._step.do, dict(self._step.arguments)
            if self._member.draw is not None:
                verb, arguments = self._member.draw(random, {**arguments, "number": number})
            self._call(number, verb, STEPS[verb], arguments)

    def skip(self, reason: str) -> None:
        for number in range(1, self._calls + 1):
            self._skip_call(number, reason)

    def _call(self, number: int, verb: str, member: StepMember, arguments: Dict[str, Any]) -> None:
        missing = self._missing(member)
        if missing:
            self._skip_call(number, missing)
            return
        fields = self._handler_fields(member)
        refused = Refusals() if member.configures_handler else None
        before = Usage.now()
        self._write(INVOKE, verb, number, value=self._config() if member.configures_handler else arguments, **fields)
        is_main = self._step.thread == MAIN
        try:
            INTERRUPTS.may_raise |= is_main
            value = member.run(self, arguments)
            INTERRUPTS.may_raise &= not is_main
        except BaseException as error:
            INTERRUPTS.may_raise &= not is_main
            self._worker.has_failed = True
            self._complete(
                FAIL,
                verb,
                number,
                before,
                value=refused.facts() if refused else None,
                error=error_info(error),
                **fields,
            )
        else:
            if member.configures_handler:
                fields["round"] = value.get("round")
            if refused is not None:
                value.update(refused.facts() or {})
            self._complete(OK, verb, number, before, value=value, **fields)
            self._record_holdings(verb, member)
        if self._worker.exit_code is not None:
            self._worker.exit(self._worker.exit_code)

    @property
    def _state(self) -> Optional[HandlerState]:
        return self._worker.handlers.get(self._step.handler)

    def _missing(self, member: StepMember) -> str:
        """Why the call cannot begin here; empty if it can."""
        state, name = self._state, self._step.handler
        if member.needs and state is None:
            return f"there is no handler {name!r} in this rank"
        if member.needs in ("store", "group") and state is not None and state.handler.store is None:
            return f"handler {name!r} has no store in this rank: no rendezvous has returned"
        if member.needs == "group" and state is not None and state.destroy_group is None:
            return f"handler {name!r} has no process group in this rank"
        return member.lacks(self)

    def _handler_fields(self, member: StepMember) -> Dict[str, Any]:
        """The fields of an operation that name its handler; empty for a verb that uses none."""
        if not (member.needs or member.configures_handler):
            return {}
        state = self._state
        number = None if state is None or member.configures_handler else state.round
        return {"handler": self._step.handler, "run_id": self.handler_plan.run_id, "round": number}

    def _config(self) -> Dict[str, Any]:
        """The handler's configuration, as the history has it."""
        plan = self.handler_plan
        facts: Dict[str, Any] = {
            "rank": plan.rank,
            "world_size": plan.world_size,
            "run_id": plan.run_id,
            "endpoint": plan.given_endpoint,
            "master_endpoint": str(Endpoint(plan.master_host, plan.master_port)),
            "timeout_ns": plan.timeout_ns,
        }
        return {**facts, "config": dict(plan.config)} if plan.config else facts

    def _complete(self, type_: str, verb: str, number: int, before: Usage, **fields: Any) -> None:
        ended_ns, after = clock.now_ns(), Usage.now()
        lag_ns, cpu_ns = after.lag_ns(before), after.cpu_ns - before.cpu_ns
        self._write(type_, verb, number, time_ns=ended_ns, lag_ns=lag_ns, cpu_ns=cpu_ns, **fields)

    def _record_holdings(self, verb: str, member: StepMember) -> None:
        """After what frees something, and after each join but the first, which costs no time for this."""
        self._worker.joins += member.configures_handler
        if member.releases or (member.configures_handler and self._worker.joins > 1):
            counts = holdings()
            if counts:
                value = {"after": verb, "handlers": sorted(self._worker.handlers), "counts": counts}
                self._worker.write(INFO, HOLDS, thread=self._step.thread, value=value)

    def _skip_call(self, number: int, reason: str) -> None:
        self._write(INFO, self._step.do, number, value={"outcome": "skipped", "because": reason})

    def _write(self, type_: str, verb: str, number: int, time_ns: Optional[int] = None, **fields: Any) -> None:
        process = Process(self._worker.rank, self._step.thread, self._worker.life)
        stamp = clock.now_ns() if time_ns is None else time_ns
        self._worker.recorder.write(Op(stamp, process, type_, verb, step=self._step.name, call=number, **fields))
