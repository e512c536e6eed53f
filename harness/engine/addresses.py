"""Addresses as the real server reads them: `host:port`, with Go's error messages."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any, TypeAlias

Address: TypeAlias = "tuple[Any, ...]"
RESOLVED_WITHIN_SECONDS = 5.0


class AddressError(Exception):
    """An address that cannot be read or resolved; the text is Go's."""


@dataclass(frozen=True)
class Target:
    """A numeric address."""

    family: socket.AddressFamily
    address: Address

    def __str__(self) -> str:
        host, port = self.address[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


def split(text: str) -> tuple[str, str]:
    """Host and port; raises AddressError."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif not colon or text.endswith("]"):
        raise AddressError(f"address {text}: missing port in address")
    elif ":" in host:
        raise AddressError(f"address {text}: too many colons in address")
    elif "[" in host or "]" in host:
        raise AddressError(f"address {text}: unexpected '{'[' if '[' in host else ']'}' in address")
    return host, port


def literal(text: str, default_host: str = "127.0.0.1") -> Target | None:
    """The address if it needs no name service, else None."""
    try:
        host, port = split(text)
        number = port_number(port)
        address = ipaddress.ip_address(host or default_host)
    except (AddressError, ValueError):
        return None
    return _target(str(address), number)


async def resolve(text: str, loop: asyncio.AbstractEventLoop, default_host: str = "127.0.0.1") -> Target:
    """The numeric address, IPv4 first as in Go; raises AddressError."""
    if (known := literal(text, default_host)) is not None:
        return known
    host, port = split(text)
    number = port_number(port)
    try:
        found = await asyncio.wait_for(
            loop.getaddrinfo(host, number, type=socket.SOCK_STREAM), timeout=RESOLVED_WITHIN_SECONDS
        )
    except (OSError, UnicodeError, asyncio.TimeoutError) as error:
        raise AddressError(f"lookup {host}: no such host") from error
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return Target(family, address)


def port_number(text: str) -> int:
    """The number of a port or of a named service; raises AddressError."""
    if not text:
        return 0
    if text.isascii() and text.isdigit():
        if int(text[:9]) > 65535:
            raise AddressError(f"address {text}: invalid port")
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except (OSError, ValueError) as error:
        raise AddressError(f"lookup tcp/{text}: unknown port") from error


def _target(host: str, port: int) -> Target:
    if ":" in host:
        return Target(socket.AF_INET6, (host, port, 0, 0))
    return Target(socket.AF_INET, (host, port))
