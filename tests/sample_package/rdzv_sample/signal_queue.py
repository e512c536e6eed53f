"""A fault: few signals may be queued for a rank's process."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import NothingToHit


@FAULTS.register("signal_queue")
class SignalQueue(FaultMember):
    """The soft limit of RLIMIT_SIGPENDING, set from outside."""

    declaration = Declaration(
        kind="signal_queue",
        summary="Limits how many signals may be queued for the processes of its ranks.",
        attributes=(Attribute("most", "int", "how many", minimum=0),),
        example="{inject: signal_queue, ranks: 1, most: 17, for: 2s}",
    )
    layer = "rank"

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        pids = [process.pid for rank in self.fault.ranks if (process := context.process(rank))]
        if not pids:
            raise NothingToHit(f"no process of ranks {self.fault.ranks} is alive")
        with contextlib.ExitStack() as limits:
            for pid in pids:
                limits.enter_context(_limited(pid, self.fault.attributes["most"]))
            yield lambda: Evidence(True, {"pids": pids})


@contextlib.contextmanager
def _limited(pid: int, most: int) -> Iterator[None]:
    soft, hard = resource.prlimit(pid, resource.RLIMIT_SIGPENDING)
    resource.prlimit(pid, resource.RLIMIT_SIGPENDING, (most, hard))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_SIGPENDING, (soft, hard))
