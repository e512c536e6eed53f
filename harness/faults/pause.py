"""Freeze a rank's process and resume it: a swap storm, a paused virtual machine, an attached debugger."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember, RankProcess
from harness.faults.parts.layers import Layers
from harness.machine.process import pidfd
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError, NothingToHit

# A thread stops within microseconds unless it sits in an uninterruptible system call (a slow disk).
STOP_LIMIT_NS = 5_000_000_000

_stopped: Layers[bool] = Layers()


@FAULTS.register("pause")
class Pause(FaultMember):
    """SIGSTOP to the processes of its ranks, SIGCONT on healing."""

    declaration = Declaration(
        kind="pause",
        summary="Freezes the processes of its ranks with SIGSTOP, and resumes them with SIGCONT on healing.",
        example="{inject: pause, ranks: 0, after: join, for: 3s}",
        details=(
            "The kernel of a frozen process still completes handshakes and acknowledges data. "
            "The hang guard of a frozen rank is stopped too. A rank may end while it is frozen."
        ),
    )
    layer = "rank"
    suspends_ranks = True

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        with contextlib.ExitStack() as frozen:
            held = {}
            for rank in self.fault.ranks:
                process = context.process(rank)
                if process is None:
                    continue
                with contextlib.suppress(ProcessLookupError):
                    held[rank] = (process, frozen.enter_context(_frozen(process, context)))
            if not held:
                raise NothingToHit(f"no process of rank {', '.join(map(str, self.fault.ranks))} is alive")
            yield lambda: self._evidence(held)

    def _evidence(self, held: dict[int, tuple[RankProcess, pidfd.PidfdProcess]]) -> Evidence:
        """Every thread of a process is still stopped; one that has ended since was seen to stop at the injection."""
        facts = [
            {"rank": rank, "life": process.life, "pid": process.pid, "threads": frozen.states() or "gone"}
            for rank, (process, frozen) in held.items()
        ]
        still = [frozen.stopped() or frozen.ended() for _, frozen in held.values()]
        missed = [rank for rank in self.fault.ranks if rank not in held]
        return Evidence(all(still), {"processes": facts, "missed": missed})


@contextlib.contextmanager
def _frozen(process: RankProcess, context: FaultContext) -> Iterator[pidfd.PidfdProcess]:
    """One frozen process; raises ProcessLookupError if it has ended, HarnessError if it does not stop."""
    with pidfd.hold(process.pid) as held:
        target = process.rank, process.life, process.pid
        with _stopped.hold(target, True, False, lambda stop: (_stop if stop else _thaw)(process, held, context)):
            if held.ended():
                raise ProcessLookupError(process.pid)
            yield held


def _stop(process: RankProcess, held: pidfd.PidfdProcess, context: FaultContext) -> None:
    context.paused(process.rank, True)
    if held.signal(signal.SIGSTOP):
        _verify(process, held, stopped=True)


def _thaw(process: RankProcess, held: pidfd.PidfdProcess, context: FaultContext) -> None:
    try:
        if held.signal(signal.SIGCONT):
            _verify(process, held, stopped=False)
    finally:
        context.paused(process.rank, False)


def _verify(process: RankProcess, held: pidfd.PidfdProcess, stopped: bool) -> None:
    if not held.await_stop(stopped, STOP_LIMIT_NS):
        done = "stop" if stopped else "go on"
        raise HarnessError(
            f"rank {process.rank} (pid {process.pid}) did not {done} within {STOP_LIMIT_NS / 1e9:g} s, its threads are "
            f"{held.states()!r}; does a debugger or another fault hold it?"
        )
