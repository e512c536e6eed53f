"""What this network namespace has: the carrier of an interface, and addresses of its own."""

from __future__ import annotations

import fcntl
import socket
import struct

_GET_FLAGS, _RUNNING = 0x8913, 0x40  # SIOCGIFFLAGS, IFF_RUNNING (linux/sockios.h, linux/if.h)
_REQUEST = struct.Struct("16sH14x")


def has_carrier(device: str) -> bool:
    """Whether the kernel sees a cable on an interface; False if there is no such interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _GET_FLAGS, _REQUEST.pack(device.encode(), 0))
        except OSError:
            return False
    return bool(_REQUEST.unpack(answer)[1] & _RUNNING)


def has_address(address: str) -> bool:
    """Whether a numeric address is one of this network's own: the kernel binds a socket to no other."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
