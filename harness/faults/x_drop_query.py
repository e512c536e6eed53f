"""Swallow one query of the store protocol: the server never receives it."""

from __future__ import annotations

from harness.engine.wire.grammar import KINDS
from harness.faults.base import FAULTS
from harness.faults.parts.engine_toxics import WHICH, MessageFault
from harness.values.attribute import Attribute, Declaration


@FAULTS.register("x_drop_query")
class XDropQuery(MessageFault):
    """The engine's `x_drop_query`."""

    declaration = Declaration(
        kind="x_drop_query",
        summary="Swallows one query of the store on its way to the master; the connection stays open.",
        attributes=(Attribute("query", "choice", "its kind; * is any", choices=KINDS), *WHICH),
        example="{inject: x_drop_query, ranks: 2, query: set, key: ready}",
        details="A rank that expects a reply waits for it. If no such query passes, the cell is vacuous.",
    )
    toxic_kind = "x_drop_query"
