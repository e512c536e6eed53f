"""Cut connections after an exact number of bytes, or at one message of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.engine.wire.grammar import KINDS
from harness.faults.base import FAULTS
from harness.faults.parts.engine_toxics import WHICH, MessageFault
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("x_cut")
class XCut(MessageFault):
    """The engine's `x_cut`."""

    declaration = Declaration(
        kind="x_cut",
        summary="Cuts connections after an exact number of bytes, or before or after one message of the store.",
        attributes=(
            Attribute("how", "choice", "`fin`, `rst` on both sides; `silence`: what follows is swallowed", "fin",
                      choices=("fin", "rst", "silence")),
            Attribute("bytes", "size", "so many more bytes of `stream` pass on each connection", 0, "0B", minimum=0),
            Attribute("stream", "choice", "of `bytes`: to the master, or from it", "downstream",
                      choices=("upstream", "downstream")),
            Attribute("query", "choice", "cut at a query of this kind instead", None, "none", choices=KINDS),
            Attribute("reply", "choice", "cut at the reply to such a query instead", None, "none", choices=KINDS),
            Attribute("when", "choice", "before the message's first byte, or after its last", "before",
                      choices=("before", "after")),
            *WHICH,
        ),
        example="{inject: x_cut, ranks: 1, reply: add, key: counter, how: rst}",
        details=(
            "Connections that were open before are cut too, and by `rst` really reset: nothing has to be armed for it. "
            "New connections are made; by bytes each of them is cut anew."
        ),
    )  # fmt: skip
    toxic_kind = "x_cut"

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if attributes["query"] and attributes["reply"]:
            return ["a message is either a query or a reply; take one out"]
        by_message = attributes["query"] or attributes["reply"]
        return (
            ["it is cut after bytes or at a message, not both; take one out"]
            if by_message and attributes["bytes"]
            else []
        )
