"""Let connects hang: the queue of the listening socket is full."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from harness.faults.base import FAULTS, Evidence, Surroundings, links_of
from harness.faults.engine import EngineFault
from harness.machine import sockets
from harness.words.attribute import Declaration
from harness.worlds.base import Host


@FAULTS.register("x_backlog")
class XBacklog(EngineFault):
    """The engine's `x_backlog`."""

    declaration = Declaration(
        kind="x_backlog",
        summary="Leaves new connections of its ranks without any answer; open ones live on.",
        example="{inject: x_backlog, ranks: 1, for: 2s}",
        details=(
            "The kernel drops every SYN, and whoever connects tries again after a second, and so on; healing lets them "
            "in at their next try. Whether somebody hung and gave up before the healing cannot be read: unproven then."
        ),
    )
    toxic_kind = "x_backlog"

    @contextlib.contextmanager
    def hold(self, surroundings: Surroundings) -> Iterator[Callable[[], Evidence]]:
        hosts = {host.name: host for host in map(surroundings.host, self.fault.ranks)}
        ports = {link.address.port for link in links_of(self.fault, surroundings)}
        with super().hold(surroundings):
            # Those that fill the queue are the engine's own, and hang too.
            fillers = _hanging(hosts, ports)

            def found() -> Evidence:
                count = len(_hanging(hosts, ports) - fillers)
                return Evidence(True if count else None, {"hanging": count})

            yield found


def _hanging(hosts: Mapping[str, Host], ports: set[int]) -> set[tuple[str, int]]:
    """Connects to these ports without an answer yet, by host and own port."""
    found = set()
    for name, host in hosts.items():
        with host.inside():
            connects = (one for one in sockets.unanswered() if one.state == "syn_sent" and one.remote.port in ports)
            found |= {(name, one.local.port) for one in connects}
    return found
