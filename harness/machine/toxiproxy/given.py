"""A server that somebody else runs, given by its URL: its address, and whether it answers."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from harness.machine.toxiproxy import token
from harness.machine.toxiproxy.client import Api
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, UsageError

DEFAULT_PORT = 8474


def parse_url(url: str) -> Endpoint:
    """The API's address; raises UsageError unless it is http on a loopback address."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError as error:
        raise UsageError(f"--toxiproxy {url}: {error}; write http://127.0.0.1:8474") from error
    host = "127.0.0.1" if host == "localhost" else host
    if parts.scheme not in ("", "http") or parts.path not in ("", "/") or not _is_loopback(host):
        raise UsageError(
            f"--toxiproxy {url}: the harness sends traffic over loopback only, to a server without TLS; "
            "write http://127.0.0.1:8474, or one of auto, embedded, real"
        )
    return Endpoint(host, port)


def require_answer(url: str) -> None:
    """Raises UsageError, which names `--toxiproxy`, unless a Toxiproxy answers at this URL now."""
    address = parse_url(url)
    api = Api(address, os.environ.get(token.VARIABLE, ""))
    try:
        api.proxies()
    except HarnessError as error:
        raise no_answer(address, error) from error
    finally:
        api.close()


def no_answer(address: Endpoint, error: HarnessError) -> UsageError:
    """The error for a server that was given and does not answer as a Toxiproxy."""
    return UsageError(
        f"--toxiproxy http://{address}: no Toxiproxy answers there ({error}); "
        f"start one (`toxiproxy-server -host {address.host} -port {address.port}`, or `rdzv-harness proxy serve`), "
        "or leave --toxiproxy out"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
