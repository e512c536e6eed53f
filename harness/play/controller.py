"""`play` served over a pipe: pid 1 of the world's namespaces, playing scenario after scenario until its parent goes."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
from pathlib import Path

from harness.machine.docker import leases
from harness.machine.launch.zygote_client import doorbell_pipe
from harness.machine.network.sockets import port_is_bindable
from harness.machine.process.children import Children
from harness.machine.toxiproxy.server import ServerLauncher
from harness.play.channel import ControllerEnd, Failed, Played, Ready
from harness.play.local_engine import LocalEngineLauncher
from harness.play.needs import server_for
from harness.play.options import EMBEDDED, Order, RunOptions, is_url
from harness.play.play import Interrupted, PlayResources, play
from harness.proxies.base import Proxies
from harness.proxies.direct import Direct
from harness.proxies.toxiproxy import Toxiproxy
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.refusals import describe
from harness.worlds.base import WORLDS, Isolation, World, WorldResources

MASTER_PORT = 29500
"""torchrun's own default. It lies under the ephemeral range, so no link or client socket ever takes it."""

HOST_PORTS = (20000, 29000)
"""On the host's network the endpoint's port is drawn from here: below the ephemeral range, above the usual services."""


def main() -> int:
    """Serve plays on a socket.

    Arguments: its descriptor, the run's options as JSON, the folder for the logs of what outlives a play (zygote, proxy
    server), and the kind of world that is made at the start because most plays will need it.
    """
    connection = ControllerEnd(socket.socket(fileno=int(sys.argv[1])))
    options, log_dir, world = RunOptions.from_json(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, and the parent closes the connection
    isolation = Isolation.from_environment()
    children = Children()
    if isolation.kind == "host":
        children.become_subreaper()
    try:
        with _WarmResources(options, log_dir, isolation, children, connection) as warm:
            connection.send(warm.describe(world))
            _serve(connection, warm)
    except (EOFError, BrokenPipeError, ConnectionResetError, Interrupted):
        return 0  # the parent is gone, or wants an end
    except HarnessError as error:
        connection.send(Failed(str(error)))
        return 3
    except (OSError, MemoryError) as error:
        connection.send(Failed(f"a controller cannot work here: {describe(error)}"))
        return 3
    finally:
        children.end_all()
    return 0


def _serve(connection: ControllerEnd, warm: _WarmResources) -> None:
    while True:
        order = connection.receive()
        connection.send(Played(order.run_dir, _play(order, warm)))


def _play(order: Order, warm: _WarmResources) -> str:
    """Why there is no whole history; empty if there is one."""
    try:
        play(order, warm.resources(order.scenario.world.kind))
    except Interrupted:
        raise
    except HarnessError as error:
        return str(error)
    return ""


class _WarmResources:
    """Everything that is kept warm between plays."""

    def __init__(
        self, options: RunOptions, log_dir: Path, isolation: Isolation, children: Children, connection: ControllerEnd
    ) -> None:
        self._options = options
        self._isolation = isolation
        self._children = children
        self._connection = connection
        self._log_dir = log_dir
        self._direct = Direct()
        self._toxiproxy: Toxiproxy | None = None
        self._toxiproxy_at: tuple[str, ServerLauncher | None] = ("", None)
        self._worlds: dict[str, World] = {}
        self._doorbell_read, doorbell_write = doorbell_pipe()
        self._world_resources = WorldResources(
            children=children,
            interpreter=Path(options.python),
            isolation=isolation,
            doorbell_fd=doorbell_write,
            log_dir=log_dir,
            needs_torch=options.needs_torch,
            subject=options.subject,
        )

    def __enter__(self) -> _WarmResources:
        return self

    def __exit__(self, *_: object) -> None:
        if self._toxiproxy is not None:
            self._toxiproxy.close()
        for world in self._worlds.values():
            world.close()

    def describe(self, kind: str) -> Ready:
        """What the parent may want to say before anything is played, of a kind of world."""
        world = self._world(kind)
        return Ready(world.describe(), world.versions())

    def resources(self, kind: str) -> PlayResources:
        return PlayResources(
            world=self._world(kind),
            proxies=self._proxies_for,
            doorbell_fd=self._doorbell_read,
            free_port=self._free_port,
            interrupt_fd=self._connection.fileno(),
            interpreter=self._options.python,
        )

    def _world(self, kind: str) -> World:
        if kind not in self._worlds:
            self._worlds[kind] = WORLDS[kind](self._world_resources)
        return self._worlds[kind]

    def _proxies_for(self, scenario: Scenario) -> Proxies:
        world = self._world(scenario.world.kind)
        # A world that this machine cannot have says so when it is opened, before links are made.
        if scenario.world.route == "direct" or world.missing():
            return self._direct
        server = server_for(scenario, self._options.toxiproxy)
        return self._running(server, world.server_launcher(embedded=server == EMBEDDED))

    def _running(self, server: str, launcher: ServerLauncher | None) -> Toxiproxy:
        """The one server of this process, of that kind and where the world wants it.

        The client has one address per process, so another one ends first.
        """
        if self._toxiproxy is not None and self._toxiproxy_at != (server, launcher):
            self._toxiproxy.close()
            self._toxiproxy = None
        if self._toxiproxy is None:
            url = server if is_url(server) else None
            own = launcher or (LocalEngineLauncher(self._children) if server == EMBEDDED else None)
            self._toxiproxy = Toxiproxy.start(
                self._children, self._log_dir / "proxy.log", url=url, place=own, announce=leases.announce_proxies
            )
            self._toxiproxy_at = (server, launcher)
        return self._toxiproxy

    def _free_port(self) -> int:
        if self._isolation.kind == "private":
            return MASTER_PORT
        chance = random.Random(f"{os.getpid()}:{os.urandom(4).hex()}")
        for _ in range(100):
            port = chance.randrange(*HOST_PORTS)
            if _is_free(port):
                return port
        raise HarnessError("found no free port for the endpoint in 100 tries; what listens on this machine?")


def _is_free(port: int) -> bool:
    """Whether a master could bind it, on every address as torch does."""
    addresses = ("0.0.0.0", "::") if Path("/proc/net/if_inet6").exists() else ("0.0.0.0",)
    return all(port_is_bindable(address, port) for address in addresses)


if __name__ == "__main__":
    sys.exit(main())
