"""Stop hosts and all their processes, and start them again from nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember, RankProcess
from harness.faults.parts.evidence import hosts_of
from harness.machine.docker.hosts import DockerHost
from harness.machine.process import pidfd
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError, NothingToHit

# Docker kills a host in 0.1 s, and removes its network in another 0.1 s, one host after the other.
END_LIMIT_NS = 20_000_000_000


@FAULTS.register("restart_host")
class RestartHost(FaultMember):
    """Docker's own kill and start of the container that is a host."""

    declaration = Declaration(
        kind="restart_host",
        summary="Stops the hosts of its ranks: all their processes end, and their addresses no longer answer.",
        example="{inject: restart_host, ranks: 0, after: join, for: 2s}",
        details=(
            "With `for` or `until`, healing starts the host again with its name and its address, and then its ranks, "
            "from their first step, in their next life: all that they held in memory, such as a store, is lost. All "
            "ranks of the host end, named or not. Processes end before the host is gone, as when a machine is shut "
            "down, so its open connections are closed, or reset where bytes were unread, 0.02 to 0.1 s after the stop "
            "began (measured); after that nothing answers, and connecting hangs. For a host that falls silent without "
            "closing its connections use `disconnect`."
        ),
    )
    layer = "host"
    restarts_ranks = True
    needs = frozenset({"engine", "restart"})

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = [cast(DockerHost, host) for host in hosts_of(self.fault, context)]
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
            self.ended_ranks = tuple(running)
            facts = {
                "hosts": [host.name for host in hosts],
                "processes": [{"rank": one.rank, "life": one.life, "pid": one.pid} for one in running.values()],
            }
            yield lambda: Evidence(True, facts)


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
                    f"{host.name} was stopped, but its process {one.pid} has not ended; look at Docker's log"
                )
