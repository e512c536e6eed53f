"""Accept clients and never read from them: their writes stall when the window is full."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from harness.engine.toxics.base import ListenerBehaviour, toxic

RECEIVE_BUFFER_BYTES = 4096


@toxic("x_accept_never_read")
@dataclass(frozen=True)
class XAcceptNeverRead(ListenerBehaviour):
    """Nothing is dialled. A `timeout`, in contrast, reads and drops. Its clients are cut when it is removed."""

    def on_client(self, sock: socket.socket, memory: dict[str, Any]) -> bool:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        memory.setdefault("kept", []).append(sock)
        return True

    def release(self, memory: dict[str, Any]) -> None:
        for sock in memory.pop("kept", ()):
            sock.close()
