"""End a rank's process at once, as the OOM killer or a power failure does."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember, RankProcess
from harness.machine.process import pidfd, trees
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import NothingToHit


@dataclass
class _Victim:
    process: RankProcess
    held: pidfd.PidfdProcess
    before: str
    after: str = ""
    status: int | None = None
    below: list[pidfd.PidfdProcess] = field(default_factory=list)

    def by_itself(self) -> bool:
        """Whether its wait status shows another end than SIGKILL; it shows none once its parent has collected it."""
        return self.status is not None and not (
            os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL
        )

    def facts(self) -> dict[str, object]:
        about = {"rank": self.process.rank, "life": self.process.life, "pid": self.process.pid}
        tree = {"tree": [held.pid for held in self.below]} if self.below else {}
        return {**about, "before": self.before, "after": self.after, "ended_by_itself": self.by_itself(), **tree}


@FAULTS.register("kill")
class Kill(FaultMember):
    """SIGKILL to the processes of the ranks it names."""

    declaration = Declaration(
        kind="kill",
        summary="Kills the processes of its ranks with SIGKILL, all at once.",
        attributes=(
            Attribute("tree", "flag", "also every process that they started, and what these started", default=False),
        ),
        example="{inject: kill, ranks: 0, after: join}",
        details=(
            "With `for` or `until`, healing starts the rank again, from its first step, in its next life; at the end "
            "of the play no rank is started. A rank whose process has already ended is not hit; if all have ended, "
            "the cell is vacuous. `tree: true` is for a job that starts processes of its own, such as torchrun: its "
            "ranks and all their descendants are stopped first, so that none can start another, and then killed."
        ),
    )
    layer = "rank"
    restarts_ranks = True

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        with contextlib.ExitStack() as stack:
            victims = list(self._living(context, stack))
            if not victims:
                raise NothingToHit(f"no process of rank {_list(self.fault.ranks)} is alive")
            if self.fault.attributes.get("tree"):
                for victim in victims:
                    victim.below = trees.stop_descendants(victim.held, stack)
            for victim in victims:
                context.expect_end(victim.process.rank, self.fault.name)
                for held in (victim.held, *victim.below):
                    held.signal(signal.SIGKILL)
            for victim in victims:
                self._await_end(victim)
            self.ended_ranks = tuple(victim.process.rank for victim in victims)
            facts = {
                "processes": [victim.facts() for victim in victims],
                "missed": [rank for rank in self.fault.ranks if rank not in self.ended_ranks],
            }
        killed = [victim for victim in victims if not victim.by_itself()]
        yield lambda: Evidence(bool(killed), facts)

    def _living(self, context: FaultContext, stack: contextlib.ExitStack) -> Iterator[_Victim]:
        for rank in self.fault.ranks:
            process = context.process(rank)
            if process is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                held = stack.enter_context(pidfd.hold(process.pid))
                if not held.ended():
                    yield _Victim(process, held, before=held.states())

    def _await_end(self, victim: _Victim) -> None:
        """The end of its tree too; raises HarnessError if one of them does not end."""
        for held in (victim.held, *victim.below):
            trees.await_end(held)
        victim.status = pidfd.unreaped_status(victim.process.pid)
        victim.after = victim.held.states() or "gone"


def _list(ranks: tuple[int, ...]) -> str:
    return ", ".join(map(str, ranks)) or "(none)"
