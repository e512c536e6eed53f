"""The embedded engine as a child of the controller, in its network namespace."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.engine.launch import launch
from harness.machine.toxiproxy import server as proxy_server
from harness.machine.toxiproxy.server import ChildProcesses, RunningServer

SEED = "rdzv-harness"
"""Of all engines: the chance of a play is named by its links, and so by its own seed."""


@dataclass(frozen=True)
class LocalEngineLauncher:
    """Implements `harness.machine.toxiproxy.server.ServerLauncher`."""

    children: ChildProcesses
    origin: str = "comes with the harness"

    def launch(self, log_path: Path) -> RunningServer:
        return launch(self.children, log_path, seed=SEED)

    def stop(self, running: RunningServer) -> None:
        proxy_server.stop(self.children, running)

    def inside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()
