"""Who owns the proxies on a server that is not the harness's own: those of an owner that was killed are removed.

    rdzv-owner-4f1c…9a-1-0-rank1     a proxy
    @rdzv-owner-4f1c…9a              the owner's socket, which the kernel closes with the owner

The name of a proxy begins with the name of an abstract socket that its owner has bound. Such a socket is seen by every
process of the network namespace, whatever its user and process tree, and by no other: by those that can use the same
server on loopback.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
from collections.abc import Iterable

import urllib3

from harness import clock
from harness.machine.toxiproxy import token
from harness.values.endpoint import Endpoint

_OWNED = re.compile(r"(rdzv-owner-[0-9a-f]{32})-")
ANSWERS_WITHIN_S = 5.0
TRIES, TRY_AGAIN_NS = 20, 500_000_000
"""A server that stands still answers later; what is left after these tries is removed at the start of the next run."""

_CLEAN_LOOKS, _LOOK_AGAIN_NS = 2, 100_000_000


class Owner:
    """This process as the owner of proxies, until it closes it or ends.

    Attributes:
        prefix: what the names of its proxies begin with, followed by a hyphen.
    """

    def __init__(self) -> None:
        self.prefix = f"rdzv-owner-{secrets.token_hex(16)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.prefix}")

    def close(self) -> None:
        """Own nothing any more."""
        self._socket.close()


def lives(prefix: str) -> bool:
    """Whether the owner of proxies with this prefix lives; where that cannot be found out, it does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(f"\0{prefix}")
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def of_ended_owners(names: Iterable[str]) -> list[str]:
    """Those of these proxies whose owner has ended; never one that has another kind of name."""
    owned = {name: found[1] for name in names if (found := _OWNED.match(name))}
    ended = {prefix for prefix in set(owned.values()) if not lives(prefix)}
    return [name for name, prefix in owned.items() if prefix in ended]


def remove_all(server: Endpoint, prefix: str, secret: str = "") -> None:
    """Remove all proxies of an owner that has ended, and try again while the server does not answer.

    Looks again until two looks found nothing: what was being made when its owner was killed appears late. Nothing is
    left of a server that has ended itself.

    Args:
        secret: the token of its API.
    """
    for _ in range(TRIES):
        try:
            _remove_until_clean(server, prefix, secret)
            return
        except urllib3.exceptions.NewConnectionError:
            return
        except (urllib3.exceptions.HTTPError, ValueError):
            clock.sleep_ns(TRY_AGAIN_NS)


def _remove_until_clean(server: Endpoint, prefix: str, secret: str) -> None:
    api = urllib3.HTTPConnectionPool(
        server.host, server.port, retries=False, timeout=ANSWERS_WITHIN_S, headers=token.header(secret)
    )
    clean = 0
    with contextlib.closing(api):
        while clean < _CLEAN_LOOKS:
            names = [name for name in json.loads(api.request("GET", "/proxies").data) if name.startswith(f"{prefix}-")]
            for name in names:
                api.request("DELETE", f"/proxies/{name}")
            clean = 0 if names else clean + 1
            if clean < _CLEAN_LOOKS:
                clock.sleep_ns(_LOOK_AGAIN_NS)
