"""Hosts of a world of containers: each a container that does nothing but hold a network, a name and a process tree.

    engine's bridge 198.19.x.y/27, no way out
      ├── px   the proxy server joins it
      ├── r0   ranks join it: they come and go, and the host stays, as a machine does
      └── r1   ...

A host ends by itself when its lease is over, and all who joined with it, because it is the first process of their tree.
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
from harness.machine.network import netns
from harness.machine.network.rtnetlink import Netlink
from harness.values.errors import HarnessError, NothingToHit, Unsupported

PROXY = "px"
"""The host of the proxy server."""

MOST_RANKS = 16
"""Ranks that have a host of their own; a machine with an engine is rarely good for more."""

# RFC 2544: for tests of networks, so nobody's LAN, VPN or container engine has them; worlds of namespaces use the rest.
_EVERYTHING = ipaddress.IPv4Network("198.19.0.0/16")
_PREFIX_LENGTH = 27
_GATEWAY, _PROXY, _FIRST_RANK = 1, 2, 3
_FIRST_SPARE = _FIRST_RANK + MOST_RANKS
_TRIES = 50

_HOST_BYTES, _HOST_PIDS = 64 << 20, 4096
# An orphan of a process tree is handed to its first process, which here waits for nobody: let the kernel bury them.
_STAY = "trap '' CHLD; exec sleep {}"
_AT_ONCE = 8

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_FLAGS = struct.Struct("16sh22x")


class DockerHost(Protocol):
    """A host of a world that has the capability `engine`, as faults see it."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def etc(self) -> Path: ...

    def inside(self) -> AbstractContextManager[None]: ...

    def disconnect(self) -> None:
        """Have the engine take the host off its network: the interface is gone; raises HarnessError."""

    def connect(self) -> None:
        """Have the engine put it back, under its old address; raises HarnessError."""

    def stop(self) -> None:
        """Cut its power: all its processes end at once, and nobody answers at its address; raises HarnessError."""

    def start(self) -> None:
        """Start it again, with nothing running on it; raises HarnessError."""

    @property
    def ranks(self) -> Sequence[int]:
        """Whose processes live on it, in this play."""

    def container_of(self, rank: int) -> RankContainer:
        """What the engine can do to that rank's process; raises NothingToHit if it has none."""


class RankContainer(Protocol):
    """The container of one life of a rank."""

    def memory_bytes(self) -> int:
        """What it uses now, caches among it."""

    def limit_memory(self, limit_bytes: int) -> None: ...

    def memory_kills(self) -> AbstractContextManager[Callable[[], bool | None]]:
        """Yields what tells whether the kernel has killed somebody in it since, for want of memory; None is unknown."""

    def fill_memory(self) -> None:
        """Start a process beside the rank that takes memory until the kernel kills somebody, first of all the rank."""

    def limit_processor(self, quota_us: int, period_us: int) -> None:
        """Let it run so long in each period; one that has ended, or is just ending, needs no limit."""

    def unlimit_processor(self) -> None:
        """As it was before; one that has ended, or is just ending, needs no healing."""

    def throttled_ns(self) -> int | None:
        """For how long its threads have been kept from running so far; None if it has ended."""


