"""Hosts on one switch, each a network namespace with an address of its own; they end with their last holder.

    switch (a namespace of its own)         px (this process's)     r0         r1         r2
      bridge --- ports, a cable each ------- eth0                   eth0       eth0       eth0

Nothing has a name outside, so the kernel removes everything with the last process that holds it. px's end of its cable
ends with the switch.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.machine.network import netns
from harness.machine.network.rtnetlink import Netlink
from harness.values.errors import HarnessError

PROXY = "px"
"""The host that is this process's own network."""

DEVICE = "eth0"
"""The name of every host's network interface, on the host."""

_BRIDGE, _BRIDGE_INDEX = "switch", 2
# A new network inherits forwarding from the machine. A host that forwards would answer for an address that it gave up.
_NO_ROUTER = {"ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "0"}
# Far above the index of a host's own interface. A cable with equal indexes at both ends looks like a device without a
# peer, and the kernel's link watch reports changes of those only once a second.
_FIRST_PORT_INDEX = 1000


@dataclass(frozen=True)
class Family:
    """The addresses of a network of one address family.

    Attributes:
        proxy: the address of px.
        first: of the first host after px; the others follow.
        spare: the first of the addresses that hosts may move to.
        sysctls: below /proc/sys/net, set before the interface comes up.
    """

    prefix_length: int
    proxy: str
    first: str
    spare: str
    sysctls: Mapping[str, str]


FAMILIES = {
    # RFC 2544: reserved for network tests, so no LAN, VPN or Docker uses them.
    "ipv4": Family(16, "198.18.0.1", "198.18.1.1", "198.18.128.1", {f"ipv6/conf/{DEVICE}/disable_ipv6": "1"}),
    # RFC 5180, the same. No link-local address besides: duplicate address detection would take a second.
    "ipv6": Family(
        48,
        "2001:2::1",
        "2001:2::1:1",
        "2001:2::8000:1",
        {f"ipv6/conf/{DEVICE}/addr_gen_mode": "1", f"ipv6/conf/{DEVICE}/accept_ra": "0"},
    ),
}


class NetworkHost:
    """A host of a network; implements `harness.worlds.base.WorldHost`.

    Attributes:
        namespace: a descriptor of its network namespace; the network closes it.
        etc: the folder for its name files.
    """

    device = DEVICE

    def __init__(self, network: Network, name: str, address: str, namespace: int, port: int, etc: Path) -> None:
        self.name = name
        self.address = address
        self.namespace = namespace
        self.etc = etc
        self._network = network
        self._port = port

    def inside(self) -> AbstractContextManager[None]:
        """Put the calling thread into the host's network for the block; about 20 us."""
        return netns.inside(self.namespace)

    def unplug(self) -> None:
        """Pull its cable at the switch: the host's interface loses its carrier and keeps its address."""
        self._network.set_port(self._port, up=False)

    def plug(self) -> None:
        """Put the cable back."""
        self._network.set_port(self._port, up=True)

    def move(self) -> str:
        """Replace its address by one that no host had before, and return it; names are not changed.

        Its interface stays up. Connections of the old address hang, as they do when a cloud moves an address.
        """
        new = self._network.spare_address()
        with _as_harness_error(f"move {self.name} from {self.address} to {new}"), self.inside(), Netlink() as netlink:
            index = socket.if_nametoindex(self.device)
            # The old one first: the kernel makes a second address of one subnet depend on the first.
            netlink.delete_address(index, self.address, self._network.family.prefix_length)
            netlink.add_address(index, new, self._network.family.prefix_length)
        self.address = new
        return new


class Network:
    """A switch with px, which is this process's own network, and a host for each name.

    Args:
        names: of the hosts besides px, in the order of their addresses.
        family: `ipv4` (198.18.0.0/16) or `ipv6` (2001:2::/48); the other family has loopback addresses only.
        etc: the folder that holds each host's folder for name files, under its name; not made here.

    Raises HarnessError where the kernel refuses, and leaves nothing behind.
    """

    def __init__(self, names: Sequence[str], family: str = "ipv4", etc: Path = Path("/etc")) -> None:
        self.family = FAMILIES[family]
        self._spares_given = 0
        self._holding = ExitStack()
        self.hosts: dict[str, NetworkHost] = {}
        try:
            with _as_harness_error("make a switch"):
                self._switch = self._make_switch()
            for number, name in enumerate([PROXY, *names]):
                with _as_harness_error(f"join the host {name} to the switch"):
                    self.hosts[name] = self._join(number, name, etc)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete px's interface and close the rest, which ends with the last process that lives in it."""
        self._holding.close()
        self.hosts.clear()

    def set_port(self, index: int, up: bool) -> None:
        """Turn a port of the switch on or off; raises HarnessError."""
        with _as_harness_error(f"turn a port of the switch {'on' if up else 'off'}"):
            self._switch.set_up(index, up)

    def spare_address(self) -> str:
        """An address that no host has or had."""
        self._spares_given += 1
        return str(ipaddress.ip_address(self.family.spare) + self._spares_given - 1)

    def _make_switch(self) -> Netlink:
        namespace = netns.create()
        try:
            with netns.inside(namespace):
                # A switch has no address; without this each port would ask for one, and for routers.
                _set_sysctls({"ipv6/conf/default/disable_ipv6": "1"})
                switch = self._holding.enter_context(Netlink())
        finally:
            os.close(namespace)  # the socket keeps it
        switch.add_bridge(_BRIDGE, _BRIDGE_INDEX)
        return switch

    def _join(self, number: int, name: str, etc: Path) -> NetworkHost:
        namespace = netns.create() if number else netns.own()
        self._holding.callback(os.close, namespace)
        port = _FIRST_PORT_INDEX + number
        self._switch.add_cable(_BRIDGE_INDEX, f"port{number}", port, DEVICE, namespace)
        if number == 0:
            self._holding.callback(self._switch.delete_link, port)
        address = self.family.proxy
        if number:
            address = str(ipaddress.ip_address(self.family.first) + number - 1)
        with netns.inside(namespace):
            self._set_up(address, self.family.sysctls if number == 0 else {**_NO_ROUTER, **self.family.sysctls})
        return NetworkHost(self, name, address, namespace, port, etc / name)

    def _set_up(self, address: str, sysctls: Mapping[str, str]) -> None:
        _set_sysctls(sysctls)
        with Netlink() as netlink:
            index = socket.if_nametoindex(DEVICE)
            netlink.set_up(index, True)
            netlink.add_address(index, address, self.family.prefix_length)


def missing() -> str:
    """Why this process cannot make such networks, ending with what to do; empty if it can. Takes about 5 ms."""
    try:
        with Network(["probe"]):
            return ""
    except HarnessError as error:
        return str(error)


@contextlib.contextmanager
def _as_harness_error(what: str) -> Iterator[None]:
    """Raise the kernel's refusals as HarnessErrors that name the attempt."""
    try:
        yield
    except OSError as exc:
        raise HarnessError(
            f"cannot {what}: {exc.strerror}; it needs a kernel with bridge and veth (`modprobe -a bridge veth`), "
            "and private namespaces (see `rdzv-harness doctor`)"
        ) from exc


def _set_sysctls(sysctls: Mapping[str, str]) -> None:
    """Set what can be set: without IPv6, or with a read-only /proc/sys, most of them would only save work."""
    for name, value in sysctls.items():
        with contextlib.suppress(OSError), open(f"/proc/sys/net/{name}", "w") as stream:
            stream.write(value)
