"""Swallow one reply of the store: it happened, and who asked for it does not learn of it."""

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
        summary="Swallows one reply of the store: what was asked for is done, and the rank does not learn of it.",
        attributes=(Attribute("reply", "choice", "the kind of the query it answers; * is any", choices=KINDS), *WHICH),
        example="{inject: x_drop_reply, ranks: 1, reply: add, key: counter, nth: 3}",
        details="The connection lives on. If no such reply comes, the cell is vacuous.",
    )
    toxic_kind = "x_drop_reply"
