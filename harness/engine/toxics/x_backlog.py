"""Leave clients without an answer: the queue of the listening socket is full, so connecting hangs."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.toxics.base import ListenerBehaviour, toxic


@toxic("x_backlog")
@dataclass(frozen=True)
class XBacklog(ListenerBehaviour):
    """The kernel drops every SYN; clients retry after 1, 3, 7 ... s. Open connections are not affected."""

    fills_backlog = True
