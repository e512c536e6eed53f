"""Whether the master's port is free."""

from __future__ import annotations

import errno
import socket
import time


def bind(host: str, port: int, timeout: float) -> None:
    """Bind the master's port, as a store does, and release it; while it is in use, retry until the timeout."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_server((host, port), backlog=1).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{host}:{port} could not be bound within {timeout:g} s: address already in use")
        time.sleep(0.005)
