"""Where something listens: a host and a port, written as torchrun writes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """A TCP address.

    Attributes:
        host: a name or a numeric address, without brackets.
        port: 1 to 65535; 0 only where a free port is asked for.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def connectable(self) -> tuple[str, int]:
        """The pair that `socket.connect` takes."""
        return (self.host, self.port)

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `host:port` or `[host]:port`; raises ValueError for anything else."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError(f"{text!r} is not an endpoint; write host:port or [host]:port")
        return cls(host.strip("[]"), int(port))
