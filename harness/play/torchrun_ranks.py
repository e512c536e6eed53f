"""The torchrun agents of one play, and the lives of their workers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from harness import clock
from harness.machine.process.pidfd import PidfdProcess
from harness.play.ranks import CallOwner, Member, Ranks, cause
from harness.play.torchrun_workers import AgentWorker, AgentWorkers
from harness.scenario.scenario import EXIT
from harness.schedule import torchrun
from harness.schedule.progress import CallKey
from harness.values.errors import HarnessError
from harness.values.ops import INFO, INVOKE, OK, WORKER, Op, Process
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
        self._workers = AgentWorkers(self._world.children)
        self._dismissed = False
        self._doomed: list[PidfdProcess] = []

    # -- questions ---------------------------------------------------------------------------------------------

    def owner(self, key: CallKey) -> CallOwner | None:
        member = self._members.get(key[1])
        if member is None:
            return None
        worker = self._workers.of(member)
        if worker is not None and (key[0] == EXIT or self._is_of(worker, key)):
            return CallOwner(member, worker.pid)
        return None if member.ended else CallOwner(member, member.pid)

    def living(self) -> list[Member]:
        members = self._members.values()
        return [member for member in members if not member.ended or self._workers.of(member) is not None]

    def descriptors(self) -> tuple[int, ...]:
        return (self._workers.fileno(),)

    # -- making and letting go -----------------------------------------------------------------------------------

    def launch(self, ranks: Sequence[int], life: int = 1) -> None:
        super().launch(ranks, life)
        for rank in ranks:
            state = self._progress.rank(rank)
            state.agent_ended = state.worker = state.starts_worker = False

    def start_again(self, rank: int) -> None:
        """The rank's next life; a worker that its killed agent left is ended first, as a host's supervisor does."""
        self.listen()
        self._end_worker(self._members[rank])
        super().start_again(rank)

    def dismiss(self) -> None:
        super().dismiss()
        self._dismissed = True

    def expect_end(self, member: Member, by: str) -> None:
        """A worker that is only on its way goes with its agent: it has not begun anything."""
        super().expect_end(member, by)
        self._doomed += self._workers.starting(member)

    def end(self, member: Member) -> None:
        """The agent first, or it would start another worker; which stands still, or it would see that and leave."""
        self._doomed += self._workers.starting(member)
        worker = self._workers.of(member)
        if worker is not None:
            worker.held.signal(signal.SIGSTOP)
        if not member.ended:
            super().end(member)
        if worker is not None:
            worker.held.signal(signal.SIGKILL)

    def close(self) -> None:
        self._end_doomed()
        self._workers.close()

    def _end_worker(self, member: Member) -> None:
        worker = self._workers.of(member)
        if worker is None:
            return
        worker.held.signal(signal.SIGKILL)
        if not worker.held.await_end(ENDS_WITHIN_NS):
            raise HarnessError(f"the worker of rank {member.rank} (pid {worker.pid}) did not end of SIGKILL")
        self._bury_worker(worker, member.ends_by or "harness")

    # -- listening -----------------------------------------------------------------------------------------------

    def listen(self) -> None:
        super().listen()
        self._bury_workers()

    def _writer(self, rank: int, life: int) -> Member | None:
        member = self._members.get(rank)
        if member is None or member.life != life or member not in self.living():
            return None
        return member

    def _take_in(self, member: Member, op: Op) -> bool:
        if op.f == WORKER:
            self._hear_worker(member, op)
            return True
        state = self._progress.rank(member.rank)
        if op.f == JOIN and op.type == INVOKE and op.process.life > state.life:
            self._next_life(member, op.process.life)
        if op.f == JOIN and op.type == OK:
            state.starts_worker = True
        return super()._take_in(member, op)

    def _next_life(self, member: Member, life: int) -> None:
        """An agent joins again: what it had has ended, also a worker that never came so far."""
        state = self._progress.rank(member.rank)
        worker = self._workers.of(member)
        if worker is not None:
            self._bury_worker(worker)
        self._skip_rest(member.rank, state.life, "its worker ended before it could begin")
        state.life = life

    def _hear_worker(self, member: Member, op: Op) -> None:
        worker = self._workers.of(member)
        if "leaves" in op.value:
            if worker is not None:
                worker.leaves = op.value["leaves"]
        elif "pid" in op.value:
            self._welcome(member, op.process.life, op.value["pid"])
        self._progress.mark_activity(op.time_ns)

    def _welcome(self, member: Member, life: int, pid: int) -> None:
        state = self._progress.rank(member.rank)
        state.starts_worker = False
        worker = self._workers.came(member, life, pid)
        state.worker = worker is not None
        if worker is not None and self._dismissed:
            member.handle.tell({"leave": True})

    # -- burying -------------------------------------------------------------------------------------------------

    def _bury(self, member: Member, status: int) -> None:
        self._read(member)
        member.ended = True
        state = self._progress.rank(member.rank)
        if member.ends_by == "never":
            self._let_go(member)
            return
        state.agent_ended, state.starts_worker = True, False
        how = self._looked_at(member, status)
        joins = [key for key in self._running(member) if not torchrun.is_workers(self._scenario, key)]
        self._die(joins, cause(member, how))
        self._record_exit(member, how)
        self._bury_workers()
        self._end_doomed()
        # Over already if its worker was found ended in this same look.
        if self._workers.of(member) is None and not state.ended:
            self._rank_is_over(member)

    def _end_doomed(self) -> None:
        while self._doomed:
            with contextlib.closing(self._doomed.pop()) as held:
                held.signal(signal.SIGKILL)

    def _bury_workers(self) -> None:
        for worker in self._workers.ended():
            self._read(worker.member)
            self._bury_worker(worker)

    def _bury_worker(self, worker: AgentWorker, by: str = "") -> None:
        member, how = worker.member, self._workers.how(worker)
        self._workers.forget(worker)
        by = by or _by(worker, how)
        because = _worker_ended(worker, how, by)
        value = {"ended": True, **how, "by": by}
        whose = Process(member.rank, life=worker.life)
        self._recording.add(Op(clock.now_ns(), whose, INFO, WORKER, value=value))
        self._die([key for key in self._running(member) if self._is_of(worker, key)], because)
        self._skip_rest(member.rank, worker.life, because)
        self._progress.rank(member.rank).worker = False
        self._progress.mark_activity(clock.now_ns())
        if member.ended:
            self._rank_is_over(member)

    def _rank_is_over(self, member: Member) -> None:
        state = self._progress.rank(member.rank)
        self._skip_rest(member.rank, state.life, f"the agent of rank {member.rank} has ended")
        self._let_go(member)
        state.ended = True

    def _running(self, member: Member) -> list[CallKey]:
        """The running calls of an agent and its worker, `exit` not among them."""
        running = self._progress.running
        return [key for key in running if key[1] == member.rank and key[2] >= member.life and key[0] != EXIT]

    def _is_of(self, worker: AgentWorker, key: CallKey) -> bool:
        return key[1:3] == (worker.member.rank, worker.life) and torchrun.is_workers(self._scenario, key)


def _by(worker: AgentWorker, how: Mapping[str, int]) -> str:
    """Who ended a worker; empty if it left, or if nobody may have.

    An agent asks politely, and a worker ends of that at once: what ended by SIGKILL ended otherwise.
    """
    if worker.leaves is not None or "status" in how:
        return ""
    if how.get("signal") == signal.SIGKILL:
        return worker.member.ends_by
    return _AGENT if how.get("signal", signal.SIGTERM) == signal.SIGTERM else ""


def _worker_ended(worker: AgentWorker, how: Mapping[str, int], by: str) -> str:
    ended = f" (signal {how['signal']})" if "signal" in how else f" (status {how['status']})" if "status" in how else ""
    return f"the worker of rank {worker.member.rank} ended{ended}" + (f" by its {by}" if by == _AGENT else "")
