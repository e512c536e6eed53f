"""Fill a rank's memory until the kernel kills it, the usual end of a container."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember, RankProcess
from harness.machine.docker.hosts import DockerHost, RankContainer
from harness.machine.process import pidfd
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import HarnessError, NothingToHit

SPARE_BYTES = 16 << 20
# The second process takes a gigabyte in a second; Docker starts it in 0.1 s, and more slowly under load.
END_LIMIT_NS = 30_000_000_000


@dataclass
class _Victim:
    process: RankProcess
    container: RankContainer
    used_bytes: int
    limit_bytes: int
    killed: bool | None = None

    def facts(self) -> dict[str, Any]:
        about = {"rank": self.process.rank, "life": self.process.life, "pid": self.process.pid}
        limits = {"used_bytes": self.used_bytes, "limit_bytes": self.limit_bytes}
        return {**about, **limits, "killed_for_memory": self.killed}


@FAULTS.register("memory_limit")
class MemoryLimit(FaultMember):
    """A limit just above the memory in use, and a second process in the container that takes the rest."""

    declaration = Declaration(
        kind="memory_limit",
        summary="Fills the memory of its ranks' containers, so that the kernel kills the ranks.",
        attributes=(
            Attribute(
                "spare", "size", "how far the limit is above the memory in use",
                default=SPARE_BYTES, default_text="16MiB", minimum=1 << 20, maximum=1 << 40,
            ),
        ),
        example="{inject: memory_limit, ranks: 0, after: join}",
        details=(
            "A second process in the container takes memory until none is left, and the rank's OOM score makes the "
            "kernel kill the rank first, with SIGKILL. With `for` or `until`, healing starts the rank again, in a new "
            "container with its usual limit."
        ),
    )  # fmt: skip
    layer = "rank"
    restarts_ranks = True
    needs = frozenset({"engine", "restart"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        alive = [process for rank in self.fault.ranks if (process := context.process(rank)) is not None]
        if not alive:
            raise NothingToHit(f"no process of rank {', '.join(map(str, self.fault.ranks))} is alive")
        victims = [self._fill(context, process) for process in alive]
        killed = [victim.killed for victim in victims]
        touched = True if any(killed) else None if None in killed else False
        self.ended_ranks = tuple(victim.process.rank for victim in victims)
        facts = {"containers": [victim.facts() for victim in victims]}
        yield lambda: Evidence(touched, facts)

    def _fill(self, context: FaultContext, process: RankProcess) -> _Victim:
        host = cast(DockerHost, context.host(process.rank))
        container = host.container_of(process.rank)
        used = container.memory_bytes()
        victim = _Victim(process, container, used, used + self.fault.attributes["spare"])
        try:
            with pidfd.hold(process.pid) as held, container.memory_kills() as killed:
                context.expect_end(process.rank, self.fault.name)
                container.limit_memory(victim.limit_bytes)
                container.fill_memory()
                ended = held.await_end(END_LIMIT_NS)
                victim.killed = killed()
        except ProcessLookupError:
            raise NothingToHit(f"the process of rank {process.rank} has just ended") from None
        if not ended:
            raise HarnessError(
                f"rank {process.rank} lives although its memory should be full ({victim.facts()}); does the engine's "
                "kernel enforce memory limits? see `docker info`"
            )
        return victim
