"""Refuse new connections or close them at once; open ones are not affected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext
from harness.faults.parts.engine_toxics import EngineFault
from harness.faults.parts.evidence import links_of, refusals, traffic_of
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("x_refuse")
class XRefuse(EngineFault):
    """The engine's `x_refuse`."""

    declaration = Declaration(
        kind="x_refuse",
        summary="Refuses new connections of its ranks, or closes them at once; open ones are not affected.",
        attributes=(
            Attribute(
                "mode", "choice",
                "`closed`: connecting is refused; `rst`, `fin`: it succeeds and is ended that way at once",
                "closed", choices=("closed", "rst", "fin"),
            ),
            Attribute("first", "int", "with `rst` or `fin`: how many connections; 0 is all", 0, minimum=0),
        ),
        example="{inject: x_refuse, ranks: 1, mode: rst, first: 2}",
        details="Unlike `down` it cuts no open connection. If no rank connects, the cell is vacuous.",
    )  # fmt: skip
    toxic_kind = "x_refuse"
    wants = "connecting"

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        counts = attributes["first"] and attributes["mode"] == "closed"
        because = "connections that the kernel refuses cannot be counted; remove `first`, or write `mode: rst`"
        return [because] if counts else []

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        if self.fault.attributes["mode"] != "closed":
            with super().hold(context) as evidence:
                yield evidence
            return
        links = links_of(self.fault, context)
        refused = refusals(self.fault, context, links, traffic_of(links))
        with super().hold(context):
            yield lambda: _evidence(refused())


def _evidence(refused: int | None) -> Evidence:
    return Evidence(None) if refused is None else Evidence(refused > 0, {"refused": refused})
