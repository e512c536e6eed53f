"""The engine as a process: it binds the API's socket first, says when it is ready, and ends with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import uvicorn

from harness import __version__
from harness.engine import api, extensions, toxics
from harness.engine.engine import Engine
from harness.engine.journal import KEPT_EVENTS

KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 1
"""How long an answer under way may take after the signal to end."""


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        port: of the API; 0 is any free one.
        seed: of all random draws.
        parent_pid: end when this process does; None to run on.
        parent_descriptor: end when its other end is closed.
        proxies: proxies from the start, as the JSON of /populate.
        codes: of the queries of the store; None for those of the newest known torch.
        kept_events: how many events the log keeps.
    """

    host: str
    port: int
    seed: str
    parent_pid: int | None = None
    parent_descriptor: int | None = None
    proxies: str = ""
    kept_events: int = KEPT_EVENTS
    codes: Mapping[int, str] | None = None


def run(options: Options) -> int:
    """Serve until SIGTERM, SIGINT or the end of the parent; the exit status."""
    toxics.load()
    with _bound(options) as listener:
        asyncio.run(_serve(options, listener))
    return 0


@contextlib.contextmanager
def _bound(options: Options) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family, backlog=256) as listener:
        # The loop sets it only on sockets with an explicit protocol. Without it each answer waits 40 ms for the
        # acknowledgement of its own head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


class _Server(uvicorn.Server):
    """A server without uvicorn's signal handlers, which would raise the signal again instead of exiting with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(options: Options, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    engine = Engine(loop, options.seed, options.kept_events, options.codes)
    server = _Server(
        uvicorn.Config(
            api.Api(engine, api.VERSION, extensions.routes(engine)),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )

    def end() -> None:
        server.should_exit = True
        engine.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    with _parent_watched(options, loop, end):
        if options.proxies:
            await engine.populate(api.listed(json.loads(options.proxies)), [])
        _say_ready(listener, options.seed)
        await server.serve(sockets=[listener])
    engine.close()


def _say_ready(listener: socket.socket, seed: str) -> None:
    """Print one line of JSON; the API's port is bound, so the reader may connect."""
    host, port = listener.getsockname()[:2]
    ready = {"ready": True, "host": host, "port": port, "pid": os.getpid(), "seed": seed, "version": __version__}
    print(json.dumps(ready), flush=True)


@contextlib.contextmanager
def _parent_watched(options: Options, loop: asyncio.AbstractEventLoop, end: object) -> Iterator[None]:
    """Call `end` when the parent is gone, by a notification of the kernel."""
    assert callable(end)
    watched: list[int] = []
    if options.parent_pid is not None:
        try:
            pidfd = os.pidfd_open(options.parent_pid)
        except ProcessLookupError:
            raise SystemExit(
                f"there is no process {options.parent_pid} to end with; give the pid of a running process"
            ) from None
        watched.append(pidfd)
        loop.add_reader(pidfd, end)
    if options.parent_descriptor is not None:
        loop.add_reader(options.parent_descriptor, _end_at_eof, options.parent_descriptor, end)
    try:
        yield
    finally:
        for descriptor in watched:
            loop.remove_reader(descriptor)
            os.close(descriptor)


def _end_at_eof(descriptor: int, end: object) -> None:
    assert callable(end)
    if select.select([descriptor], [], [], 0)[0] and not os.read(descriptor, 4096):
        end()
