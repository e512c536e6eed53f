"""Who may use the API: requests that name this server and, if there is a token, carry it; never web pages."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.engine.errors import ApiError

_FROM_ANOTHER_PAGE = ("cross-site", "same-site")


@dataclass(frozen=True)
class Access:
    """Decides about each request before its body is read.

    A web page reaches a server on loopback in two ways: it sends a request across sites, which carries `Origin`, or it
    has its own name resolve to 127.0.0.1 (DNS rebinding), which leaves that name in `Host`. An address in `Host`
    cannot be rebound, but only those of this server are accepted.

    Attributes:
        bound: the host that the API listens on, as it was given.
        names: further hosts in `Host`, and in `Origin` if it is the same.
        token: every request must carry it; empty for none.
    """

    bound: str = "127.0.0.1"
    names: frozenset[str] = frozenset()
    token: str = ""

    def check(self, headers: Mapping[str, str]) -> None:
        """Raise ApiError if the request is refused; the names of headers are in lower case."""
        host = headers.get("host", "")
        # Every browser sends Host. A request without it is one of HTTP/1.0.
        if host and not self._is_ours(_host_in(host)):
            raise ApiError(403, f"Host {host[:100]!r} is not a name of this server; allow it with --allow-host")
        if "origin" in headers and not self._is_allowed_page(headers["origin"], host):
            raise ApiError(
                403, "requests of web pages are not allowed; allow the name of this server with --allow-host"
            )
        if headers.get("sec-fetch-site", "") in _FROM_ANOTHER_PAGE:
            raise ApiError(403, "requests of web pages are not allowed")
        if self.token and not self._has_token(headers.get("authorization", "")):
            raise ApiError(401, "the token is missing or wrong; send it as `Authorization: Bearer TOKEN`")

    def _is_ours(self, name: str) -> bool:
        if name in ("localhost", self.bound.lower()) or name in self.names:
            return True
        address, bound = _address(name), _address(self.bound)
        if address is None or address.is_loopback:
            return address is not None
        # A name that it listens on, and all addresses, stand for addresses that it does not know.
        return bound is None or bound == address or bound.is_unspecified

    def _is_allowed_page(self, origin: str, host: str) -> bool:
        name = _host_in(origin.partition("://")[2])
        return name in self.names and name == _host_in(host)

    def _has_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on that host."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _host_in(text: str) -> str:
    """The host of `host:port`, in lower case; empty if malformed."""
    try:
        return (urlsplit(f"//{text}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
