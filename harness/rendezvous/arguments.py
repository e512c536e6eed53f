"""The arguments of a rendezvous, checked and converted once; each function raises ValueError with the value."""

from __future__ import annotations

import datetime
import re
from typing import Any, Tuple

_DECIMAL = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_HOST = re.compile(r"[\w.:-]+")
_LARGEST_PORT = 65535


def endpoint_of(given: str) -> Tuple[str, int]:
    """Host and port of `HOST:PORT` or `[HOST]:PORT`, as torch's parse_rendezvous_endpoint reads them.

    Torch's function compiles two patterns in each process, which took longer than all else before the first connect.
    """
    endpoint = given.strip()
    if not endpoint:
        raise ValueError(
            "endpoint is absent in RendezvousParameters. Try add --rdzv-endpoint HOST:PORT to the cmd request"
        )
    is_bare = ":" not in endpoint or (endpoint[0] == "[" and endpoint[-1] == "]")
    host, _, port = (endpoint, "", "0") if is_bare else endpoint.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= _LARGEST_PORT):
        raise ValueError(
            f"The port number of the rendezvous endpoint '{endpoint}' must be an integer between 0 and 65536."
        )
    if len(host) > 1 and host[0] == "[" and host[-1] == "]":
        host = host[1:-1]
    if not _HOST.fullmatch(host):
        raise ValueError(
            f"The hostname of the rendezvous endpoint '{endpoint}' must be a dot-separated list of labels, "
            "an IPv4 address, or an IPv6 address."
        )
    if is_bare:
        raise ValueError(f"Port is absent in endpoint: {endpoint}. Try launching with --rdzv-endpoint HOST:PORT")
    return host, int(port)


def rank_in(given: Any, world_size: int) -> int:
    """A whole number or its decimal text, as torchrun passes it."""
    rank = _whole("rank", given)
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is out of range: a world of {world_size} has ranks 0 to {world_size - 1}")
    return rank


def world_size_of(given: Any) -> int:
    size = _whole("world_size", given)
    if size < 1:
        raise ValueError(f"a world size of {size} is too small; it must be at least 1")
    return size


def port_of(given: Any) -> int:
    """Port 0 is refused: the system would choose a port, and no other rank would know it (F29)."""
    port = _whole("port", given)
    if not 0 < port <= _LARGEST_PORT:
        raise ValueError(f"port {port} cannot be joined; give a port from 1 to {_LARGEST_PORT}")
    return port


def timeout_of(given: Any) -> datetime.timedelta:
    """Seconds above 0 as int, float or decimal text: 0.5 is half a second."""
    problem = f"timeout {given!r} is not a number of seconds above 0"
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise ValueError(problem)
    try:
        # Both refuse values that are not finite.
        timeout = datetime.timedelta(seconds=float(given))
    except (ValueError, OverflowError) as error:
        raise ValueError(problem) from error
    if timeout < datetime.timedelta(milliseconds=1):
        raise ValueError(problem)
    return timeout


def text_of(what: str, given: Any, may_be_empty: bool = False) -> str:
    if not isinstance(given, str) or not (given or may_be_empty):
        raise ValueError(f"{what} {given!r} is not text" + ("" if may_be_empty else ", or is empty"))
    return given


def _whole(what: str, given: Any) -> int:
    if isinstance(given, str) and _DECIMAL.fullmatch(given):
        return int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"{what} {given!r} is neither a whole number nor its decimal text")
    return given
