"""Take links down: open connections are cut, new ones are refused."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import links_of, refusals, settled, traffic_of
from harness.faults.parts.layers import Layers
from harness.machine.network import sockets
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Declaration

_enabled: Layers[bool] = Layers()


@FAULTS.register("down")
class Down(FaultMember):
    """A disabled proxy of Toxiproxy, not a toxic."""

    declaration = Declaration(
        kind="down",
        summary="Takes the links of its ranks down: open connections are cut, new ones are refused.",
        example="{inject: down, ranks: 1, after: join, for: 500ms}",
        details=(
            "After healing, the same port accepts connections again. Refused attempts are known in a private network "
            "only."
        ),
    )
    layer = "link"

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        links = links_of(self.fault, context)
        before = traffic_of(links)
        refused = refusals(self.fault, context, links, before)
        with contextlib.ExitStack() as disabled:
            for link in links:
                disabled.enter_context(_enabled.hold(link.name, False, True, functools.partial(_set, link)))
            cut = _cut(links, before)
            yield lambda: _evidence(cut, refused(), _listening(links, context))


def _set(link: Link, enabled: bool) -> None:
    (link.enable if enabled else link.disable)()


def _cut(links: Sequence[Link], before: Sequence[Traffic]) -> int:
    """How many of the open connections are no longer open; a server closes them a moment after it has answered."""
    was = sum(traffic.open for traffic in before)
    still = settled(lambda: sum(traffic.open for traffic in traffic_of(links)), lambda number: not number)
    return max(0, was - still)


def _listening(links: Sequence[Link], context: FaultContext) -> list[int]:
    """The ports of links on which somebody listens."""
    with context.proxy_host.inside():
        ports = {one.address.port for one in sockets.listeners(owners=False)}
    return sorted(ports & {link.address.port for link in links})


def _evidence(cut: int, refused: int | None, listening: Sequence[int]) -> Evidence:
    """Connections cut, and refused attempts to reach the links (not those of the proxy to reach the master).

    Where a link still listens, it is not down, and nothing that was refused was refused by this fault.
    """
    touched = False if listening else True if cut or refused else None if refused is None else False
    return Evidence(touched, {"cut": cut, "refused": refused, "still_listening": list(listening)})
