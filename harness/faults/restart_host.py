"""Stop hosts with all that runs on them, and start them again with nothing left of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember, RankProcess
from harness.machine.docker.hosts import DockerHost
from harness.machine.names import resolution
from harness.machine.process import pidfd
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError, NothingToHit

# The engine kills a host in 0.1 s, and tears down its network in another; it does one host after another.
END_LIMIT_NS = 20_000_000_000


@FAULTS.register("restart_host")
class RestartHost(FaultMember):
    """The engine's own killing and starting of what holds a host."""

    declaration = Declaration(
        kind="restart_host",
        summary="Stops the hosts of its ranks: all that runs there ends, and nobody answers there.",
        example="{inject: restart_host, ranks: 0, after: join, for: 2s}",
        details=(
            "With `for` or `until` the host comes back with its name and its address, and its ranks are started again, "
            "from their first step, in their next life: whatever they held in memory, a store among it, is gone. "
            "Whoever shares the host ends too. Processes end before the host is gone, as when a machine is shut down, "
            "so open connections of others get an end, or a reset where bytes lay unread, 0.02 to 0.1 s after the stop "
            "began (measured); then nobody answers, and who connects waits. A host falls silent without a word by "
            "`disconnect`."
        ),
    )
    layer = "host"
    needs = frozenset({"engine", "restart"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = resolution.distinct(cast(DockerHost, context.host(rank)) for rank in self.fault.ranks)
        ranks = [rank for host in hosts for rank in host.ranks]
        running = {rank: process for rank in ranks if (process := context.process(rank)) is not None}
        if not running:
            raise NothingToHit(f"no process of rank {', '.join(map(str, self.fault.ranks))} is alive")
        with contextlib.ExitStack() as started:
            for rank in ranks:
                context.expect_end(rank, self.fault.name)
            for host in hosts:
                started.callback(host.start)
                _stop(host, [running[rank] for rank in host.ranks if rank in running])
            facts = {
                "hosts": [host.name for host in hosts],
                "processes": [{"rank": one.rank, "life": one.life, "pid": one.pid} for one in running.values()],
            }
            yield lambda: Evidence(True, facts)
        if self.fault.until is not None and not self.end_of_play:
            for rank in running:
                context.start_again(rank)


def _stop(host: DockerHost, running: Sequence[RankProcess]) -> None:
    """Stop a host, and see its processes end; raises HarnessError if one does not."""
    with contextlib.ExitStack() as stack:
        held = []
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                held.append(stack.enter_context(pidfd.hold(process.pid)))
        host.stop()
        for one in held:
            if not one.await_end(END_LIMIT_NS):
                raise HarnessError(
                    f"{host.name} was stopped, but its process {one.pid} has not ended; look at the engine's log"
                )
