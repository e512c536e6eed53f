"""Accept clients and never read from them: their writes stall once the window is full."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from harness.engine.toxics.base import DoorBehaviour, toxic

RECEIVE_BUFFER_BYTES = 4096


@toxic("x_accept_never_read")
@dataclass(frozen=True)
class XAcceptNeverRead(DoorBehaviour):
    """Nothing is dialled. Unlike a `timeout`, which reads and drops. Such clients are cut when it is taken away."""

    def meets(self, sock: socket.socket, memory: dict[str, Any]) -> bool:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        memory.setdefault("kept", []).append(sock)
        return True

    def leaves(self, memory: dict[str, Any]) -> None:
        for sock in memory.pop("kept", ()):
            sock.close()
