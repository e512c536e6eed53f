"""Leases: what would outlive a killed harness (containers, networks) is recorded first, so that others can remove it.

    harness ──lease file──▶ Docker: containers and networks with the labels of the lease
       │ pipe: paths of its leases                 ▲
       ▼                                           │ removes them when their owner has ended
    reaper, a process of its own session ──────────┘     (a sweep at the start of the next run does the same)

Nothing is found by its name, and nothing without the labels is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import clock
from harness.machine.docker.client import Client
from harness.machine.process import cache
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError

PREFIX = "rdzv-harness"
WORLD, OWNER, EXPIRES = f"{PREFIX}.world", f"{PREFIX}.owner", f"{PREFIX}.expires"
"""Labels: the world, its owner (an `Owner` as JSON), and when it expires (seconds since the epoch)."""

LIFETIME_S = 24 * 3600
"""Nothing of a world lives longer, whatever its owner does; its containers end by themselves then."""

REAPER_FD = "RDZV_REAPER_FD"
"""The variable with the descriptor of the reaper's pipe, in processes that inherited one."""

REAPER_ENDS_WITHIN_S = 5.0
"""It ends milliseconds after its pipe closes, unless another process holds the pipe, or something is left to remove."""

_CLEAN_LOOKS, _LOOK_AGAIN_NS = 2, 100_000_000
_AT_ONCE = 8


@dataclass(frozen=True)
class Owner:
    """A process, identified for all time.

    Attributes:
        start: when it started, in clock ticks since boot.
        boot: the machine's boot id.
        tree: the process tree in which `pid` is valid, as the kernel names it.
    """

    pid: int
    start: int
    boot: str
    tree: str

    @classmethod
    def of(cls, pid: int) -> Owner:
        """The process of this tree with that pid; raises ProcessLookupError if there is none."""
        return cls(pid, _start_of(pid), _boot_id(), _tree())

    def lives(self) -> bool | None:
        """Whether it lives; None if it cannot be seen from here, for example in another container."""
        if self.boot != _boot_id():
            return False
        if self.tree != _tree():
            return None
        try:
            return _start_of(self.pid) == self.start
        except ProcessLookupError:
            return False

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Owner:
        """The owner that `to_json` wrote; raises ValueError for any other text."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(text) from error


@dataclass(frozen=True)
class Lease:
    """The record of a world's containers and networks in Docker.

    Attributes:
        world: a random name, the value of the label `WORLD`.
        url: of the Docker engine.
        expires: seconds since the epoch.
    """

    world: str
    url: str
    owner: Owner
    expires: int

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of everything that belongs to it."""
        return {WORLD: self.world, OWNER: self.owner.to_json(), EXPIRES: str(self.expires)}

    @property
    def path(self) -> Path:
        """The file that records it."""
        return folder() / f"{self.world}.json"

    @property
    def seconds_left(self) -> int:
        """Seconds until it expires; at least one."""
        return max(1, self.expires - int(clock.wall_time()))

    @property
    def is_over(self) -> bool:
        """Whether its world can be removed: the owner has ended, or it has expired."""
        lives = self.owner.lives()
        return lives is False or self.expires < clock.wall_time()


def folder() -> Path:
    """The folder of this user's leases."""
    return cache.folder() / PREFIX / "leases"


def take(url: str, lifetime_s: int = LIFETIME_S) -> Lease:
    """Record a lease of this process, and announce it to the reaper, which is started if none runs; about 1 ms."""
    expires = int(clock.wall_time()) + lifetime_s
    lease = Lease(uuid.uuid4().hex[:12], url, Owner.of(os.getpid()), expires)
    lease.path.parent.mkdir(parents=True, exist_ok=True)
    partial = lease.path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(lease)))
    partial.rename(lease.path)
    _announce(str(lease.path))
    return lease


def announce_proxies(server: Endpoint, prefix: str) -> None:
    """Have the reaper remove this process's proxies from a server that is not the harness's own, when it has ended.

    Args:
        prefix: of a `harness.machine.toxiproxy.owners.Owner`.
    """
    _announce(json.dumps({"server": str(server), "prefix": prefix, "pid": os.getpid()}))


def release(lease: Lease) -> None:
    """Delete the record, when nothing of the world is left."""
    lease.path.unlink(missing_ok=True)


