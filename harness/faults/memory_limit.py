"""Let a rank's memory run full, until the kernel kills it: the way most containers die."""

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
# A neighbour takes a gigabyte in a second; to start it the engine needs 0.1 s, more where many want it at once.
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
    """A limit just above what is in use, and a neighbour in the same container that takes what is left."""

    declaration = Declaration(
        kind="memory_limit",
        summary="Lets the memory of its ranks' containers run full, so that the kernel kills the ranks.",
        attributes=(
            Attribute(
                "spare", "size", "what the limit leaves above what is in use",
                default=SPARE_BYTES, default_text="16MiB", minimum=1 << 20, maximum=1 << 40,
            ),
        ),
        example="{inject: memory_limit, ranks: 0, after: join}",
        details=(
            "A process beside the rank takes memory until there is none, and the kernel's memory killer is told to "
            "take the rank first; its end is a SIGKILL. With `for` or `until` the rank is started again when that "
            "comes, in a new container with its usual limit."
        ),
    )  # fmt: skip
    layer = "rank"
    needs = frozenset({"engine", "restart"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        alive = [process for rank in self.fault.ranks if (process := context.process(rank)) is not None]
        if not alive:
            raise NothingToHit(f"no process of rank {', '.join(map(str, self.fault.ranks))} is alive")
        victims = [self._fill(context, process) for process in alive]
        killed = [victim.killed for victim in victims]
        touched = True if any(killed) else None if None in killed else False
        facts = {"containers": [victim.facts() for victim in victims]}
        yield lambda: Evidence(touched, facts)
        if self.fault.until is not None and not self.end_of_play:
            for victim in victims:
                context.start_again(victim.process.rank)

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