class ContainerHost:
    """One host; implements `harness.worlds.base.WorldHost` and `DockerHost`.

    Attributes:
        container: id of the container that holds it.
        etc: the folder of its name files, of the play that is staged.
        ranks, containers: of that play: whose processes live here, and what the engine can do to each.
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
        """Meanwhile the calling thread's network is the host's; for an ordinary user, who may not, nothing changes."""
        return netns.inside(self._namespace) if self._namespace >= 0 else nullcontext()

    @property
    def device(self) -> str:
        """Its network interface: `eth0`; an engine that connects it anew counts up."""
        with self.inside():
            return next((name for _, name in socket.if_nameindex() if name != "lo"), "eth0")

    @property
    def is_as_new(self) -> bool:
        """Whether a next play would find it as this one did."""
        return self._pid != 0 and self._is_plugged and self._is_connected and self.address == self._first_address

    def container_of(self, rank: int) -> RankContainer:
        if rank not in self.containers:
            raise NothingToHit(f"no process of rank {rank} is alive")
        return self.containers[rank]

    # -- what can be done to it -----------------------------------------------------------------------------------

    def unplug(self) -> None:
        """Pull its cable at the engine's bridge: the interface loses its carrier and keeps its address."""
        _set_link(self._other_end(), up=False)
        self._is_plugged = False

    def plug(self) -> None:
        """Put the cable back."""
        _set_link(self._other_end(), up=True)
        self._is_plugged = True

    def move(self) -> str:
        """Give it an address that nobody had before, taking away the old one; the engine is not told."""
        new = self._network.spare_address()
        try:
            with self.inside(), Netlink() as netlink:
                index = socket.if_nametoindex(self.device)
                # The old one first: on one subnet the kernel makes the second address a part of the first.
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
        """Take it away, and whoever joined it ends; one that is gone is no error."""
        self._let_go()
        self._pid = 0
        self._network.client.remove(self.container)

    def _look_up(self) -> None:
        """Learn the number of its first process, and hold its network as long as we want to look into it."""
        self._let_go()
        self._pid = self._network.client.state(self.container).pid
        if os.geteuid() == 0:
            self._namespace = netns.of_process(self._pid)

    def _let_go(self) -> None:
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1

    def _other_end(self) -> str:
        """The name of the engine's end of its cable."""
        with self.inside():
            index = socket.if_nametoindex(self.device)
        found = [end.parent.name for end in Path("/sys/class/net").glob("veth*/iflink") if _number(end) == index]
        if len(found) != 1:
            raise HarnessError(
                f"cannot tell which end of a cable is {self.name}'s ({found}); is the engine's network here?"
            )
        return found[0]


class ContainerNetwork:
    """A network of the engine with hosts that are made when they are needed first, and kept.

    Args:
        image: of the containers that hold hosts; must have `sh` and `sleep`.
        user: `uid:gid` of everything that runs.

    Raises HarnessError. Whatever is made bears the labels of the lease.
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
        """Take all of it away; what joined a host must be gone, or goes with it."""
        self._each(self.hosts.values(), ContainerHost.remove)
        self.hosts.clear()
        self.client.remove_network(self.id)

    def need(self, names: Sequence[str]) -> None:
        """Have these hosts there."""
        lacking = [name for name in dict.fromkeys(names) if name not in self.hosts]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for host in threads.map(self._make_host, lacking):
                self.hosts[host.name] = host

    def refresh(self) -> None:
        """Take away the hosts that are not as new, but for the proxy server's."""
        worn = [host for host in self.hosts.values() if not host.is_as_new and host.name != PROXY]
        for host in worn:
            del self.hosts[host.name]
        self._each(worn, ContainerHost.remove)

    def address_of(self, name: str) -> str:
        """What a host's address is when it is new; raises Unsupported for a rank too many."""
        number = 0 if name == PROXY else int(name[1:])
        if number >= MOST_RANKS:
            raise Unsupported("world", f"worlds of containers have up to {MOST_RANKS} ranks; give --world namespaces")
        return str(self._subnet[_PROXY if name == PROXY else _FIRST_RANK + number])

    def spare_address(self) -> str:
        """One that nobody has or had, as far as they go."""
        count = self._subnet.num_addresses - 1 - _FIRST_SPARE
        self._spares_given += 1
        return str(self._subnet[_FIRST_SPARE + (self._spares_given - 1) % count])

    def _make(self) -> tuple[str, ipaddress.IPv4Network]:
        """On addresses drawn by lot: other engines and worlds on this machine draw from the same."""
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
        raise HarnessError(f"no free part of {_EVERYTHING} was found in {_TRIES} tries; what has routes to it here?")

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
    """Where this machine has routes to, the default one aside."""
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
