"""A world: processes under another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.values.attribute import Declaration
from harness.worlds.base import WORLDS
from harness.worlds.processes import Processes


@WORLDS.register("labelled")
class Labelled(Processes):
    """Processes, as a base class for worlds of other packages."""

    declaration = Declaration(
        kind="labelled",
        summary="Each rank is a process of this machine, and the history says which kind of world it was.",
        example="world: {size: 4, kind: labelled}",
    )

    def describe(self) -> Mapping[str, Any]:
        return {**super().describe(), "kind": "labelled"}
