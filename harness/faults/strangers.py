"""Connect to the master's port without being a rank, as port scanners, health checks and browsers do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.values.attribute import Attribute, Declaration
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError

# On loopback a connect succeeds or is refused at once, unless the full queue of the listener drops it.
CONNECT_SECONDS = 0.05
RETRY_SECONDS = 0.01
FIRST_ROUND_SECONDS = 5.0


@FAULTS.register("strangers")
class Strangers(FaultMember):
    """Connections to the real endpoint, kept open until healing."""

    declaration = Declaration(
        kind="strangers",
        summary="Connects to the real endpoint, sends some bytes or none, and stays connected until healing.",
        attributes=(
            Attribute("connections", "int", "how many connections", default=1, minimum=1, maximum=10_000),
            Attribute(
                "send", "text", "what each connection sends once, in UTF-8", default=None, default_text="nothing"
            ),
        ),
        example='{inject: strangers, connections: 50, send: "GET / HTTP/1.0\\r\\n\\r\\n", after: join}',
        details=(
            "It connects to the endpoint directly, past all links. While nobody listens it tries again until healing, "
            "so it may be injected before rank 0 starts. A connection that the master drops is not made again. If no "
            "connection was made, the cell is vacuous."
        ),
    )
    layer = "port"

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        crowd = _Crowd(
            context.endpoint,
            self.fault.attributes["connections"],
            (self.fault.attributes["send"] or "").encode(),
        )
        with contextlib.ExitStack() as stack:
            with context.master_host.inside():  # a thread stays in the network that it is started in
                stack.enter_context(crowd)
            yield crowd.evidence


class _Crowd:
    """The connections, made one after another in a thread, so that the controller never waits for one."""

    def __init__(self, endpoint: Endpoint, wanted: int, send: bytes) -> None:
        self._endpoint = endpoint
        self._wanted = wanted
        self._send = send
        self._open: list[socket.socket] = []
        self._sent_bytes = 0
        self._reached = 0
        self._leave = threading.Event()
        self._first_round = threading.Event()
        self._thread = threading.Thread(target=self._gather, name="strangers", daemon=True)

    def __enter__(self) -> _Crowd:
        """Start; if somebody listens, all connections that it accepts at once are made when this returns."""
        self._thread.start()
        if not self._first_round.wait(FIRST_ROUND_SECONDS):
            self.__exit__()
            raise HarnessError(f"the first connection to {self._endpoint} was neither made nor refused in time")
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()
        for connection in self._open:
            connection.close()

    def evidence(self) -> Evidence:
        made = list(self._open)
        facts = {
            "connected": len(made),
            "wanted": self._wanted,
            "dropped_by_master": sum(_is_dropped(connection) for connection in made),
            "sent_bytes": self._sent_bytes,
        }
        return Evidence(self._reached > 0, facts)

    def _gather(self) -> None:
        while len(self._open) < self._wanted and not self._leave.is_set():
            if self._connect_one():
                continue
            self._first_round.set()
            self._leave.wait(RETRY_SECONDS)
        self._first_round.set()

    def _connect_one(self) -> bool:
        try:
            connection = socket.create_connection(self._endpoint.connectable, timeout=CONNECT_SECONDS)
        except OSError:
            return False
        if _is_self_connected(connection):
            connection.close()
            return False
        with contextlib.suppress(OSError):  # already dropped; the evidence counts it
            self._reached += connection.getpeername()[1] == self._endpoint.port
            connection.sendall(self._send)
            self._sent_bytes += len(self._send)
        connection.setblocking(False)
        self._open.append(connection)
        return True


def _is_self_connected(connection: socket.socket) -> bool:
    """Whether the kernel connected the socket to itself, as it may on an ephemeral port without a listener."""
    try:
        return bool(connection.getsockname() == connection.getpeername())
    except OSError:
        return False


def _is_dropped(connection: socket.socket) -> bool:
    """Whether the peer has closed; its bytes are left unread."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
