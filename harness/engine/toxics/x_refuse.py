"""Refuse clients; open connections are not affected."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Any

from harness.engine.toxics.base import ListenerBehaviour, toxic

MODES = ("closed", "rst", "fin")


@toxic("x_refuse")
@dataclass(frozen=True)
class XRefuse(ListenerBehaviour):
    """`mode` closed: nobody listens, so connecting is refused; rst, fin: it succeeds and is ended at once, that way.

    `first`: how many clients are refused; 0 is all. Not with `closed`, where clients cannot be counted.
    """

    mode: str = "closed"
    first: int = 0

    @property
    def closes_listener(self) -> bool:  # type: ignore[override]
        return self.mode == "closed"

    def on_client(self, sock: socket.socket, memory: dict[str, Any]) -> bool:
        refused = memory.get("refused", 0)
        if self.first and refused >= self.first:
            return False
        memory["refused"] = refused + 1
        with contextlib.suppress(OSError):
            if self.mode == "rst":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                sock.shutdown(socket.SHUT_WR)
        sock.close()
        return True

    def problem(self) -> str:
        if self.mode not in MODES:
            return f"mode {self.mode!r} is none of {', '.join(MODES)}"
        if self.first < 0 or (self.first and self.closes_listener):
            return f"first {self.first} cannot be with mode {self.mode}; it counts from 0 on, with rst or fin"
        return ""
