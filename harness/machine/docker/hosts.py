"""Hosts of a world of containers: each is a container that only holds a network, a host name and a process tree.

    Docker's bridge 198.19.x.y/27, no route outside
      ├── px   the proxy server joins it
      ├── r0   ranks join it: they start and end, and the host stays, as a machine does
      └── r1   ...

A host ends by itself when its lease expires. All containers that joined it end too, because its process is the first of
their process tree.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import random
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from harness.machine.docker.client import Client, Overlap, Recipe
from harness.machine.docker.leases import Lease
from harness.machine.names.resolution import NamedHost
from harness.machine.network import netns
from harness.machine.network.rtnetlink import Netlink
from harness.values.errors import HarnessError, NothingToHit

PROXY = "px"
"""The host of the proxy server."""

MOST_RANKS = 16
"""Ranks that can have a host of their own; few machines with Docker can run more."""

# RFC 2544: reserved for network tests, so no LAN, VPN or Docker uses them; worlds of namespaces use the other half.
_EVERYTHING = ipaddress.IPv4Network("198.19.0.0/16")
_PREFIX_LENGTH = 27
_GATEWAY, _PROXY, _FIRST_RANK = 1, 2, 3
_FIRST_SPARE = _FIRST_RANK + MOST_RANKS
_TRIES = 50

_HOST_BYTES, _HOST_PIDS = 64 << 20, 4096
# Orphans become children of the tree's first process, which never waits: with CHLD ignored the kernel reaps them.
_STAY = "trap '' CHLD; exec sleep {}"
_AT_ONCE = 8

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_FLAGS = struct.Struct("16sh22x")


class DockerHost(NamedHost, Protocol):
    """A host of a world with the capability `engine`, as faults see it."""

    def disconnect(self) -> None:
        """Have Docker disconnect the host from its network: the interface is removed; raises HarnessError."""

    def connect(self) -> None:
        """Have Docker connect it again, under its old address; raises HarnessError."""

    def stop(self) -> None:
        """Cut its power: all its processes end at once, and nothing answers at its address; raises HarnessError."""

    def start(self) -> None:
        """Start it again, with nothing running on it; raises HarnessError."""

    @property
    def ranks(self) -> Sequence[int]:
        """The ranks whose processes run on it, in this play."""

    def container_of(self, rank: int) -> RankContainer:
        """The container of that rank's process; raises NothingToHit if it has none."""


class RankContainer(Protocol):
    """The container of one life of a rank."""

    def memory_bytes(self) -> int:
        """The memory that it uses now, including caches."""

    def limit_memory(self, limit_bytes: int) -> None: ...

    def memory_kills(self) -> AbstractContextManager[Callable[[], bool | None]]:
        """Yields a function: whether the kernel has since killed a process in it for lack of memory, None: unknown."""

    def fill_memory(self) -> None:
        """Start a process beside the rank that allocates memory until the kernel kills one, the rank first of all."""

    def limit_processor(self, quota_us: int, period_us: int) -> None:
        """Allow it so much processor time per period; no error if it has ended or is ending."""

    def unlimit_processor(self) -> None:
        """Restore the original limit; no error if it has ended or is ending."""

    def throttled_ns(self) -> int | None:
        """For how long the limit has kept its threads from running so far; None if it has ended."""


