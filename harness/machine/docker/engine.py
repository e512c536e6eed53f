"""Finds the Docker engine for worlds of containers, and explains why there is none."""

from __future__ import annotations

import contextlib
import errno
import getpass
import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.values.errors import Unsupported

if TYPE_CHECKING:
    from docker import DockerClient

NEED = "engine"
"""The kind of need, as `--require` and RDZV_REQUIRE name it."""

ANSWERS_WITHIN_S = 3
"""Docker answers a ping in a few milliseconds; one that takes longer than this counts as absent."""

CALL_WITHIN_S = 60
"""The limit of one call; the slowest one observed, removing a throttled container, failed after 10 s."""

OLDEST_API = (1, 41)
"""Of Docker 20.10, the oldest version that the project was tested with."""

_DEFAULT_SOCKETS = ("/var/run/docker.sock", "{XDG_RUNTIME_DIR}/docker.sock")
_HOW_TO_GET_ONE = (
    "install one and start it (Debian: `apt-get install docker.io`), name one in DOCKER_HOST, "
    "or as root start a private one with `rdzv-harness docker start DIR`"
)


@dataclass(frozen=True)
class DockerEngine:
    """A Docker engine that answers.

    Attributes:
        url: `unix:///var/run/docker.sock`, in the form of DOCKER_HOST.
        version: of Docker: `20.10.24`.
        api: the version of its API: `1.41`.
        storage: its storage driver: `overlay2`.
        cgroup: the version of the control groups: 1 or 2.
        rootless: whether it runs as an ordinary user; then its containers' processes and networks cannot be reached.
    """

    url: str
    version: str
    api: str
    storage: str
    cgroup: int
    rootless: bool

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, so that its folders can be mounted."""
        return self.url.startswith("unix://")

    def __str__(self) -> str:
        how = ", rootless" if self.rootless else ""
        return f"{self.version}, API {self.api}, {self.storage}, cgroup v{self.cgroup}{how} ({self.url})"


def find(environment: Mapping[str, str] | None = None, within_s: int = ANSWERS_WITHIN_S) -> DockerEngine:
    """The Docker engine that DOCKER_HOST names, else the one behind a default socket (the system's, then this user's).

    Args:
        environment: with DOCKER_HOST and related variables, as the docker command reads them; default: this process's.
        within_s: the limit for each answer, in seconds.

    Raises Unsupported (need `engine`) with the reason, which ends with what to do.
    """
    with connect(environment, within_s) as client:
        return _described(client, _url(environment))


@contextlib.contextmanager
def connect(environment: Mapping[str, str] | None = None, timeout_s: int = CALL_WITHIN_S) -> Iterator[DockerClient]:
    """A client of that engine, which has answered, closed at the end; `timeout_s` limits each of its calls.

    Raises Unsupported like `find`.
    """
    url = _url(environment)
    client = _client(url, environment, min(timeout_s, ANSWERS_WITHIN_S))
    try:
        client.api.timeout = timeout_s
        yield client
    finally:
        client.close()


def _url(environment: Mapping[str, str] | None) -> str:
    environment = os.environ if environment is None else environment
    named = environment.get("DOCKER_HOST")
    if named:
        return named
    places = [place.format_map(_Blank(environment)) for place in _DEFAULT_SOCKETS]
    there = next((place for place in places if Path(place).exists()), None)
    if there is None:
        raise Unsupported(NEED, f"no Docker engine on this machine (there is no {places[0]}); {_HOW_TO_GET_ONE}")
    return f"unix://{there}"


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "/nonexistent"


def _client(url: str, environment: Mapping[str, str] | None, within_s: int) -> DockerClient:
    if importlib.util.find_spec("docker") is None:
        raise Unsupported(NEED, "the Python package `docker` is not installed; python -m pip install 'docker>=7.1'")
    if url.startswith("unix://"):
        _try_socket(url.removeprefix("unix://"), within_s)
    from docker import from_env  # type: ignore[attr-defined, unused-ignore]

    settings = {**(os.environ if environment is None else environment), "DOCKER_HOST": url}
    try:
        # Asks for the version, and thereby whether the engine lives.
        return from_env(version="auto", timeout=within_s, environment=settings)
    # The SDK lets errors of requests, urllib3 and the socket module through, besides its own.
    except Exception as error:
        raise Unsupported(NEED, f"Docker at {url} cannot be used ({_first_line(error)}); {_HOW_TO_MEND}") from error


_HOW_TO_MEND = "check that it runs (`docker version`), or name another one in DOCKER_HOST"


def _try_socket(path: str, within_s: int) -> None:
    """Open the socket here: the SDK's errors for a missing, a forbidden and a dead socket look alike."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(within_s)
        try:
            probe.connect(path)
        except OSError as error:
            raise Unsupported(NEED, _why_not(path, error)) from error


def _why_not(path: str, error: OSError) -> str:
    if isinstance(error, TimeoutError) or error.errno == errno.EAGAIN:
        return f"Docker behind {path} does not answer; {_HOW_TO_MEND}"
    if error.errno == errno.ENOENT:
        return f"there is no {path}, which DOCKER_HOST names; correct DOCKER_HOST or unset it"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{_who()} may not open {path}; add this user to the group that owns it and log in again, or run as root "
            "(a user who may open it can become root)"
        )
    if error.errno == errno.ECONNREFUSED:
        return f"nothing listens behind {path} any more; start Docker again, or name another one in DOCKER_HOST"
    return f"{path} cannot be opened ({error.strerror or error}); {_HOW_TO_MEND}"


def _who() -> str:
    # getuser() raises KeyError, and since Python 3.13 OSError, for a user without a name.
    with contextlib.suppress(KeyError, OSError):
        return f"user {getpass.getuser()}"
    return f"user {os.getuid()}"


def _described(client: DockerClient, url: str) -> DockerEngine:
    try:
        version: dict[str, Any] = client.version()
        info: dict[str, Any] = client.info()
    except Exception as error:
        reason = f"Docker at {url} does not answer ({_first_line(error)})"
        raise Unsupported(NEED, f"{reason}; {_HOW_TO_MEND}") from error
    api = str(version.get("ApiVersion", "0"))
    _check(url, str(info.get("OSType")), api)
    return DockerEngine(
        url=url,
        version=str(version.get("Version", "of unknown version")),
        api=api,
        storage=str(info.get("Driver", "unknown")),
        # Docker before 20.10 does not report it, and supported version 1 only.
        cgroup=int(info.get("CgroupVersion") or 1),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
    )


def _check(url: str, system: str, api: str) -> None:
    if system != "linux":
        raise Unsupported(NEED, f"Docker at {url} runs containers of {system}; name one of Linux in DOCKER_HOST")
    if tuple(int(part) for part in api.split(".")[:2]) < OLDEST_API:
        oldest = ".".join(map(str, OLDEST_API))
        raise Unsupported(NEED, f"Docker at {url} has API {api}, older than {oldest}; upgrade it (Docker >= 20.10)")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
