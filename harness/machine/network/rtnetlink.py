"""Interfaces and addresses, made by the seven requests of rtnetlink that a world of hosts needs.

Encoded by hand, because programs are slower: `ip` would have to run once in each host to give it its address, and each
time a cable is pulled. Milliseconds until all hosts can be reached, medians of 10 on two busy cores, kernel 6.18:

    hosts beside px and the switch                       8     32    128
    these requests                                      14     65    234
    one `ip -batch` (6.1) for all links                 25     70    239    addresses by ioctl, IPv4 only
    pyroute2 0.9.7                                      38    122    489    and 220 to 350 once, for its import

Most of the remaining time the kernel makes namespaces while it removes those of the world before.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from harness.machine.network import netlink
from harness.machine.network.netlink import attribute

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6

_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS, _DELETE_NEIGHBOUR = 16, 17, 20, 21, 29
_ERROR_BYTES = 4 + netlink.HEADER.size
"""The error number and the header of the request; with `_SHORT_ANSWERS` an answer repeats no more of the request."""
_SOL_NETLINK, _SHORT_ANSWERS, _ANSWERS_WITH_TEXT, _TEXT = 270, 10, 11, 1
_UP = 1
_NO_DUPLICATE_DETECTION = 2

_LINK, _ADDRESS, _NEIGHBOUR = (struct.Struct(form) for form in ("=BxHiII", "=BBBBI", "=BxxxiHBB"))
# linux/if_link.h, linux/if_addr.h, linux/neighbour.h, linux/veth.h
_IF_NAME, _IF_MASTER, _IF_INFO, _IF_NETWORK_BY_DESCRIPTOR = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER, _BRIDGE_SNOOPING = 1, 2, 1, 23
_ADDRESS_OF_PEER, _ADDRESS_LOCAL, _NEIGHBOUR_ADDRESS = 1, 2, 1


class Netlink:
    """Changes the network namespace in which it was made, wherever the calling thread is later.

    Each method waits for the kernel's answer, some 0.1 ms, and raises OSError with the kernel's text.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        for option in (_SHORT_ANSWERS, _ANSWERS_WITH_TEXT):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def add_bridge(self, name: str, index: int) -> None:
        """Make a bridge, up, that floods multicast; without spanning tree, which is the kernel's default."""
        data = attribute(_BRIDGE_SNOOPING, b"\0")
        self._link(index, _UP, _named(name) + attribute(_IF_INFO, _kind("bridge", data)))

    def add_cable(self, bridge: int, name: str, index: int, far_name: str, far_namespace: int) -> None:
        """Make a cable (veth pair) from the bridge to a namespace: the near end is up, the far end is down.

        Args:
            bridge: index of the bridge.
            index: of the near end.
            far_namespace: a descriptor.
        """
        far = _LINK.pack(0, 0, 0, 0, 0) + _named(far_name) + _number(_IF_NETWORK_BY_DESCRIPTOR, far_namespace)
        info = _kind("veth", attribute(_VETH_PEER, far))
        self._link(index, _UP, _named(name) + _number(_IF_MASTER, bridge) + attribute(_IF_INFO, info))

    def set_up(self, index: int, up: bool) -> None:
        """Bring an interface up or down."""
        self._ask(_NEW_LINK, 0, _LINK.pack(0, 0, index, _UP if up else 0, _UP))

    def delete_link(self, index: int) -> None:
        """Delete an interface; of a cable both ends."""
        self._ask(_DELETE_LINK, 0, _LINK.pack(0, 0, index, 0, 0))

    def add_address(self, index: int, address: str, prefix_length: int) -> None:
        """Give an interface an address that can be used at once: without duplicate address detection."""
        self._ask(_NEW_ADDRESS, netlink.CREATE, _address(index, address, prefix_length))

    def delete_address(self, index: int, address: str, prefix_length: int) -> None:
        """Remove an address."""
        self._ask(_DELETE_ADDRESS, 0, _address(index, address, prefix_length))

    def forget_neighbour(self, index: int, address: str) -> None:
        """Forget the hardware address behind an address, so that it is looked up anew; an unknown one is no error."""
        family, packed = _packed(address)
        body = _NEIGHBOUR.pack(family, index, 0, 0, 0) + attribute(_NEIGHBOUR_ADDRESS, packed)
        try:
            self._ask(_DELETE_NEIGHBOUR, 0, body)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def _link(self, index: int, flags: int, attributes: bytes) -> None:
        self._ask(_NEW_LINK, netlink.CREATE, _LINK.pack(0, 0, index, flags, flags) + attributes)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._socket.send(netlink.message(kind, flags | netlink.REQUEST | netlink.ACKNOWLEDGE, body))
        _, answer = next(netlink.messages(self._socket.recv(1 << 14)))
        number = netlink.error_number(answer)
        if number:
            raise OSError(number, _text_of(answer) or os.strerror(number))


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _named(name: str) -> bytes:
    return attribute(_IF_NAME, name.encode() + b"\0")


def _kind(kind: str, data: bytes) -> bytes:
    return attribute(_INFO_KIND, kind.encode()) + attribute(_INFO_DATA, data)


def _address(index: int, address: str, prefix_length: int) -> bytes:
    family, packed = _packed(address)
    header = _ADDRESS.pack(family, prefix_length, _NO_DUPLICATE_DETECTION if family == IPV6 else 0, 0, index)
    return header + attribute(_ADDRESS_LOCAL, packed) + attribute(_ADDRESS_OF_PEER, packed)


def _packed(address: str) -> tuple[int, bytes]:
    family = IPV6 if ":" in address else IPV4
    return family, socket.inet_pton(family, address)


def _text_of(answer: bytes) -> str:
    """The kernel's text about an error; often empty."""
    text = netlink.find_attribute(answer, _TEXT, _ERROR_BYTES) or b""
    return text.rstrip(b"\0").decode(errors="replace")
