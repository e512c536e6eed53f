"""Cut connections after an exact number of bytes, or at one message of the store protocol."""

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
            Attribute("how", "choice", "`fin`, `rst`: on both sides; `silence`: all that follows is swallowed", "fin",
                      choices=("fin", "rst", "silence")),
            Attribute("bytes", "size", "how many more bytes of `stream` pass on each connection", 0, "0B", minimum=0),
            Attribute("stream", "choice", "the direction of `bytes`: to the master, or from it", "downstream",
                      choices=("upstream", "downstream")),
            Attribute("query", "choice", "instead: cut at a query of this kind", None, "none", choices=KINDS),
            Attribute("reply", "choice", "instead: cut at the reply to such a query", None, "none", choices=KINDS),
            Attribute("when", "choice", "before the message's first byte, or after its last", "before",
                      choices=("before", "after")),
            *WHICH,
        ),
        example="{inject: x_cut, ranks: 1, reply: add, key: counter, how: rst}",
        details=(
            "Connections that were open before the injection are cut too, and `rst` really resets them. New "
            "connections can be made; with `bytes` each of them is cut as well."
        ),
    )  # fmt: skip
    toxic_kind = "x_cut"

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if attributes["query"] and attributes["reply"]:
            return ["`query` and `reply` cannot both be given; remove one"]
        by_message = attributes["query"] or attributes["reply"]
        return ["`bytes` and a message cannot both be given; remove one"] if by_message and attributes["bytes"] else []
