"""A toxiproxy-server of our own: found on this machine, started as a child, known to be ours, ended."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import urllib3

from harness import clock
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost, Unsupported

VERSION = "2.12.0"
"""The version that `rdzv-harness toxiproxy install` builds and the tests run with."""

VARIABLE = "RDZV_TOXIPROXY_SERVER"
HOW_TO_GET_IT = (
    "run `rdzv-harness toxiproxy install` (needs Go >= 1.23), or install toxiproxy with the system's package manager, "
    f"so that `toxiproxy-server` is on PATH, or set {VARIABLE} to the binary, or give a running server with "
    "--toxiproxy URL, or take the engine that comes with the harness: --toxiproxy embedded"
)

READY_WITHIN_NS = 10_000_000_000
"""The server answers 5 to 13 ms after its start; a machine busy with other tests may take far longer."""

END_GRACE_NS = 2_000_000_000
"""The server ends a millisecond after SIGTERM, unless a handler is wedged: then it is killed."""

_LOOK_EVERY_NS = 2_000_000
_PORT_ATTEMPTS = 3
_LAUNCH_FAILED = b"Server finished with error"


class ChildProcesses(Protocol):
    """The one owner of all child processes; nobody else may wait for them."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout_path: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> int:
        """Start a process that ends with us, and whose output goes to a file; its pid."""

    def wait(self, pid: int, within_ns: int) -> int | None:
        """Wait so long for its end; None if it still runs."""

    def end(self, pid: int, grace_ns: int) -> int | None:
        """SIGTERM, then SIGKILL after the grace; returns when it is gone."""


def cache_path() -> Path:
    """Where `rdzv-harness toxiproxy install` puts the server."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rdzv-harness" / "toxiproxy" / VERSION / "toxiproxy-server"


def find_server() -> Path | None:
    """The first toxiproxy-server of: the environment's RDZV_TOXIPROXY_SERVER, PATH, the cache; None if there is none.

    Runs the binary to identify it: not for a process whose children somebody else waits for.
    Raises HarnessError if RDZV_TOXIPROXY_SERVER names something that is no toxiproxy-server.
    """
    named = os.environ.get(VARIABLE)
    if named and version_of(Path(named)) is None:
        raise HarnessError(f"{VARIABLE}={named} is not a toxiproxy-server; correct it or unset it")
    return next((candidate for candidate in candidates() if version_of(candidate) is not None), None)


def candidates() -> list[Path]:
    """The executables that `find_server` would look at, in its order, none of them run."""
    named = os.environ.get(VARIABLE)
    if named:
        return [Path(named)]
    on_path = shutil.which("toxiproxy-server")
    return [path for path in ([Path(on_path)] if on_path else []) + [cache_path()] if os.access(path, os.X_OK)]


def require_server() -> Path:
    """The first candidate; raises Unsupported with the ways to get one.

    What it is, is proved when it is launched: only a toxiproxy-server shows our sentinel.
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
    """What the binary says to `-version`; `git` is an unreleased build of any version, None no toxiproxy-server."""
    try:
        ran = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = ran.stdout.split()
    return words[2] if words[:2] == ["toxiproxy-server", "version"] and len(words) == 3 else None


@dataclass(frozen=True)
class RunningServer:
    """A server that is up and is ours.

    Attributes:
        sentinel: the random name of a proxy that only our server has; it listens nowhere.
    """

    pid: int
    api: Endpoint
    sentinel: str
    log_path: Path


class ServerLauncher(Protocol):
    """Where a server of our own runs.

    Attributes:
        origin: how the server was found, or where it runs, for reports.
    """

    @property
    def origin(self) -> str: ...

    def launch(self, log_path: Path) -> RunningServer:
        """Start it, its output in that file, and return when its API answers as ours; raises ProxyLost."""

    def stop(self, running: RunningServer) -> None:
        """End it."""

    def inside(self) -> AbstractContextManager[None]:
        """Meanwhile this process sees the sockets of the server's network."""


@dataclass(frozen=True)
class LocalServerLauncher:
    """In this network namespace, as a child; implements `ServerLauncher`."""

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
    """Start the server in this network namespace and return when its API answers as ours.

    Args:
        log_path: what the server prints; a file that is there already is replaced.
        api_port: default any free one. If somebody takes it first, another is tried.

    Raises ProxyLost if it does not come up; the text ends with what the server said.
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
    """End the server: SIGTERM, two seconds, SIGKILL."""
    children.end(running.pid, END_GRACE_NS)


class _PortTaken(Exception):
    pass


def _launch_on(children: ChildProcesses, server: Path, log_path: Path, port: int) -> RunningServer:
    log_path.unlink(missing_ok=True)
    sentinel = new_sentinel()
    with _config(sentinel) as config:
        # A config file that cannot be read is logged and ignored; then the sentinel is missing, and we notice.
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
            pid = children.spawn(argv, env={"LOG_LEVEL": "info"}, stdout_path=log_path, pass_fds=(config,))
        except OSError as error:
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
    """A descriptor of a config in memory, so that nothing is left on disk however we end."""
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
    """The server's config, by which it is known to be ours."""
    return json.dumps([{"name": sentinel, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": False}])


def await_ready(running: RunningServer, server: str, ends: Callable[[int], bool]) -> None:
    """Return when the API answers as ours; raises ProxyLost with what the server said.

    Args:
        server: what it is called in messages.
        ends: waits so many nanoseconds at most, and tells whether the server has ended.
    """
    deadline_ns = clock.now_ns() + READY_WITHIN_NS
    api = urllib3.HTTPConnectionPool(running.api.host, running.api.port, retries=False, timeout=1.0)
    with contextlib.closing(api):
        while not _is_ours(api, running.sentinel):
            ended = ends(_LOOK_EVERY_NS)
            log = running.log_path.read_bytes() if running.log_path.exists() else b""
            if _LAUNCH_FAILED in log:
                raise _PortTaken(f"{server} cannot listen on {running.api}: {_last_error(log)}")
            if ended:
                raise ProxyLost(f"{server} ended at its start; it said: {_tail(log)}; {HOW_TO_GET_IT}")
            if clock.now_ns() > deadline_ns:
                raise ProxyLost(f"{server} did not answer on {running.api} within 10 s; it said: {_tail(log)}")


def _is_ours(api: urllib3.HTTPConnectionPool, sentinel: str) -> bool:
    """Whether our sentinel is there: if the port was taken, another server answers while ours lives on, mute."""
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
