"""The engine as a process: it binds the API's socket first, says when it is ready, and ends with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import uvicorn

from harness import __version__
from harness.engine import access, api, extensions, http, log, toxics
from harness.engine.engine import Engine
from harness.engine.journal import KEPT_EVENTS
from harness.engine.settings import ProxySettings
from harness.engine.wire.log import KEPT_MESSAGES

BACKLOG = 256
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
        proxies: from the start.
        codes: of the queries of the store; None for those of the newest known torch.
        kept_events: how many events the event log keeps.
        names: further hosts that requests may name.
        token: that every request must carry; empty for none.
        read_seconds: within which a request must arrive.
        kept_messages: how many messages the log of messages keeps.
    """

    host: str
    port: int
    seed: str
    parent_pid: int | None = None
    parent_descriptor: int | None = None
    proxies: Sequence[ProxySettings] = ()
    kept_events: int = KEPT_EVENTS
    codes: Mapping[int, str] | None = None
    names: frozenset[str] = frozenset()
    token: str = field(default="", repr=False)
    read_seconds: float = http.READ_SECONDS
    kept_messages: int = KEPT_MESSAGES

    @property
    def is_open_to_network(self) -> bool:
        """Whether everybody who reaches this machine may change the proxies."""
        return not self.token and not access.is_loopback(self.host)


def run(options: Options) -> int:
    """Serve until SIGTERM, SIGINT or the end of the parent; the exit status.

    Raises OSError if it cannot listen, ApiError if one of its proxies cannot.
    """
    toxics.load()
    with _bound(options) as listener:
        asyncio.run(_serve(options, listener))
    return 0


@contextlib.contextmanager
def _bound(options: Options) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family, backlog=BACKLOG) as listener:
        # The loop sets it only on sockets with an explicit protocol. Without it each answer waits 40 ms for the
        # acknowledgement of its own head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


class _Server(uvicorn.Server):
    """A server without uvicorn's signal handlers, which would raise the signal again instead of exiting with 0.

    Without descriptors, asyncio reports as many errors at a time as its backlog, which is therefore 1; the kernel's
    queue is set again.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(options: Options, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    log.set_up(loop)
    engine = Engine(loop, options.seed, options.kept_events, options.codes, options.kept_messages)
    allowed = access.Access(options.host, options.names, options.token)
    server = _Server(
        uvicorn.Config(
            api.Api(engine, api.VERSION, extensions.routes(engine), allowed),
            http=http.protocol(options.read_seconds),
            backlog=1,
            h11_max_incomplete_event_size=http.MOST_HEAD_BYTES,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=http.IDLE_SECONDS,
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
            await engine.populate(options.proxies, [])
        _say_ready(listener, options)
        await server.serve(sockets=[listener])
    engine.close()


def _say_ready(listener: socket.socket, options: Options) -> None:
    """Print one line of JSON; the API's port is bound, so the reader may connect."""
    host, port = listener.getsockname()[:2]
    ready = {"ready": True, "host": host, "port": port, "pid": os.getpid(), "seed": options.seed}
    ready |= {"version": __version__, "token": bool(options.token), "open_to_network": options.is_open_to_network}
    print(json.dumps(ready), flush=True)
    if options.is_open_to_network:
        log.warn(
            f"the API on {options.host} is open to everybody who reaches this machine, and can forward connections "
            "anywhere; give it a token (--token-file), or leave --host out"
        )


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
