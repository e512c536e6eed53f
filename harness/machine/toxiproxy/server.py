"""Finds toxiproxy-server on this machine, starts one for the harness, verifies that it answers, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import urllib3

from harness import clock
from harness.machine.process import cache
from harness.machine.toxiproxy import token
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost, Unsupported, UsageError
from harness.values.refusals import advice_in, describe, is_of_machine

VERSION = "2.12.0"
"""The version that `rdzv-harness toxiproxy install` builds and the tests run with."""

VARIABLE = "RDZV_TOXIPROXY_SERVER"
HOW_TO_GET_IT = (
    "run `rdzv-harness toxiproxy install` (needs Go >= 1.23), or install toxiproxy with the system's package manager, "
    f"so that `toxiproxy-server` is on PATH, or set {VARIABLE} to the binary, or give a running server with "
    "--toxiproxy URL, or use the engine that comes with the harness: --toxiproxy embedded"
)

READY_WITHIN_NS = 10_000_000_000
"""The server answers 5 to 13 ms after its start; on a machine busy with other tests it may take far longer."""

END_GRACE_NS = 2_000_000_000
"""The server ends a millisecond after SIGTERM; one with a wedged handler is killed after this time."""

_LOOK_EVERY_NS = 2_000_000
_PORT_ATTEMPTS = 3
_LAUNCH_FAILED = b"Server finished with error"


class ChildProcesses(Protocol):
    """The owner of all child processes, which alone waits for them; `machine.process.children.Children` is one."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout_path: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> int:
        """Start a process that ends with this one and writes its output to a file; returns its pid."""

    def wait(self, pid: int, within_ns: int) -> int | None:
        """Wait so long for its end; None if it still runs."""

    def end(self, pid: int, grace_ns: int) -> int | None:
        """Send SIGTERM, then SIGKILL after the grace period; returns when it has ended."""


def cache_path() -> Path:
    """Where `rdzv-harness toxiproxy install` puts the server."""
    return cache.folder() / "rdzv-harness" / "toxiproxy" / VERSION / "toxiproxy-server"


def find_server() -> Path | None:
    """The toxiproxy-server that RDZV_TOXIPROXY_SERVER names, else the first on PATH or in the cache; None if none.

    It runs the binary to identify it, so not for a process with a `Children`, which would reap that run.
    Raises HarnessError if RDZV_TOXIPROXY_SERVER names something else.
    """
    named = os.environ.get(VARIABLE)
    if named and version_of(Path(named)) is None:
        raise HarnessError(f"{VARIABLE}={named} is not a toxiproxy-server; correct it or unset it")
    return next((candidate for candidate in candidates() if version_of(candidate) is not None), None)


def candidates() -> list[Path]:
    """The executables that `find_server` checks, in its order, without running them."""
    named = os.environ.get(VARIABLE)
    if named:
        return [Path(named)]
    on_path = shutil.which("toxiproxy-server")
    found = [Path(on_path)] if on_path else []
    with contextlib.suppress(UsageError):  # without a home there is no cache, and the embedded engine serves as well
        found.append(cache_path())
    return [path for path in found if os.access(path, os.X_OK)]


def require_server() -> Path:
    """The first candidate; raises Unsupported with the ways to get one.

    Its launch verifies that it is a toxiproxy-server: only that lists the sentinel.
    """
    found = candidates()
    if not found:
        raise Unsupported("proxy", f"there is no toxiproxy-server on this machine; {HOW_TO_GET_IT}")
    return found[0]


def origin(server: Path) -> str:
    """How the server was found, for reports."""
    if os.environ.get(VARIABLE) == str(server):
        return f"named by {VARIABLE}"
    return "found in the cache" if server == cache_path() else "found on PATH"


def version_of(binary: Path) -> str | None:
    """The version that the binary reports; `git` is an unreleased build. None if it is not a toxiproxy-server."""
    try:
        ran = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = ran.stdout.split()
    return words[2] if words[:2] == ["toxiproxy-server", "version"] and len(words) == 3 else None


@dataclass(frozen=True)
class RunningServer:
    """A server of the harness that is up.

    Attributes:
        api: the address of its API.
        sentinel: the random name of a proxy that only this server has; it listens nowhere.
        token: that requests to it must carry; empty for none.
    """

    pid: int
    api: Endpoint
    sentinel: str
    log_path: Path
    token: str = field(default="", repr=False)


class ServerLauncher(Protocol):
    """Launches and stops a proxy server of the harness.

    Attributes:
        origin: how the server was found, or where it runs, for reports.
    """

    @property
    def origin(self) -> str: ...

    def launch(self, log_path: Path) -> RunningServer:
        """Start a server that logs to that file; returns when its API shows that it is this one. Raises ProxyLost."""

    def stop(self, running: RunningServer) -> None:
        """End the server."""

    def inside(self) -> AbstractContextManager[None]:
        """A context in which this process sees the sockets of the server's network."""


