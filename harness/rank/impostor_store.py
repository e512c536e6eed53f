"""A TCPStore of another run on the master's port: a helper process for the fault `impostor`."""

from __future__ import annotations

import datetime
import signal
from typing import Any, Callable, Mapping

_TIMEOUT = datetime.timedelta(seconds=60)


def main(arguments: Mapping[str, Any], ready: Callable[[str], None]) -> None:
    """Serve a store like the master of another job, until this process is killed.

    Args:
        arguments: `port`, bound on all addresses, as torch does; `run_id`, the other job's.
        ready: called with a line of text when the store listens.

    Raises torch's DistNetworkError if the port cannot be listened on.
    """
    import torch.distributed as distributed

    port, run_id = int(arguments["port"]), arguments.get("run_id", "another-run")
    store = distributed.TCPStore("127.0.0.1", port, None, True, _TIMEOUT, wait_for_workers=False)
    distributed.PrefixStore(run_id, store).set("owner", "impostor")
    ready(f"a store of run {run_id} listens on port {port}")
    while True:
        signal.pause()
