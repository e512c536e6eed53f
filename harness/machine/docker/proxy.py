"""Launches a proxy server, Toxiproxy or the embedded engine, in a container of its own on a host of the world."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from harness import clock
from harness.machine.docker.client import Client, Recipe
from harness.machine.docker.hosts import ContainerHost
from harness.machine.docker.leases import Lease
from harness.machine.docker.mounts import Bind, for_container
from harness.machine.toxiproxy import token
from harness.machine.toxiproxy.server import RunningServer, await_ready, config_of, new_sentinel
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError

API_PORT = 8474
"""Toxiproxy's default; on a host of its own no other process can have it."""

_CONFIG = "/rdzv/proxy.json"
_ENGINE = "/rdzv/engine"
_PACKAGE = Path(__file__).resolve().parents[2]
_MEMORY_BYTES, _PIDS = 512 << 20, 1024


@dataclass(frozen=True)
class _Contents:
    """The command of the container, its variables and its mounts."""

    command: Sequence[str]
    environment: Mapping[str, str]
    binds: Sequence[Bind] = ()
    token: str = field(default="", repr=False)


class ContainerServerLauncher:
    """Launches toxiproxy-server in a container; implements `harness.machine.toxiproxy.server.ServerLauncher`.

    Args:
        host: returns the host, which it makes if needed.
        log_dir: the folder for the server's config, which the container mounts.
    """

    origin = "in a container of its own"
    server_name: ClassVar[str] = "toxiproxy-server in its container"

    def __init__(
        self, client: Client, lease: Lease, image: str, user: str, host: Callable[[], ContainerHost], log_dir: Path
    ) -> None:
        self._client = client
        self._lease = lease
        self._image = image
        self._user = user
        self._host = host
        self._config = log_dir.absolute() / "proxy.json"
        self._container = ""
        self._follower: threading.Thread | None = None

    def launch(self, log_path: Path) -> RunningServer:
        host, sentinel = self._host(), new_sentinel()
        self._config.write_text(config_of(sentinel))
        self._config.chmod(0o644)
        contents = self._contents(host.address)
        self._container = self._client.start(self._recipe(host, contents))
        self._follow(log_path)
        pid, address = self._client.state(self._container).pid, Endpoint(host.address, API_PORT)
        running = RunningServer(pid, address, sentinel, log_path, contents.token)
        try:
            await_ready(running, self.server_name, self._ends)
        except BaseException:
            self.stop(running)
            raise
        return running

    def stop(self, running: RunningServer) -> None:
        self._client.remove(self._container)
        if self._follower is not None:
            self._follower.join()
            self._follower = None

    def inside(self) -> AbstractContextManager[None]:
        return self._host().inside()

    def _recipe(self, host: ContainerHost, contents: _Contents) -> Recipe:
        return Recipe(
            name=f"rdzv-{self._lease.world}-{host.name}-server-{new_sentinel()[-6:]}",
            image=self._image,
            command=contents.command,
            user=self._user,
            labels=self._lease.labels,
            memory_bytes=_MEMORY_BYTES,
            pids=_PIDS,
            environment=contents.environment,
            binds=[*contents.binds, Bind(str(self._config), _CONFIG)],
            joins=host.container,
        )

    def _contents(self, address: str) -> _Contents:
        command = ["-host", address, "-port", str(API_PORT), "-config", _CONFIG, "-proxy-metrics"]
        return _Contents(command, {"LOG_LEVEL": "info"})

    def _follow(self, log_path: Path) -> None:
        """Copy its output to a file as it appears: the file is read far faster than Docker's log."""
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)

        def write_down() -> None:
            try:
                self._client.follow(self._container, lambda piece: os.write(descriptor, piece))
            except HarnessError as error:
                os.write(descriptor, f"{error}\n".encode())
            finally:
                os.close(descriptor)

        self._follower = threading.Thread(target=write_down, name="proxy log", daemon=True)
        self._follower.start()

    def _ends(self, within_ns: int) -> bool:
        clock.sleep_ns(within_ns)
        return not self._client.state(self._container).running


class ContainerEngineLauncher(ContainerServerLauncher):
    """Launches the embedded engine, run by the harness's own interpreter, which is mounted in the image of ranks."""

    origin = "comes with the harness, in a container of its own"
    server_name = "the embedded engine in its container"

    def _contents(self, address: str) -> _Contents:
        python, secret = for_container(Path(sys.executable)), token.new()
        command = [python.executable, "-m", "harness.engine", "--host", address, "--port", str(API_PORT)]
        return _Contents(
            [*command, "--config", _CONFIG],
            {
                **python.environment,
                "PYTHONPATH": f"{_ENGINE}:{python.environment['PYTHONPATH']}",
                token.VARIABLE: secret,
            },
            [*python.binds, Bind(str(_PACKAGE), f"{_ENGINE}/{_PACKAGE.name}")],
            secret,
        )
