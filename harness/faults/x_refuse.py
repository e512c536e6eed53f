"""Refuse new connections, or end them at once, while open ones live on."""

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
        summary="Refuses new connections of its ranks, or ends them as soon as they are made; open ones live on.",
        attributes=(
            Attribute(
                "mode", "choice", "`closed`: connecting is refused; `rst`, `fin`: it succeeds and is ended so at once",
                "closed", choices=("closed", "rst", "fin"),
            ),
            Attribute("first", "int", "only so many connections, with `rst` or `fin`; 0 is all", 0, minimum=0),
        ),
        example="{inject: x_refuse, ranks: 1, mode: rst, first: 2}",
        details="Unlike `down` it cuts nothing. If nobody connects, the cell is vacuous.",
    )  # fmt: skip
    toxic_kind = "x_refuse"

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        counts = attributes["first"] and attributes["mode"] == "closed"
        return ["nobody can count whom the kernel refuses; take `first` out, or write mode: rst"] if counts else []

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
