"""Limit the processor time of ranks: a container under a quota, or an overloaded machine."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.layers import Layers
from harness.machine.docker.hosts import DockerHost, RankContainer
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import NothingToHit

LEAST_NS, MOST_NS = 1_000_000, 1_000_000_000
"""What the kernel accepts, for the quota and for the period."""


_quotas: Layers[tuple[int, int] | None] = Layers()
"""Quota and period in microseconds; None for no limit."""


@FAULTS.register("cpu_limit")
class CpuLimit(FaultMember):
    """A quota of the kernel's scheduler."""

    declaration = Declaration(
        kind="cpu_limit",
        summary="Lets the processes of its ranks run only for a short time in each period.",
        attributes=(
            Attribute("run", "duration", "how long in each period", default=LEAST_NS, default_text="1ms",
                      minimum=LEAST_NS, maximum=MOST_NS),
            Attribute("every", "duration", "the period", default=MOST_NS, default_text="1s",
                      minimum=LEAST_NS, maximum=MOST_NS),
        ),
        example="{inject: cpu_limit, ranks: 0, run: 1ms, every: 1s, after: join, for: 5s}",
        details=(
            "All threads of a rank share this time. The kernel still answers for the rank: connections are accepted, "
            "but not read. If no rank needed more time than it got, the cell is vacuous."
        ),
    )  # fmt: skip
    layer = "rank"
    needs = frozenset({"engine"})

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if attributes["run"] > attributes["every"]:
            return ("`run` is longer than `every`, so nothing is limited; make it shorter",)
        return ()

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        limited = {
            rank: cast(DockerHost, context.host(rank)).container_of(rank)
            for rank in self.fault.ranks
            if context.process(rank) is not None
        }
        if not limited:
            raise NothingToHit(f"no process of rank {', '.join(map(str, self.fault.ranks))} is alive")
        before = {rank: container.throttled_ns() for rank, container in limited.items()}
        quota = self.fault.attributes["run"] // 1000, self.fault.attributes["every"] // 1000
        with contextlib.ExitStack() as lifted:
            for container in limited.values():
                lifted.enter_context(_quotas.hold(id(container), quota, None, functools.partial(_limit, container)))
            yield lambda: _evidence(limited, before)


def _limit(container: RankContainer, quota: tuple[int, int] | None) -> None:
    if quota is None:
        container.unlimit_processor()
    else:
        container.limit_processor(*quota)


def _evidence(limited: Mapping[int, RankContainer], before: Mapping[int, int | None]) -> Evidence:
    """How long each rank was throttled; unknown for a rank that has ended meanwhile."""
    kept_ns = {rank: _grown(before[rank], container.throttled_ns()) for rank, container in limited.items()}
    touched = True if any(kept_ns.values()) else None if None in kept_ns.values() else False
    return Evidence(touched, {"throttled_ns": {str(rank): ns for rank, ns in kept_ns.items()}})


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
