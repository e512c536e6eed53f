"""Leave clients without any answer: the queue of the listening socket is full, so their connects hang."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.toxics.base import ListenerBehaviour, toxic


@toxic("x_backlog")
@dataclass(frozen=True)
class XBacklog(ListenerBehaviour):
    """The kernel drops every SYN while it is there; clients try again after 1, 3, 7 ... s. Open connections live on."""

    fills_backlog = True
