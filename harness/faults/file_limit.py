"""Leave a rank's process only a few free descriptors, as the open-file limit of a busy host does."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember, RankProcess
from harness.faults.parts.layers import Layers
from harness.machine.process import pidfd
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import HarnessError, NothingToHit


@dataclass(frozen=True)
class _Limited:
    """A process under a limit, and the descriptors that it had before."""

    process: RankProcess
    held: pidfd.PidfdProcess
    limit: int
    before: frozenset[int]


_limits: Layers[int] = Layers(min)
"""Of the limits of several faults the lowest is in force."""


@FAULTS.register("file_limit")
class FileLimit(FaultMember):
    """A soft limit of open files, lowered from outside."""

    declaration = Declaration(
        kind="file_limit",
        summary="Lowers the open-file limit of its ranks' processes, to leave them `spare` descriptors to open.",
        attributes=(
            Attribute("spare", "int", "descriptors that are free at the injection", minimum=0, maximum=1_000_000),
        ),
        example="{inject: file_limit, ranks: 0, spare: 3, after: join}",
        details=(
            "Open descriptors stay open. Healing restores the limit. If a process reached the limit and closed "
            "descriptors again before healing, this cannot be seen from outside: the report then says `unproven`. Of "
            "several such faults on one rank the lowest limit is in force."
        ),
    )
    layer = "host"
    needs = frozenset({"file_limit"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        with contextlib.ExitStack() as stack:
            limited = list(self._limit(context, stack))
            if not limited:
                raise NothingToHit(f"no process of rank {', '.join(map(str, self.fault.ranks))} is alive")
            yield lambda: _evidence(limited)

    def _limit(self, context: FaultContext, stack: contextlib.ExitStack) -> Iterator[_Limited]:
        for rank in self.fault.ranks:
            process = context.process(rank)
            if process is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                yield stack.enter_context(_limited(process, self.fault.attributes["spare"]))


@contextlib.contextmanager
def _limited(process: RankProcess, spare: int) -> Iterator[_Limited]:
    """One process under the limit; raises ProcessLookupError if it has ended, HarnessError if it cannot be limited."""
    with pidfd.hold(process.pid) as held:
        before, old_limit = held.descriptors(), held.file_limit()
        if old_limit is None:
            raise ProcessLookupError(process.pid)
        if before is None:
            raise HarnessError(f"the descriptors of rank {process.rank} cannot be read; is /proc mounted?")
        limit = limit_for(before, spare)
        target = process.rank, process.life, process.pid
        with _limits.hold(target, limit, old_limit, lambda now: _set(held, now, process.rank)):
            yield _Limited(process, held, limit, before)


def limit_for(open_: frozenset[int], spare: int) -> int:
    """The limit under which exactly `spare` more descriptors can be opened.

    The limit is not a count but one above the highest number that may be used, and the lowest free number is used
    first: so there must be `spare` free numbers below it.
    """
    free = (number for number in itertools.count() if number not in open_)
    return next(itertools.islice(free, spare, None))


def _set(held: pidfd.PidfdProcess, limit: int, rank: int) -> None:
    try:
        held.file_limit(limit)
    except PermissionError as error:
        raise HarnessError(
            f"the open-file limit of rank {rank} may not be changed from outside; does it run as another user?"
        ) from error


def _evidence(limited: list[_Limited]) -> Evidence:
    looks = [_look(one) for one in limited]
    return Evidence(_touched(looks), {"processes": looks})


def _look(one: _Limited) -> dict[str, Any]:
    now = one.held.descriptors()
    about: dict[str, Any] = {"rank": one.process.rank, "pid": one.process.pid, "limit": one.limit}
    about |= {"open_before": len(one.before), "in_force": one.held.file_limit() == one.limit}
    if now is not None:
        about |= {"open": len(now), "free": sum(number not in now for number in range(one.limit))}
    return about


def _touched(looks: list[dict[str, Any]]) -> bool | None:
    """True if one opened descriptors or was at its limit, False if no limit was in force, else None: unknown."""
    alive = [look for look in looks if "open" in look]
    if any(look["in_force"] and (look["open"] > look["open_before"] or not look["free"]) for look in alive):
        return True
    return False if alive and not any(look["in_force"] for look in alive) else None