@dataclass(frozen=True)
class LocalServerLauncher:
    """Launches toxiproxy-server as a child in this network namespace; implements `ServerLauncher`."""

    children: ChildProcesses
    server: Path

    @property
    def origin(self) -> str:
        return origin(self.server)

    def launch(self, log_path: Path) -> RunningServer:
        return launch(self.children, self.server, log_path)

    def stop(self, running: RunningServer) -> None:
        stop(self.children, running)

    def inside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


def launch(children: ChildProcesses, server: Path, log_path: Path, *, api_port: int | None = None) -> RunningServer:
    """Start the server in this network namespace and return when its API shows that it is this one.

    Args:
        log_path: the file for its output; an existing one is replaced.
        api_port: default: any free port, and another one if it is taken meanwhile.

    Raises ProxyLost, with the end of its log, if it does not come up.
    """
    ports = (api_port,) if api_port is not None else (None,) * _PORT_ATTEMPTS
    for attempt, port in enumerate(ports, 1):
        try:
            return _launch_on(children, server, log_path, port or _free_port())
        except _PortTaken as taken:
            if attempt == len(ports):
                raise ProxyLost(f"{taken}; end what listens there, or try again") from None
    raise AssertionError("unreachable")


def stop(children: ChildProcesses, running: RunningServer) -> None:
    """End the server: SIGTERM, and after two seconds SIGKILL."""
    children.end(running.pid, END_GRACE_NS)


class _PortTaken(Exception):
    pass


def _launch_on(children: ChildProcesses, server: Path, log_path: Path, port: int) -> RunningServer:
    log_path.unlink(missing_ok=True)
    sentinel = new_sentinel()
    with _config(sentinel) as config:
        # The server logs and ignores a config file that it cannot read; then the sentinel is missing.
        argv = [
            str(server),
            "-host",
            "127.0.0.1",
            "-port",
            str(port),
            "-config",
            f"/proc/self/fd/{config}",
            "-proxy-metrics",
        ]
        try:
            pid = children.spawn(
                argv, env={**os.environ, "LOG_LEVEL": "info"}, stdout_path=log_path, pass_fds=(config,)
            )
        except OSError as error:
            if is_of_machine(error):
                raise ProxyLost(f"{server} cannot be started: {describe(error)}") from error
            raise ProxyLost(f"{server} cannot be started: {error}; {HOW_TO_GET_IT}") from error
        running = RunningServer(pid, Endpoint("127.0.0.1", port), sentinel, log_path)
        try:
            await_ready(running, str(server), lambda within_ns: children.wait(running.pid, within_ns) is not None)
        except BaseException:
            stop(children, running)
            raise
    return running


@contextlib.contextmanager
def _config(sentinel: str) -> Iterator[int]:
    """A descriptor of a config in memory, so that nothing is left on disk however this process ends."""
    descriptor = os.memfd_create("sentinel")
    try:
        os.write(descriptor, config_of(sentinel).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def new_sentinel() -> str:
    """A name that no other server has."""
    return f"sentinel-{secrets.token_hex(8)}"


def config_of(sentinel: str) -> str:
    """The server's config, with the sentinel that identifies it."""
    return json.dumps([{"name": sentinel, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": False}])


def await_ready(running: RunningServer, server: str, ends: Callable[[int], bool]) -> None:
    """Return when the API lists the sentinel; raises ProxyLost, with the end of the server's log.

    Args:
        server: its name for messages.
        ends: waits at most so many nanoseconds, and returns whether the server has ended.
    """
    deadline_ns = clock.now_ns() + READY_WITHIN_NS
    api = urllib3.HTTPConnectionPool(
        running.api.host, running.api.port, retries=False, timeout=1.0, headers=token.header(running.token)
    )
    with contextlib.closing(api):
        while not _is_ours(api, running.sentinel):
            ended = ends(_LOOK_EVERY_NS)
            log = running.log_path.read_bytes() if running.log_path.exists() else b""
            if _LAUNCH_FAILED in log:
                raise _PortTaken(f"{server} cannot listen on {running.api}: {_last_error(log)}")
            if ended:
                said = _tail(log)
                advice = advice_in(said) or HOW_TO_GET_IT
                raise ProxyLost(f"{server} ended at its start; its log: {said}; {advice}")
            if clock.now_ns() > deadline_ns:
                raise ProxyLost(f"{server} did not answer on {running.api} within 10 s; its log: {_tail(log)}")


def _is_ours(api: urllib3.HTTPConnectionPool, sentinel: str) -> bool:
    """Whether the sentinel is listed: if the port was taken, another server answers, and this one has no socket."""
    try:
        answer = api.request("GET", "/proxies")
        return answer.status == 200 and sentinel in json.loads(answer.data)
    except (urllib3.exceptions.HTTPError, ValueError):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _last_error(log: bytes) -> str:
    for line in reversed(log.splitlines()):
        if _LAUNCH_FAILED in line:
            with contextlib.suppress(ValueError):
                return str(json.loads(line).get("error", "no reason given"))
    return "no reason given"


def _tail(log: bytes) -> str:
    return log.decode(errors="replace").strip()[-500:] or "nothing"
