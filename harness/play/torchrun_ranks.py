"""Ranks that are torchrun agents, and the lives of their workers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping
from typing import Any

from harness import clock
from harness.machine.process.pidfd import PidfdProcess
from harness.play.rank_group import CallOwner, RankProcess
from harness.play.ranks import Ranks, cause, unrecorded
from harness.play.torchrun_workers import AgentWorker, AgentWorkers
from harness.rank.recorder import CANNOT_RECORD
from harness.scenario.scenario import EXIT
from harness.schedule import torchrun
from harness.schedule.progress import CallKey
from harness.values.errors import HarnessError
from harness.values.ops import INFO, INVOKE, WORKER, Op, Process
from harness.values.plan import JOIN

ENDS_WITHIN_NS = 5_000_000_000
"""SIGKILL ends a process within milliseconds; only one that hangs in the kernel outlives this."""

_AGENT = "agent"


class TorchrunRanks(Ranks):
    """A rank is an agent, which is a child of ours, and one worker after another, which are the agent's.

    All of them write to one file. A rendezvous of the agent begins a new life of the rank. A worker whose agent was
    killed goes on, as it does on a real host; the rank has ended when both have.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._workers = AgentWorkers(self._session.children)
        self._dismissed = False
        self._doomed: list[PidfdProcess] = []

    # -- questions ---------------------------------------------------------------------------------------------

    def owner(self, key: CallKey) -> CallOwner | None:
        process = self._processes.get(key[1])
        if process is None:
            return None
        worker = self._workers.of(process)
        if worker is not None and (key[0] == EXIT or self._is_of(worker, key)):
            return CallOwner(process, worker.pid)
        return None if process.ended else CallOwner(process, process.pid)

    def living(self) -> list[RankProcess]:
        processes = self._processes.values()
        return [process for process in processes if not process.ended or self._workers.of(process) is not None]

    def descriptors(self) -> tuple[int, ...]:
        return (self._workers.fileno(),)

    # -- making and ending -------------------------------------------------------------------------------------

    def restart(self, rank: int) -> None:
        """A worker that a killed agent has left is ended first, as the supervisor of a host does."""
        self.hear()
        self.reap()
        self._end_worker(self._processes[rank])
        super().restart(rank)

    def dismiss(self) -> None:
        super().dismiss()
        self._dismissed = True

    def expect_end(self, process: RankProcess, by: str) -> None:
        """A worker that is only on its way goes with its agent: it has not begun anything."""
        super().expect_end(process, by)
        self._doomed += self._workers.starting(process)

    def end(self, process: RankProcess) -> None:
        """The agent first, or it would start another worker; that stands still, or it would notice and leave."""
        self._doomed += self._workers.starting(process)
        worker = self._workers.of(process)
        if worker is not None:
            worker.held.signal(signal.SIGSTOP)
        if not process.ended:
            super().end(process)
        if worker is not None:
            worker.held.signal(signal.SIGKILL)

    def close(self) -> None:
        super().close()
        self._end_doomed()
        self._workers.close()

    def _end_worker(self, process: RankProcess) -> None:
        worker = self._workers.of(process)
        if worker is None:
            return
        worker.held.signal(signal.SIGKILL)
        if not worker.held.await_end(ENDS_WITHIN_NS):
            raise HarnessError(f"the worker of rank {process.rank} (pid {worker.pid}) did not end of SIGKILL")
        self._reap_worker(worker, process.ends_by or "harness")

    # -- listening -----------------------------------------------------------------------------------------------

    def _writer(self, rank: int, life: int) -> RankProcess | None:
        process = self._processes.get(rank)
        if process is None or process.life != life or process not in self.living():
            return None
        return process

    def _take_in(self, process: RankProcess, op: Op) -> None:
        if op.f == WORKER:
            self._log.record(op, on_disk=True)
            self._hear_worker(process, op)
            return
        if op.f == JOIN and op.type == INVOKE and op.process.life > self._progress.rank(process.rank).life:
            self._end_life(process)
        super()._take_in(process, op)

    def _end_life(self, process: RankProcess) -> None:
        """An agent joins again: what it had has ended, also a worker that never got so far."""
        worker = self._workers.of(process)
        if worker is not None:
            self._reap_worker(worker)
        life = self._progress.rank(process.rank).life
        self._skip_rest(process.rank, life, "its worker ended before it could begin")

    def _hear_worker(self, process: RankProcess, op: Op) -> None:
        worker = self._workers.of(process)
        if "leaves" in op.value:
            if worker is not None:
                worker.leaves = op.value["leaves"]
        elif "pid" in op.value:
            self._welcome(process, op.process.life, op.value["pid"])

    def _welcome(self, process: RankProcess, life: int, pid: int) -> None:
        if self._workers.came(process, life, pid) is None:
            self._note_worker(process.rank, life, {"ended": True, "by": ""})  # gone before it could be looked at
        elif self._dismissed:
            process.handle.tell({"leave": True})

    # -- reaping -----------------------------------------------------------------------------------------------

    def reap(self) -> None:
        super().reap()
        self._reap_workers()

    def _reap(self, process: RankProcess, status: int) -> None:
        self._read(process)
        process.ended = True
        if process.ends_by == "never":
            self._release_files(process)
            return
        end = self._end_of(process, status)
        joins = [key for key in self._running(process) if not torchrun.is_workers(self._scenario, key)]
        self._die(joins, cause(process, end))
        self._record_exit(process, end)
        self._note_reaped(process, end)
        self._reap_workers()
        self._end_doomed()
        # It is over already if its worker was found ended in this same look.
        if self._workers.of(process) is None and not process.closed:
            self._rank_is_over(process)

    def _has_no_other_reason(self, process: RankProcess) -> bool:
        return True  # torchrun itself ends with 0 or 1

    def _end_doomed(self) -> None:
        while self._doomed:
            with contextlib.closing(self._doomed.pop()) as held:
                held.signal(signal.SIGKILL)

    def _reap_workers(self) -> None:
        for worker in self._workers.ended():
            self._read(worker.process)
            # What was read may have reaped it: its agent joins again.
            if self._workers.of(worker.process) is worker:
                self._reap_worker(worker)

    def _reap_worker(self, worker: AgentWorker, by: str = "") -> None:
        process, end = worker.process, self._workers.end_of(worker)
        self._workers.forget(worker)
        by = by or _by(worker, end)
        if end.get("status") == CANNOT_RECORD and worker.leaves is None:
            self._failures.append(unrecorded(process))
        because = _worker_ended(worker, end, by)
        self._note_worker(process.rank, worker.life, {"ended": True, **end, "by": by})
        self._die([key for key in self._running(process) if self._is_of(worker, key)], because)
        self._skip_rest(process.rank, worker.life, because)
        if process.ended:
            self._rank_is_over(process)

    def _note_worker(self, rank: int, life: int, value: Mapping[str, Any]) -> None:
        self._log.record(Op(clock.now_ns(), Process(rank, life=life), INFO, WORKER, value=dict(value)))

    def _rank_is_over(self, process: RankProcess) -> None:
        life = self._progress.rank(process.rank).life
        self._skip_rest(process.rank, life, f"the agent of rank {process.rank} has ended")
        self._release_files(process)

    def _running(self, process: RankProcess) -> list[CallKey]:
        """The running calls of an agent and its worker, `exit` not among them."""
        running = self._progress.running
        return [key for key in running if key[1] == process.rank and key[2] >= process.life and key[0] != EXIT]

    def _is_of(self, worker: AgentWorker, key: CallKey) -> bool:
        return key[1:3] == (worker.process.rank, worker.life) and torchrun.is_workers(self._scenario, key)


def _by(worker: AgentWorker, end: Mapping[str, int]) -> str:
    """Who ended a worker; empty if it left, or if that cannot be known.

    An agent asks with SIGTERM, and a worker ends of that at once: what ended by SIGKILL ended otherwise.
    """
    if worker.leaves is not None or "status" in end:
        return ""
    if end.get("signal") == signal.SIGKILL:
        return worker.process.ends_by
    return _AGENT if end.get("signal", signal.SIGTERM) == signal.SIGTERM else ""


def _worker_ended(worker: AgentWorker, end: Mapping[str, int], by: str) -> str:
    ended = f" (signal {end['signal']})" if "signal" in end else f" (status {end['status']})" if "status" in end else ""
    return f"the worker of rank {worker.process.rank} ended{ended}" + (f" by its {by}" if by == _AGENT else "")
