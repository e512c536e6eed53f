"""Take links down: open connections are cut, new ones are refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import links_of, refusals, traffic_of
from harness.values.attribute import Declaration


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
        cut, refused = sum(traffic.open for traffic in before), refusals(self.fault, context, links, before)
        with contextlib.ExitStack() as disabled:
            for link in links:
                disabled.callback(link.enable)
                link.disable()
            yield lambda: _evidence(cut, refused())


def _evidence(cut: int, refused: int | None) -> Evidence:
    """Connections cut, and refused attempts to reach the links (not those of the proxy to reach the master)."""
    touched = True if cut or refused else None if refused is None else False
    return Evidence(touched, {"cut": cut, "refused": refused})
