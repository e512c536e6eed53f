"""Hold one message of the store protocol back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.engine.wire.grammar import KINDS
from harness.faults.base import FAULTS
from harness.faults.parts.engine_toxics import WHICH, MessageFault
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("x_hold")
class XHold(MessageFault):
    """The engine's `x_hold`."""

    declaration = Declaration(
        kind="x_hold",
        summary="Holds one message of the store back, and all bytes behind it in its direction.",
        attributes=(
            Attribute("query", "choice", "the kind of a query, which goes to the master", None, "none", choices=KINDS),
            Attribute("reply", "choice", "the kind of the query that a reply answers", None, "none", choices=KINDS),
            Attribute("duration", "duration", "how long, in whole milliseconds; 0 until healing", 0, "0s"),
            *WHICH,
        ),
        example="{inject: x_hold, ranks: 1, reply: wait, duration: 500ms}",
        details="Nothing is lost. Give `query` or `reply`. If no such message passes, the cell is vacuous.",
    )
    toxic_kind = "x_hold"
    units = {"duration": (1_000_000, "ms")}

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        both = [attributes["query"], attributes["reply"]].count(None) != 1
        return [
            *super().problems(attributes),
            *(["the message to hold is not given; write either `query` or `reply`"] * both),
        ]
