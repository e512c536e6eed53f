"""Interfaces and addresses made by asking the kernel itself: the seven requests of rtnetlink for a world of hosts.

By hand, because the programs that would do it are slower, and `ip` would have to be started anew in each host to give
it its address, and each time a cable is pulled. Milliseconds until all hosts can be reached, medians of 10 on two busy
cores, kernel 6.18:

    hosts beside px and the switch                       8     32    128
    these requests                                      14     65    234
    one `ip -batch` (6.1) for all links                 25     70    239    addresses by ioctl, IPv4 only
    pyroute2 0.9.7                                      38    122    489    and 220 to 350 once, for its import

Most of the rest is the kernel making namespaces while it clears the ones of the world before away.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6

_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS, _DELETE_NEIGHBOUR = 16, 17, 20, 21, 29
_REQUEST_WITH_ANSWER, _CREATE = 0x5, 0x600
_ERROR_HEADER_BYTES = 36
"""A header, the error's number, and the header of the request; with the option below nothing more of the request."""
_SOL_NETLINK, _SHORT_ANSWERS, _ANSWERS_WITH_TEXT, _TEXT = 270, 10, 11, 1
_UP = 1
_NO_DUPLICATE_DETECTION = 2

_HEADER, _LINK, _ADDRESS, _NEIGHBOUR, _ATTRIBUTE = (
    struct.Struct(form) for form in ("=IHHII", "=BxHiII", "=BBBBI", "=BxxxiHBB", "=HH")
)
# linux/if_link.h, linux/if_addr.h, linux/neighbour.h, linux/veth.h
_IF_NAME, _IF_MASTER, _IF_INFO, _IF_NETWORK_BY_DESCRIPTOR = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER, _BRIDGE_SNOOPING = 1, 2, 1, 23
_ADDRESS_OF_PEER, _ADDRESS_LOCAL, _NEIGHBOUR_ADDRESS = 1, 2, 1


class Netlink:
    """Asks about the network namespace in which it was made, wherever the asking thread is later.

    Each method waits for the kernel's answer, some 0.1 ms, and raises OSError with the kernel's own words.
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
        """A switch, up, that floods what is for many; without spanning tree, as the kernel makes them."""
        data = _attribute(_BRIDGE_SNOOPING, b"\0")
        self._link(index, _UP, _named(name) + _attribute(_IF_INFO, _kind("bridge", data)))

    def add_cable(self, bridge: int, name: str, index: int, far_name: str, far_namespace: int) -> None:
        """A cable from the bridge to a namespace: the near end is up, the far end not yet.

        Args:
            bridge, index: of the bridge, and of the near end to be.
            far_namespace: a descriptor.
        """
        far = _LINK.pack(0, 0, 0, 0, 0) + _named(far_name) + _number(_IF_NETWORK_BY_DESCRIPTOR, far_namespace)
        info = _kind("veth", _attribute(_VETH_PEER, far))
        self._link(index, _UP, _named(name) + _number(_IF_MASTER, bridge) + _attribute(_IF_INFO, info))

    def set_up(self, index: int, up: bool) -> None:
        """Bring an interface up or down."""
        self._ask(_NEW_LINK, 0, _LINK.pack(0, 0, index, _UP if up else 0, _UP))

    def delete_link(self, index: int) -> None:
        """Take an interface away; of a cable both ends go."""
        self._ask(_DELETE_LINK, 0, _LINK.pack(0, 0, index, 0, 0))

    def add_address(self, index: int, address: str, prefix_length: int) -> None:
        """Give an interface an address that can be used at once: nobody is asked first whether it is taken."""
        self._ask(_NEW_ADDRESS, _CREATE, _address(index, address, prefix_length))

    def delete_address(self, index: int, address: str, prefix_length: int) -> None:
        """Take an address away."""
        self._ask(_DELETE_ADDRESS, 0, _address(index, address, prefix_length))

    def forget_neighbour(self, index: int, address: str) -> None:
        """Forget behind which interface of others an address is: it is asked for anew; not known is no error."""
        family, packed = _packed(address)
        body = _NEIGHBOUR.pack(family, index, 0, 0, 0) + _attribute(_NEIGHBOUR_ADDRESS, packed)
        try:
            self._ask(_DELETE_NEIGHBOUR, 0, body)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def _link(self, index: int, flags: int, attributes: bytes) -> None:
        self._ask(_NEW_LINK, _CREATE, _LINK.pack(0, 0, index, flags, flags) + attributes)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST_WITH_ANSWER, 0, 0)
        self._socket.send(header + body)
        answer = self._socket.recv(1 << 14)
        (number,) = struct.unpack_from("=i", answer, _HEADER.size)
        if number:
            raise OSError(-number, _text_of(answer) or os.strerror(-number))


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _named(name: str) -> bytes:
    return _attribute(_IF_NAME, name.encode() + b"\0")


def _kind(kind: str, data: bytes) -> bytes:
    return _attribute(_INFO_KIND, kind.encode()) + _attribute(_INFO_DATA, data)


def _address(index: int, address: str, prefix_length: int) -> bytes:
    family, packed = _packed(address)
    header = _ADDRESS.pack(family, prefix_length, _NO_DUPLICATE_DETECTION if family == IPV6 else 0, 0, index)
    return header + _attribute(_ADDRESS_LOCAL, packed) + _attribute(_ADDRESS_OF_PEER, packed)


def _packed(address: str) -> tuple[int, bytes]:
    family = IPV6 if ":" in address else IPV4
    return family, socket.inet_pton(family, address)


def _text_of(answer: bytes) -> str:
    """What the kernel says beside the number of the error; often nothing."""
    at = _ERROR_HEADER_BYTES
    while at + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        if kind == _TEXT:
            return answer[at + _ATTRIBUTE.size : at + length].rstrip(b"\0").decode(errors="replace")
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return ""