class ContainerHost:
    """One host; implements `harness.worlds.base.WorldHost` and `DockerHost`.

    Attributes:
        container: id of the container that holds it.
        etc: the folder of its name files in the current play.
        ranks: the ranks whose processes run on it in that play.
        containers: their containers, by rank.
    """

    def __init__(self, network: ContainerNetwork, name: str, address: str, container: str) -> None:
        self.name = name
        self.address = address
        self.container = container
        self.etc = Path("/etc")
        self.ranks: Sequence[int] = ()
        self.containers: dict[int, RankContainer] = {}
        self._network = network
        self._first_address = address
        self._is_plugged = self._is_connected = True
        self._namespace = -1
        self._pid = 0
        self._look_up()

    def inside(self) -> AbstractContextManager[None]:
        """Put the calling thread into the host's network for the block; no effect for an ordinary user, who may not."""
        return netns.inside(self._namespace) if self._namespace >= 0 else nullcontext()

    @property
    def device(self) -> str:
        """The name of its network interface: `eth0`; Docker increments the number when it connects the host again."""
        with self.inside():
            return next((name for _, name in socket.if_nameindex() if name != "lo"), "eth0")

    @property
    def is_as_new(self) -> bool:
        """Whether the next play would find it as this one did."""
        return self._pid != 0 and self._is_plugged and self._is_connected and self.address == self._first_address

    def container_of(self, rank: int) -> RankContainer:
        if rank not in self.containers:
            raise NothingToHit(f"no process of rank {rank} is alive")
        return self.containers[rank]

    # -- what faults do to it -------------------------------------------------------------------------------------

    def unplug(self) -> None:
        """Pull its cable at Docker's bridge: the interface loses its carrier and keeps its address."""
        _set_link(self._other_end(), up=False)
        self._is_plugged = False

    def plug(self) -> None:
        """Put the cable back."""
        _set_link(self._other_end(), up=True)
        self._is_plugged = True

    def move(self) -> str:
        """Replace its address by one that no host had before, and return it; Docker does not learn of it."""
        new = self._network.spare_address()
        try:
            with self.inside(), Netlink() as netlink:
                index = socket.if_nametoindex(self.device)
                # The old one first: the kernel makes a second address of one subnet depend on the first.
                netlink.delete_address(index, self.address, _PREFIX_LENGTH)
                netlink.add_address(index, new, _PREFIX_LENGTH)
        except OSError as error:
            raise HarnessError(f"cannot move {self.name} to {new}: {error.strerror}; be root") from error
        self.address = new
        return new

    def disconnect(self) -> None:
        self._network.client.disconnect(self._network.id, self.container)
        self._is_connected = False

    def connect(self) -> None:
        self._network.client.connect(self._network.id, self.container, self.address, self.name)
        self._is_connected = True

    def stop(self) -> None:
        self._network.client.kill(self.container)
        self._network.client.wait(self.container)
        self._pid = 0

    def start(self) -> None:
        self._network.client.start_again(self.container)
        self._look_up()

    def remove(self) -> None:
        """Remove it, and so end the containers that joined it; one that is gone is no error."""
        self._close_namespace()
        self._pid = 0
        self._network.client.remove(self.container)

    def _look_up(self) -> None:
        """Read the pid of its first process, and open its network namespace."""
        self._close_namespace()
        self._pid = self._network.client.state(self.container).pid
        if os.geteuid() == 0:
            self._namespace = netns.of_process(self._pid)

    def _close_namespace(self) -> None:
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1

    def _other_end(self) -> str:
        """The name of Docker's end of its cable."""
        with self.inside():
            index = socket.if_nametoindex(self.device)
        found = [end.parent.name for end in Path("/sys/class/net").glob("veth*/iflink") if _number(end) == index]
        if len(found) != 1:
            raise HarnessError(
                f"cannot find Docker's end of the cable of {self.name} ({found}); is Docker's network on this machine?"
            )
        return found[0]


