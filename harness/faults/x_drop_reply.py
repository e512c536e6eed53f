"""Swallow one reply of the store protocol: the query was executed, but the client gets no reply."""

from __future__ import annotations

from harness.engine.wire.grammar import KINDS
from harness.faults.base import FAULTS
from harness.faults.parts.engine_toxics import WHICH, MessageFault
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("x_drop_reply")
class XDropReply(MessageFault):
    """The engine's `x_drop_reply`."""

    declaration = Declaration(
        kind="x_drop_reply",
        summary="Swallows one reply of the store: the query was executed, but the rank gets no reply.",
        attributes=(Attribute("reply", "choice", "the kind of the query it answers; * is any", choices=KINDS), *WHICH),
        example="{inject: x_drop_reply, ranks: 1, reply: add, key: counter, nth: 3}",
        details="The connection stays open. If no such reply comes, the cell is vacuous.",
    )
    toxic_kind = "x_drop_reply"
