"""The two servers under one set of claims, and what the claims look at: an HTTP client and bare sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.machine.toxiproxy import server as proxy_server
from harness.values.endpoint import Endpoint

LIMIT_SECONDS = 20.0
"""Nothing here takes a second; a busy machine may."""
QUIET_SECONDS = 0.3
"""How long nothing must come for `nothing`."""
EARLY_MS = 3
"""How much too early the kernel's clocks may make a delay look."""


@dataclass(frozen=True)
class Answer:
    """One answer of the API."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass
class Backend:
    """A running server.

    Attributes:
        name: `real` or `embedded`.
    """

    name: str
    api: Endpoint
    pid: int
    made: list[str] = field(default_factory=list)

    @property
    def is_real(self) -> bool:
        return self.name == "real"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        agent: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, on a connection of its own; `raw` is sent as it is."""
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.api.host, self.api.port, timeout=LIMIT_SECONDS)
        with contextlib.closing(connection):
            sent = {} if agent is None else {"User-Agent": agent}
            connection.request(method, path, content, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})

    def make(self, upstream: object, name: str = "", **more: Any) -> Proxy:
        """A proxy on a free port."""
        name = name or f"p{len(self.made)}"
        answer = self.ask(
            "POST", "/proxies", {"name": name, "upstream": str(upstream), "listen": "127.0.0.1:0", **more}
        )
        assert answer.status == 201, answer.body
        self.made.append(name)
        return Proxy(self, name, answer.json["listen"])

    def clean(self) -> None:
        """Delete every proxy."""
        for name in self.ask("GET", "/proxies").json:
            self.ask("DELETE", f"/proxies/{quote(name, safe='')}")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@dataclass
class Proxy:
    """A proxy of a backend, seen through the API."""

    backend: Backend
    name: str
    listen: str

    @property
    def path(self) -> str:
        return f"/proxies/{self.name}"

    @property
    def address(self) -> tuple[str, int]:
        return Endpoint.parse(self.listen).connectable

    def get(self) -> Any:
        return self.backend.ask("GET", self.path).json

    def update(self, **fields: Any) -> Answer:
        answer = self.backend.ask("POST", self.path, fields)
        if answer.status == 200:
            self.listen = answer.json["listen"]
        return answer

    def toxic(
        self, kind: str, stream: str = "downstream", name: str = "", toxicity: float = 1.0, **attributes: Any
    ) -> str:
        """Add a toxic; its name."""
        body = {"type": kind, "stream": stream, "name": name, "toxicity": toxicity, "attributes": attributes}
        answer = self.backend.ask("POST", f"{self.path}/toxics", body)
        assert answer.status == 200, answer.body
        return str(answer.json["name"])

    def change(self, toxic: str, toxicity: float | None = None, **attributes: Any) -> None:
        body: dict[str, Any] = {"attributes": attributes}
        if toxicity is not None:
            body["toxicity"] = toxicity
        answer = self.backend.ask("POST", f"{self.path}/toxics/{toxic}", body)
        assert answer.status == 200, answer.body

    def remove(self, toxic: str) -> None:
        assert self.backend.ask("DELETE", f"{self.path}/toxics/{toxic}").status == 204

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.address, timeout=LIMIT_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client


class Upstream:
    """A server whose every move the test makes."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.settimeout(LIMIT_SECONDS)

    def __str__(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> socket.socket:
        sock, _ = self.listener.accept()
        sock.settimeout(LIMIT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def close(self) -> None:
        self.listener.close()


# -- what a peer sees --------------------------------------------------------------------------------------------------


def now_ms() -> float:
    return time.monotonic() * 1000


def read(sock: socket.socket, count: int) -> bytes:
    """Exactly so many bytes; fewer if it ends."""
    data = b""
    while len(data) < count and (part := sock.recv(min(1 << 20, count - len(data)))):
        data += part
    return data


def ending(sock: socket.socket, within: float = LIMIT_SECONDS) -> tuple[bytes, str]:
    """Everything that still comes, and how it ends: `eof` or `rst`."""
    sock.settimeout(within)
    data = b""
    try:
        while part := sock.recv(1 << 20):
            data += part
    except (ConnectionResetError, BrokenPipeError):
        return data, "rst"
    return data, "eof"


def nothing(sock: socket.socket, seconds: float = QUIET_SECONDS) -> bool:
    """Whether neither a byte nor an end comes for a while."""
    return not select.select([sock], [], [], seconds)[0]


def is_open(client: socket.socket, server: socket.socket) -> bool:
    """Whether a byte passes both ways."""
    client.sendall(b"?")
    there = read(server, 1) == b"?"
    server.sendall(b"!")
    return there and read(client, 1) == b"!"


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def late(began_ms: float, expected_ms: float, at_most_ms: float | None = None) -> bool:
    """Whether now is not before it is due; `at_most_ms` only where another meaning would take longer."""
    took = now_ms() - began_ms
    return took >= expected_ms - EARLY_MS and (at_most_ms is None or took < at_most_ms)


# -- starting them -----------------------------------------------------------------------------------------------------


class Processes:
    """Children of a test process that waits for others too; implements what `proxy_server.launch` asks for."""

    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout_path: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> int:
        with open(stdout_path or os.devnull, "ab") as output:
            process = subprocess.Popen(
                argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=pass_fds
            )
        self._running[process.pid] = process
        return process.pid

    def wait(self, pid: int, within_ns: int) -> int | None:
        try:
            return self._running[pid].wait(within_ns / 1e9)
        except subprocess.TimeoutExpired:
            return None

    def end(self, pid: int, grace_ns: int) -> int | None:
        self._running[pid].send_signal(signal.SIGTERM)
        if self.wait(pid, grace_ns) is None:
            self._running[pid].kill()
            self._running[pid].wait()
        return self._running[pid].returncode


@contextlib.contextmanager
def started(name: str, folder: Path, *options: str, api_port: int | None = None) -> Iterator[Backend]:
    """A server of that name, ended at last; raises Unsupported where there is none."""
    processes = Processes()
    if name == "real":
        server = _with_options(proxy_server.require_server(), folder, options)
        running = proxy_server.launch(processes, server, folder / "real.log", api_port=api_port)
        backend = Backend(name, running.api, running.pid)
        backend.clean()
    else:
        backend = _started_embedded(processes, folder / "embedded.log", options, api_port or 0)
    try:
        yield backend
    finally:
        processes.end(backend.pid, 5_000_000_000)


def _with_options(server: Path, folder: Path, options: Sequence[str]) -> Path:
    """A program that starts the server with these before its other options."""
    if not options:
        return server
    wrapper = folder / "toxiproxy-server"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(server))} {shlex.join(options)} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def _started_embedded(processes: Processes, log: Path, options: Sequence[str], port: int) -> Backend:
    argv = [sys.executable, "-m", "harness.engine", "--port", str(port), "--parent-pid", str(os.getpid())]
    pid = processes.spawn([*argv, *options], env=os.environ, stdout_path=log)
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (said := log.read_text()).endswith("\n"):
        assert processes.wait(pid, 10_000_000) is None, said
        assert time.monotonic() < deadline, said
    assert said.startswith("{"), said
    return Backend("embedded", Endpoint("127.0.0.1", json.loads(said.splitlines()[0])["port"]), pid)
