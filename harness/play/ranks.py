"""The rank processes of one play: made, sent word, listened to, and reaped."""

from __future__ import annotations

import contextlib
import os
import select
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive.logs import last_line
from harness.machine.process.children import describe_status
from harness.machine.process.trees import kill_tree
from harness.play.poll import TICK_NS
from harness.play.rank_group import CallOwner, RankProcess
from harness.play.recording import Log, RankFile
from harness.rank.recorder import CANNOT_RECORD
from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.progress import CallKey, Gate
from harness.schedule.schedule import Schedule
from harness.values.errors import HarnessError
from harness.values.ops import (
    DISMISS,
    FAIL,
    GATE,
    INFO,
    INVOKE,
    LAUNCH,
    NEVER_START,
    OK,
    READY,
    REAP,
    RELEASE,
    ErrorInfo,
    Op,
    Process,
)
from harness.values.refusals import advice_in, with_advice
from harness.worlds.base import LaunchOrder, WorldSession

ENDS_WITHIN_NS = 30_000_000_000
"""How long ended processes may take to be seen as ended, on a machine that is busy."""


class Ranks:
    """Ranks that are plain processes; implements `RankGroup`.

    Args:
        doorbell_fd: read end of the pipe that ranks ring after each operation.
        plan: the file that ranks read.
    """

    def __init__(
        self,
        scenario: Scenario,
        schedule: Schedule,
        log: Log,
        session: WorldSession,
        doorbell_fd: int,
        run_dir: Path,
        plan: Path,
    ) -> None:
        self._scenario = scenario
        self._schedule = schedule
        self._log = log
        self._progress = log.progress
        self._session = session
        self._doorbell_fd = doorbell_fd
        self._run_dir = run_dir
        self._plan = plan
        self._processes: dict[int, RankProcess] = {}
        self._by_pid: dict[int, RankProcess] = {}
        self._failures: list[str] = []

    # -- questions ---------------------------------------------------------------------------------------------

    def process(self, rank: int) -> RankProcess | None:
        process = self._processes.get(rank)
        return None if process is None or process.ended else process

    def owner(self, key: CallKey) -> CallOwner | None:
        process = self.process(key[1])
        return None if process is None else CallOwner(process, process.pid)

    def living(self) -> list[RankProcess]:
        return [process for process in self._processes.values() if not process.ended]

    def all_ready(self) -> bool:
        return all(process.ready or process.ended for process in self._processes.values())

    def has_begun(self, rank: int) -> bool:
        calls = self._progress.calls.items()
        return self.process(rank) is None or any(
            key[1] == rank and key[0] != EXIT and call.begun_ns is not None for key, call in calls
        )

    def check(self) -> None:
        if self._failures:
            raise HarnessError("; ".join(self._failures))

    def descriptors(self) -> tuple[int, ...]:
        return ()

    # -- making, and sending word ------------------------------------------------------------------------------

    def launch(self, ranks: Sequence[int], life: int = 1) -> None:
        specs = self._scenario.world.ranks
        orders = [LaunchOrder(rank, life, specs[rank].fresh, specs[rank].env) for rank in ranks]
        for handle in self._session.launch(orders, self._plan):
            process = RankProcess(handle, RankFile(handle.ops_path, handle.rank, handle.life))
            self._processes[handle.rank] = process
            self._by_pid[handle.pid] = process
        self._log.note(LAUNCH, {"ranks": list(ranks), "life": life})

    def release(self, ranks: Sequence[int]) -> None:
        if ranks:
            self._log.note(RELEASE, {"ranks": list(ranks)})
        for rank in ranks:
            self._processes[rank].handle.tell({"begin": True})

    def restart(self, rank: int) -> None:
        self.hear()
        self.reap()
        self.launch((rank,), self._progress.rank(rank).life + 1)
        self.release((rank,))

    def open_gates(self, go: Sequence[Gate], skip: Sequence[tuple[int, int, int, str]]) -> None:
        if not (go or skip):
            return
        self._log.note(GATE, {"go": [list(gate) for gate in go], "skip": [list(gate[:3]) for gate in skip]})
        for rank, life, index in go:
            self._processes[rank].handle.tell({"go": index, "life": life})
        for rank, life, index, because in skip:
            self._processes[rank].handle.tell({"skip": index, "life": life, "because": because})

    def never_start(self, rank: int, because: str) -> None:
        life = self._progress.rank(rank).life
        self._log.note(NEVER_START, {"rank": rank, "because": because})
        process = self.process(rank)
        if process is not None:
            process.ends_by = "never"
            process.handle.close()
        self._skip_rest(rank, life, because)
        self._complete((EXIT, rank, life, 1), {"outcome": "skipped", "because": because})

    def dismiss(self) -> None:
        self._log.note(DISMISS)
        for process in self.living():
            process.handle.tell({"leave": True})

    # -- listening ---------------------------------------------------------------------------------------------

    def hear(self) -> None:
        for rank, life in self._rung():
            process = self._writer(rank, life)
            if process is not None:
                self._read(process)

    def drain(self, rank: int) -> None:
        process = self.process(rank)
        if process is not None:
            self._read(process)

    def _writer(self, rank: int, life: int) -> RankProcess | None:
        """Whose file a ring of the doorbell is about; None if it does not count any more."""
        process = self.process(rank)
        return process if process is not None and process.life == life else None

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

    def _read(self, process: RankProcess) -> None:
        for op in process.file.read():
            self._take_in(process, op)

    def _take_in(self, process: RankProcess, op: Op) -> None:
        if op.f == READY:
            self._is_ready(process, op)
        elif op.type != INVOKE and self._progress.has_ended(_key(op)):
            return  # its guard ended it while its last words were on their way
        self._log.record(op, on_disk=True)

    def _is_ready(self, process: RankProcess, op: Op) -> None:
        process.ready = True
        if op.type == FAIL:
            because = op.error.first_line if op.error else "did not start"
            self._failures.append(f"rank {process.rank}: {because}")

    # -- reaping -----------------------------------------------------------------------------------------------

    def reap(self) -> None:
        for pid, status in self._session.reap():
            process = self._by_pid.pop(pid, None)
            if process is not None:
                self._reap(process, status)

    def _reap(self, process: RankProcess, status: int) -> None:
        self._read(process)
        process.ended = True
        self._release_files(process)
        if process.ends_by == "never":
            return
        rank, life = process.rank, process.life
        end = self._end_of(process, status)
        because = cause(process, end)
        self._die([key for key in self._progress.running if key[1:3] == (rank, life) and key[0] != EXIT], because)
        self._skip_rest(rank, life, because)
        self._record_exit(process, end)
        self._note_reaped(process, end)

    def _end_of(self, process: RankProcess, status: int) -> Mapping[str, int]:
        """How a process ended; one that was not ready, or could not record what it did, is a failure of the harness."""
        end = describe_status(status)
        if end.get("status") == CANNOT_RECORD and self._has_no_other_reason(process):
            self._failures.append(unrecorded(process))
        elif not process.ready:
            self._failures.append(self._never_ready(process))
        return end

    def _never_ready(self, process: RankProcess) -> str:
        """Why a rank did not start: what its log says last, if that is about the machine."""
        path = self._log_path(process)
        last = last_line(path)
        if advice_in(last):
            return f"rank {process.rank} could not start: {with_advice(last)}"
        return f"rank {process.rank} ended before it was ready{f' ({last})' if last else ''}; see {path}"

    def _has_no_other_reason(self, process: RankProcess) -> bool:
        """Whether a rank ended by itself and not with its `exit`, whose status may be any."""
        exit_call = self._progress.calls.get((EXIT, process.rank, process.life, 1))
        return exit_call is None or exit_call.begun_ns is None

    def _release_files(self, process: RankProcess) -> None:
        process.closed = True
        process.file.close()
        process.handle.close()

    def _note_reaped(self, process: RankProcess, end: Mapping[str, int]) -> None:
        self._log.note(REAP, {"rank": process.rank, "life": process.life, **end, "by": process.ends_by})

    def _die(self, keys: Sequence[CallKey], because: str) -> None:
        for key in keys:
            self._complete(key, {"outcome": "died", "because": because})

    def _record_exit(self, process: RankProcess, end: Mapping[str, int]) -> None:
        value: dict[str, Any] = {**end, "by": process.ends_by}
        if process.stacks:
            value["stacks"] = process.stacks
        if process.ends_by in ("", "guard") and (line := last_line(self._log_path(process))):
            value["log"] = line
        key = (EXIT, process.rank, process.life, 1)
        if "signal" in end:
            self._complete(key, {"outcome": "died", "because": cause(process, end), **value})
            return
        status = end["status"]
        error = None if status == 0 else ErrorInfo("ExitStatus", ("ExitStatus",), f"the process ended with {status}")
        self._record_end(key, OK if status == 0 else FAIL, value, error)

    def hung(self, key: CallKey, because: str, stacks: str) -> None:
        process = self._processes[key[1]]
        process.ends_by, process.stacks = "guard", stacks
        self._complete(key, {"outcome": "hung", "because": because, "stacks": stacks})

    def _skip_rest(self, rank: int, life: int, because: str) -> None:
        for _, _, key in list(self._schedule.unended(rank, life, self._progress)):
            self._complete(key, {"outcome": "skipped", "because": because})

    def _complete(self, key: CallKey, value: Mapping[str, Any]) -> None:
        self._record_end(key, INFO, dict(value), None)

    def _record_end(self, key: CallKey, type: str, value: Any, error: ErrorInfo | None) -> None:
        if self._progress.has_ended(key):
            return
        name, rank, life, number = key
        step = None if name == EXIT else self._scenario.step(name)
        self._log.record(
            Op(
                clock.now_ns(),
                Process(rank, "main" if step is None else step.thread, life),
                type,
                EXIT if step is None else step.do,
                name,
                number,
                handler=None if step is None else step.handler,
                value=value,
                error=error,
            )
        )

    def _log_path(self, process: RankProcess) -> Path:
        return self._run_dir / "logs" / f"rank-{process.rank}.life-{process.life}.log"

    # -- the end -----------------------------------------------------------------------------------------------

    def expect_end(self, process: RankProcess, by: str) -> None:
        process.ends_by = by

    def end(self, process: RankProcess) -> None:
        if self._scenario.job is not None:
            # What a job has started would go on without it. What resists is named by `nothing_left_behind`.
            with contextlib.suppress(HarnessError, OSError):
                kill_tree(process.pid)
        self._session.kill(process.pid)

    def close(self) -> None:
        self._end_living()
        deadline_ns = clock.now_ns() + ENDS_WITHIN_NS
        while self.living() and clock.now_ns() < deadline_ns:
            descriptors = [self._session.fileno(), self._doorbell_fd, *self.descriptors()]
            select.select(descriptors, [], [], TICK_NS / 1e9)
            self.hear()
            self.reap()
        self._end_living()

    def _end_living(self) -> None:
        for process in self.living():
            self.end(process)
            process.ends_by = process.ends_by or "harness"


def unrecorded(process: RankProcess) -> str:
    """Why a play says nothing: a rank, or its worker, ended with `CANNOT_RECORD`."""
    return (
        f"rank {process.rank} could not write its log or its operations to the run directory; is its disk full, or a "
        "limit of open files or of file sizes reached (`df`, `ulimit -n`, `ulimit -f`)?"
    )


def _key(op: Op) -> CallKey:
    assert op.process.rank is not None
    return (op.step, op.process.rank, op.process.life, op.call)


def cause(process: RankProcess, end: Mapping[str, int]) -> str:
    """Why the calls of a rank ended: its process did."""
    ended = f"signal {end['signal']}" if "signal" in end else f"status {end['status']}"
    by = f" by {process.ends_by}" if process.ends_by else ""
    return f"the process of rank {process.rank} ended ({ended}){by}"
