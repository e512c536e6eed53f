"""Take links down: open connections are cut, new ones refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from harness.faults.base import FAULTS, Evidence, FaultMember, Surroundings, links_of, refused_attempts, traffic_of
from harness.proxies.base import Link, Traffic
from harness.words.attribute import Declaration


@FAULTS.register("down")
class Down(FaultMember):
    """Toxiproxy's disabled proxy; no toxic."""

    declaration = Declaration(
        kind="down",
        summary="Takes the links of its ranks down: open connections are cut, and connecting is refused.",
        example="{inject: down, ranks: 1, after: join, for: 500ms}",
        details=(
            "Healing listens on the same port again. Whether an attempt was refused is known in a private network only."
        ),
    )
    layer = "link"

    @contextlib.contextmanager
    def hold(self, surroundings: Surroundings) -> Iterator[Callable[[], Evidence]]:
        links = links_of(self.fault, surroundings)
        hosts = {host.name: host for host in map(surroundings.host, self.fault.ranks)}
        before, refused_before = traffic_of(links), refused_attempts(surroundings, hosts.values())
        with contextlib.ExitStack() as disabled:
            for link in links:
                disabled.callback(link.enable)
                link.disable()
            shared = surroundings.proxy_host.name in hosts

            def found() -> Evidence:
                refused_now = refused_attempts(surroundings, hosts.values())
                return _evidence(links, before, refused_before, refused_now, shared)

            yield found


def _evidence(
    links: Sequence[Link], before: Sequence[Traffic], refused_before: int | None, refused_now: int | None, shared: bool
) -> Evidence:
    """Connections cut, or attempts refused: attempts to reach the links, not those of the proxy to reach the master.

    Args:
        shared: whether the proxy's own attempts are counted with the ranks', since they live on one host.
    """
    cut = sum(traffic.open for traffic in before)
    refused = None
    if refused_before is not None and refused_now is not None:
        by_the_master = traffic_of(links)[0].unreached - before[0].unreached if shared else 0
        refused = max(0, refused_now - refused_before - by_the_master)
    touched = True if cut or refused else None if refused is None else False
    return Evidence(touched, {"cut": cut, "refused": refused})
