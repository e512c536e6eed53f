"""The rank processes of one play: made, told, listened to, and buried."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import clock
from harness.machine.process.children import describe_status
from harness.play.recording import RankFile, Recording
from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.progress import CallKey, Progress
from harness.schedule.schedule import Schedule
from harness.values.errors import HarnessError
from harness.values.ops import FAIL, INFO, INVOKE, OK, ErrorInfo, Op, Process, outcome_of
from harness.worlds.base import LaunchOrder, RankHandle, World


@dataclass
class Member:
    """One rank process on stage."""

    handle: RankHandle
    file: RankFile
    ready: bool = False
    ended: bool = False
    ends_by: str = ""
    stacks: str = ""

    @property
    def rank(self) -> int:
        return self.handle.rank

    @property
    def life(self) -> int:
        return self.handle.life

    @property
    def pid(self) -> int:
        return self.handle.pid


@dataclass(frozen=True)
class CallOwner:
    """Who makes a call: the rank's process, and the one to look into, which of an agent may be its worker."""

    member: Member
    pid: int


class Ranks:
    """All rank processes of one play.

    Args:
        doorbell_fd: read end of the pipe that ranks ring after each operation.
    """

    def __init__(
        self,
        scenario: Scenario,
        schedule: Schedule,
        progress: Progress,
        recording: Recording,
        world: World,
        doorbell_fd: int,
        run_dir: Path,
        plan: Path,
    ) -> None:
        self._scenario = scenario
        self._schedule = schedule
        self._progress = progress
        self._recording = recording
        self._world = world
        self._doorbell_fd = doorbell_fd
        self._run_dir = run_dir
        self._plan = plan
        self._members: dict[int, Member] = {}
        self._by_pid: dict[int, Member] = {}
        self.failures: list[str] = []

    # -- making ------------------------------------------------------------------------------------------------

    def launch(self, ranks: Sequence[int], life: int = 1) -> None:
        """Make these ranks' processes; they wait for `begin`."""
        specs = self._scenario.world.ranks
        orders = [LaunchOrder(rank, life, specs[rank].fresh, specs[rank].env) for rank in ranks]
        for handle in self._world.launch(orders, self._plan, self._run_dir):
            member = Member(handle, RankFile(handle.ops_path, handle.rank, handle.life))
            self._members[handle.rank] = member
            self._by_pid[handle.pid] = member
            state = self._progress.rank(handle.rank)
            state.life = state.first_life = life

    def all_ready(self) -> bool:
        return all(member.ready or member.ended for member in self._members.values())

    def begin(self, rank: int) -> None:
        """Send a rank off with its steps."""
        state = self._progress.rank(rank)
        state.begun, state.ended = True, False
        self._progress.mark_activity(clock.now_ns())
        self._members[rank].handle.tell({"begin": True})

    def start_again(self, rank: int) -> None:
        """The rank's next life, from its first step; the one before is buried first."""
        self.listen()
        self.launch((rank,), self._progress.rank(rank).life + 1)
        self.begin(rank)

    # -- telling -----------------------------------------------------------------------------------------------

    def tell(self, rank: int, message: Mapping[str, Any]) -> None:
        self._members[rank].handle.tell(message)

    def member(self, rank: int) -> Member | None:
        """The rank's process; None if it was never made or has ended."""
        member = self._members.get(rank)
        return None if member is None or member.ended else member

    def owner(self, key: CallKey) -> CallOwner | None:
        """Who makes a call, if it can still be ended."""
        member = self.member(key[1])
        return None if member is None else CallOwner(member, member.pid)

    def has_begun(self, rank: int) -> bool:
        """Whether a rank has begun a call, or has ended."""
        calls = self._progress.calls.items()
        return self.member(rank) is None or any(
            key[1] == rank and key[0] != EXIT and call.begun_ns is not None for key, call in calls
        )

    def living(self) -> list[Member]:
        return [member for member in self._members.values() if not member.ended]

    def descriptors(self) -> tuple[int, ...]:
        """What is readable when somebody may have ended whom the world does not tell of."""
        return ()

    def dismiss(self) -> None:
        """Let everybody leave who is still there."""
        self._progress.mark_activity(clock.now_ns())
        for member in self.living():
            member.handle.tell({"leave": True})

    def never_comes(self, rank: int, because: str) -> None:
        """A rank that will not start in this play: its process, if made, ends; all its steps are skipped."""
        state = self._progress.rank(rank)
        state.ended = True
        member = self.member(rank)
        if member is not None:
            member.ends_by = "never"
            member.handle.close()
        self._skip_rest(rank, state.life, because)
        self._complete((EXIT, rank, state.life, 1), EXIT, {"outcome": "skipped", "because": because})

    # -- listening ---------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Take in what the ranks have written and which of them have ended."""
        for rank, life in self._rung():
            member = self._writer(rank, life)
            if member is not None:
                self._read(member)
        for pid, status in self._world.reap():
            member = self._by_pid.pop(pid, None)
            if member is not None:
                self._bury(member, status)

    def drain(self, rank: int) -> None:
        """Read one rank's file now."""
        member = self.member(rank)
        if member is not None:
            self._read(member)

    def _writer(self, rank: int, life: int) -> Member | None:
        """Whose file a ring of the doorbell speaks of; None if nobody is to be heard any more."""
        member = self.member(rank)
        return member if member is not None and member.life == life else None

    def _rung(self) -> set[tuple[int, int]]:
        rung: set[tuple[int, int]] = set()
        while True:
            try:
                data = os.read(self._doorbell_fd, 4096)
            except BlockingIOError:
                return rung
            rung.update(struct.iter_unpack("<HH", data[: len(data) // 4 * 4]))
            if len(data) < 4096:
                return rung

    def _read(self, member: Member) -> None:
        for op in member.file.read():
            if self._take_in(member, op):
                self._recording.ops.append(op)

    def _take_in(self, member: Member, op: Op) -> bool:
        """Remember what progress; whether it counts."""
        if op.f == "ready":
            self._is_ready(member, op)
        elif op.type == INVOKE:
            self._progress.begun(_key(op), op.time_ns)
        elif self._progress.has_ended(_key(op)):
            return False  # it was ended by its guard while its last words were on their way
        else:
            self._progress.ended(_key(op), op.time_ns, outcome_of(op))
        return True

    def _is_ready(self, member: Member, op: Op) -> None:
        member.ready = True
        if op.type == FAIL:
            self.failures.append(f"rank {member.rank}: {op.error.first_line if op.error else 'did not start'}")

    # -- burying -----------------------------------------------------------------------------------------------

    def _bury(self, member: Member, status: int) -> None:
        self._read(member)
        member.ended = True
        self._let_go(member)
        if member.ends_by == "never":
            return
        rank, life = member.rank, member.life
        state = self._progress.rank(rank)
        how = self._looked_at(member, status)
        because = cause(member, how)
        self._die([key for key in self._progress.running if key[1:3] == (rank, life) and key[0] != EXIT], because)
        self._skip_rest(rank, life, because)
        self._record_exit(member, how)
        state.ended = state.ended or state.life == life

    def _looked_at(self, member: Member, status: int) -> Mapping[str, int]:
        """How a process ended; one that ended before it was ready is a failure of the harness."""
        if not member.ready:
            self.failures.append(f"rank {member.rank} ended before it was ready; see {self._log(member)}")
        return describe_status(status)

    def _let_go(self, member: Member) -> None:
        member.file.close()
        member.handle.close()

    def _die(self, keys: Sequence[CallKey], because: str) -> None:
        for key in keys:
            self._complete(key, self._verb(key), {"outcome": "died", "because": because})

    def _record_exit(self, member: Member, how: Mapping[str, int]) -> None:
        value: dict[str, Any] = {**how, "by": member.ends_by}
        if member.stacks:
            value["stacks"] = member.stacks
        key = (EXIT, member.rank, member.life, 1)
        if "signal" in how:
            self._complete(key, EXIT, {"outcome": "died", "because": cause(member, how), **value})
            return
        status = how["status"]
        error = None if status == 0 else ErrorInfo("ExitStatus", ("ExitStatus",), f"the process ended with {status}")
        self._end(key, EXIT, OK if status == 0 else FAIL, value, error)

    def hung(self, key: CallKey, because: str, stacks: str) -> None:
        """A call outlasted its guard: its process will be ended by it, whatever it still says."""
        member = self._members[key[1]]
        member.ends_by, member.stacks = "guard", stacks
        verb = EXIT if key[0] == EXIT else self._verb(key)
        value = {"outcome": "hung", "because": because, "stacks": stacks}
        self._complete(key, verb, value)

    def _skip_rest(self, rank: int, life: int, because: str) -> None:
        for _, step, key in list(self._schedule.unended(rank, life, self._progress)):
            self._complete(key, step.do, {"outcome": "skipped", "because": because})

    def _complete(self, key: CallKey, f: str, value: Mapping[str, Any]) -> None:
        self._end(key, f, INFO, dict(value), None)

    def _end(self, key: CallKey, f: str, type: str, value: Any, error: ErrorInfo | None) -> None:
        if self._progress.has_ended(key):
            return
        name, rank, life, number = key
        thread = "main" if name == EXIT else self._scenario.step(name).thread
        handler = None if name == EXIT else self._scenario.step(name).handler
        op = Op(
            clock.now_ns(),
            Process(rank, thread, life),
            type,
            f,
            name,
            number,
            handler=handler,
            value=value,
            error=error,
        )
        self._progress.ended(key, op.time_ns, outcome_of(op))
        self._recording.add(op)

    def _verb(self, key: CallKey) -> str:
        return self._scenario.step(key[0]).do

    def _log(self, member: Member) -> Path:
        return self._run_dir / "logs" / f"rank-{member.rank}.life-{member.life}.log"

    # -- the end -----------------------------------------------------------------------------------------------

    def expect_end(self, member: Member, by: str) -> None:
        """Say who is about to end a rank's process."""
        member.ends_by = by

    def end(self, member: Member) -> None:
        """End a rank's process, whatever it is doing."""
        self._world.kill(member.pid)

    def kill_all(self) -> None:
        """End whatever still lives; for a play that was broken off."""
        for member in self.living():
            self.end(member)
            member.ends_by = member.ends_by or "harness"

    def close(self) -> None:
        """Let go of what was held to see ends."""

    def check(self) -> None:
        """Raises HarnessError if a rank could not be made ready."""
        if self.failures:
            raise HarnessError("; ".join(self.failures))


def _key(op: Op) -> CallKey:
    assert op.process.rank is not None
    return (op.step, op.process.rank, op.process.life, op.call)


def cause(member: Member, how: Mapping[str, int]) -> str:
    """Why the calls of a rank ended: its process did."""
    ended = f"signal {how['signal']}" if "signal" in how else f"status {how['status']}"
    by = f" by {member.ends_by}" if member.ends_by else ""
    return f"the process of rank {member.rank} ended ({ended}){by}"