def read(path: Path) -> Lease | None:
    """A recorded lease; None if it was released or is malformed."""
    try:
        record = json.loads(path.read_text())
        return Lease(record["world"], record["url"], Owner(**record["owner"]), record["expires"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def all_leases() -> Iterator[Lease]:
    """All leases of this user, of any owner."""
    for path in sorted(folder().glob("*.json")) if folder().is_dir() else ():
        lease = read(path)
        if lease is not None:
            yield lease


# -- removing ------------------------------------------------------------------------------------------------------


def remove_world(client: Client, world: str) -> None:
    """Remove all containers of a world, after unpausing and unthrottling them, and then its networks.

    Looks again until two looks found nothing: what was being made when its maker was killed appears late.
    Raises HarnessError.
    """
    label, clean = f"{WORLD}={world}", 0
    while clean < _CLEAN_LOOKS:
        containers, networks = client.containers(label), client.networks(label)
        _remove_containers(client, list(containers))
        for network in networks:
            client.remove_network(network)
        clean = clean + 1 if not containers and not networks else 0
        if clean < _CLEAN_LOOKS:
            clock.sleep_ns(_LOOK_AGAIN_NS)


def sweep(client: Client) -> list[str]:
    """Remove every world in this Docker engine whose owner has ended or whose lease has expired; returns their names.

    Leases of Docker engines that no longer exist are released too. A world that cannot be removed, because a reaper or
    another run is removing it, is left to the next sweep. Raises HarnessError if Docker does not answer.
    """
    found = {**client.containers(WORLD), **client.networks(WORLD)}
    over = sorted({labels[WORLD] for labels in found.values() if _is_over(labels)})
    for world in over:
        with contextlib.suppress(HarnessError):
            remove_world(client, world)
    for lease in all_leases():
        if _is_over_here(lease) and (lease.url == client.url or _is_gone(lease.url)):
            release(lease)
    return over


def _is_over_here(lease: Lease) -> bool:
    """Whether the record may be deleted: not before it expires if it is of another boot, which may be another machine.

    Machines that share a home folder have Docker engines of one URL.
    """
    return lease.is_over and (lease.owner.boot == _boot_id() or lease.expires < clock.wall_time())


def _is_gone(url: str) -> bool:
    """Whether the socket of a Docker engine is gone, as after the stop of a private one: then nothing can be left."""
    scheme, _, path = url.partition("://")
    return scheme == "unix" and not Path(path).exists()


def _is_over(labels: Mapping[str, str]) -> bool:
    try:
        owner, expires = Owner.from_json(labels[OWNER]), int(labels[EXPIRES])
    except (LookupError, ValueError):
        return False  # a label of this name that the harness did not write is left alone
    return Lease(labels[WORLD], "", owner, expires).is_over


def _remove_containers(client: Client, containers: list[str]) -> None:
    def remove(container: str) -> None:
        client.unpause(container)
        client.remove(container, throttled=True)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(remove, containers))


# -- the reaper ----------------------------------------------------------------------------------------------------


def reaper_fd() -> int:
    """The write end of the pipe to this process's reaper, which is started if none runs.

    Another process that the reaper is to watch inherits it, and finds its number in the variable `REAPER_FD`.
    """
    if not _REAPERS:
        _REAPERS.append(_Reaper())
    return _REAPERS[0].fd


def end_reaper(within_s: float = REAPER_ENDS_WITHIN_S) -> None:
    """Close the pipe to this process's reaper: it ends when no other process holds the pipe and nothing is left.

    Waits at most so many seconds for that; the reaper goes on without this process.
    """
    while _REAPERS:
        _REAPERS.pop().close(within_s)


class _Reaper:
    """A process that outlives this one and removes what it left; see `harness.machine.docker.reaper`."""

    def __init__(self) -> None:
        reader, self.fd = os.pipe()
        root = str(Path(__file__).resolve().parents[3])
        paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        with open(reader, "rb") as pipe:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.machine.docker.reaper"],
                stdin=pipe,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Neither Ctrl-C nor a signal to the whole session may end it before this process.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))},
                cwd="/",
            )
        # With a return code set, Popen never waits: a controller's `Children` collects the statuses of all children.
        process.returncode = 0
        self._pidfd = os.pidfd_open(process.pid)

    def close(self, within_s: float) -> None:
        os.close(self.fd)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(within_s * 1000)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)


_REAPERS: list[_Reaper] = []


def _announce(line: str) -> None:
    inherited = os.environ.get(REAPER_FD)
    fd = int(inherited) if inherited and not _REAPERS else reaper_fd()
    os.set_inheritable(fd, False)
    try:
        os.write(fd, f"{line}\n".encode())
    except OSError as error:
        raise HarnessError(f"the reaper has ended ({error.strerror}); run it again") from error


# -- processes -----------------------------------------------------------------------------------------------------


def _start_of(pid: int) -> int:
    """When a process started, in clock ticks since boot; raises ProcessLookupError if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise ProcessLookupError(pid) from error
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _tree() -> str:
    return os.readlink("/proc/self/ns/pid")