class ContainerNetwork:
    """A Docker network whose hosts are made when they are first needed, and kept.

    Args:
        image: of the containers that hold hosts; must have `sh` and `sleep`.
        user: `uid:gid` of all processes.

    Raises HarnessError. Everything that it makes has the labels of the lease.
    """

    def __init__(self, client: Client, lease: Lease, image: str, user: str) -> None:
        self.client = client
        self.hosts: dict[str, ContainerHost] = {}
        self._lease = lease
        self._image = image
        self._user = user
        self._spares_given = 0
        self.id, self._subnet = self._make()

    def close(self) -> None:
        """Remove the hosts and the network; containers that joined a host end with it."""
        self._each(self.hosts.values(), ContainerHost.remove)
        self.hosts.clear()
        self.client.remove_network(self.id)

    def need(self, names: Sequence[str]) -> None:
        """Make these hosts unless they exist."""
        missing = [name for name in dict.fromkeys(names) if name not in self.hosts]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for host in threads.map(self._make_host, missing):
                self.hosts[host.name] = host

    def refresh(self) -> None:
        """Remove the hosts that are not as new, except the proxy server's."""
        worn = [host for host in self.hosts.values() if not host.is_as_new and host.name != PROXY]
        for host in worn:
            del self.hosts[host.name]
        self._each(worn, ContainerHost.remove)

    def address_of(self, name: str) -> str:
        """The first address of a host, of one of at most `MOST_RANKS` ranks."""
        number = 0 if name == PROXY else int(name[1:])
        return str(self._subnet[_PROXY if name == PROXY else _FIRST_RANK + number])

    def spare_address(self) -> str:
        """An address that no host has or had, until all spare ones were used."""
        count = self._subnet.num_addresses - 1 - _FIRST_SPARE
        self._spares_given += 1
        return str(self._subnet[_FIRST_SPARE + (self._spares_given - 1) % count])

    def _make(self) -> tuple[str, ipaddress.IPv4Network]:
        """Make the network on random addresses: other worlds on this machine draw from the same range."""
        chance = random.SystemRandom()
        for _ in range(_TRIES):
            number = chance.randrange(2 ** (_PREFIX_LENGTH - _EVERYTHING.prefixlen))
            first = int(_EVERYTHING.network_address) + number * 2 ** (32 - _PREFIX_LENGTH)
            subnet = ipaddress.IPv4Network((first, _PREFIX_LENGTH))
            if any(subnet.overlaps(other) for other in _routes()):
                continue
            try:
                name = f"rdzv-{self._lease.world}"
                return self.client.make_network(name, str(subnet), str(subnet[_GATEWAY]), self._lease.labels), subnet
            except Overlap:
                continue
        raise HarnessError(
            f"no free part of {_EVERYTHING} was found in {_TRIES} tries; remove routes to it (`ip route`)"
        )

    def _make_host(self, name: str) -> ContainerHost:
        address = self.address_of(name)
        recipe = Recipe(
            name=f"rdzv-{self._lease.world}-{name}",
            image=self._image,
            command=["sh", "-c", _STAY.format(self._lease.seconds_left)],
            user=self._user,
            labels=self._lease.labels,
            memory_bytes=_HOST_BYTES,
            pids=_HOST_PIDS,
            network=self.id,
            address=address,
            hostname=name,
        )
        return ContainerHost(self, name, address, self.client.start(recipe))

    def _each(self, hosts: Iterable[ContainerHost], act: Callable[[ContainerHost], None]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(act, hosts))


def _routes() -> list[ipaddress.IPv4Network]:
    """The destinations of this machine's routes, without the default route."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        first, mask = (socket.inet_ntoa(struct.pack("=L", int(fields[index], 16))) for index in (1, 7))
        if first != "0.0.0.0":
            found.append(ipaddress.IPv4Network(f"{first}/{mask}", strict=False))
    return found


def _set_link(name: str, up: bool) -> None:
    """Turn an interface of this machine on or off; raises HarnessError."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            _, flags = _FLAGS.unpack(fcntl.ioctl(any_socket, _SIOCGIFFLAGS, _FLAGS.pack(name.encode(), 0)))
            flags = flags | _IFF_UP if up else flags & ~_IFF_UP
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _FLAGS.pack(name.encode(), flags))
    except OSError as error:
        raise HarnessError(f"cannot turn {name} {'on' if up else 'off'}: {error.strerror}; be root") from error


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return -1
