"""A TCPStore of another run on somebody else's port: a helper process for the fault `impostor`."""

from __future__ import annotations

import datetime
import signal
import socket
from typing import Any, Callable, Mapping

_TIMEOUT = datetime.timedelta(seconds=60)


def main(arguments: Mapping[str, Any], ready: Callable[[str], None]) -> None:
    """Serve a store as another job's rank 0 would, until this process is killed.

    Args:
        arguments: `port`; `address`, where to listen (all addresses, as torch does, if absent); `run_id`, of the job.
        ready: called with a line of text once the store listens.

    Raises OSError or torch's DistNetworkError if the port cannot be listened on.
    """
    import torch.distributed as distributed

    address = arguments.get("address")
    port = int(arguments["port"])
    run_id = arguments.get("run_id", "another-run")
    listener = {} if not address else {"master_listen_fd": _listen(address, port)}
    host = _connectable(address)
    store = distributed.TCPStore(host, port, None, True, _TIMEOUT, wait_for_workers=False, **listener)
    distributed.PrefixStore(run_id, store).set("owner", "impostor")
    ready(f"a store of run {run_id} listens on port {port}")
    while True:
        signal.pause()


def _listen(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(socket.SOMAXCONN)
    return listener.detach()


def _connectable(address: Any) -> str:
    """Where the store's own client finds it."""
    if not address or address == "0.0.0.0":
        return "127.0.0.1"
    return "::1" if address == "::" else str(address)
