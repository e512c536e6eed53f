"""What the embedded engine has beside Toxiproxy's API: what it is, its event log, moments on the wire."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3

from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost

CALL_S = 5.0
"""The engine answers in a millisecond or two, also while its links stand still."""

WATCH_MS = 20_000
"""How long it is asked to wait for an event; then it is asked anew. An idle connection it would close after 75 s."""

_BEYOND = 10**15


@dataclass(frozen=True)
class About:
    """What an engine says of itself."""

    version: str
    behaves_as: str
    toxics: frozenset[str]


class EngineApi:
    """The paths under `/x` of one engine, over one kept connection."""

    def __init__(self, address: Endpoint) -> None:
        self.address = address
        # It notices by itself when the engine has closed a connection that lay idle.
        self._pool = urllib3.HTTPConnectionPool(address.host, address.port, maxsize=1, retries=False, timeout=CALL_S)

    def close(self) -> None:
        self._pool.close()

    def about(self) -> About | None:
        """What it is; None of a server that is no engine. Raises ProxyLost if nobody answers."""
        status, said = self._ask("GET", "/x")
        if status == 404:
            return None
        try:
            return About(said["version"], said["behaves_as"], frozenset(said["toxics"]))
        except (KeyError, TypeError) as odd:
            raise HarnessError(f"{self.address} answers GET /x, and is no engine of this harness ({odd!r})") from odd

    def events(self, since: int) -> tuple[Sequence[Mapping[str, Any]], int, int]:
        """The events after that number, the newest one's number, and how many of the oldest were dropped ever."""
        _, said = self._call("GET", f"/x/events?since={since}")
        return said["events"], said["last"], said["dropped"]

    def newest(self) -> int:
        """The number of the newest event."""
        return int(self._call("GET", f"/x/events?since={_BEYOND}")[1]["last"])

    def connections(self) -> Sequence[Mapping[str, Any]]:
        """The connections that are open now."""
        _, said = self._call("GET", "/x/connections")
        connections: Sequence[Mapping[str, Any]] = said["connections"]
        return connections

    def arm(self, moment: Mapping[str, Any]) -> int:
        """Wait for a moment from now on; its number."""
        return int(self._call("POST", "/x/moments", moment)[1]["id"])

    def disarm(self, number: int) -> None:
        """Wait no longer; a moment that is gone is no error."""
        self._ask("DELETE", f"/x/moments/{number}")

    def remove_toxic(self, proxy: str, name: str) -> None:
        """Take a toxic away; one that is gone is no error."""
        self._ask("DELETE", f"/proxies/{proxy}/toxics/{name}")

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, said = self._ask(method, path, body)
        if not 200 <= status < 300:
            error = said.get("error", said) if isinstance(said, dict) else said
            raise HarnessError(f"the engine at {self.address} refuses {method} {path}: {error}")
        return status, said

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        try:
            answer = self._pool.request(method, path, body=None if body is None else json.dumps(body))
        except urllib3.exceptions.HTTPError as error:
            raise ProxyLost(f"no answer to {method} {path} ({error}); the server must be restarted") from error
        try:
            return answer.status, json.loads(answer.data) if answer.data else None
        except ValueError:
            return answer.status, answer.data.decode(errors="replace")


class EventWatch:
    """The event log as it grows, for somebody who polls: `fileno` is readable when `read` has something to tell."""

    def __init__(self, address: Endpoint, since: int) -> None:
        self._connection = http.client.HTTPConnection(address.host, address.port, timeout=CALL_S)
        self._last = since
        try:
            self._connection.connect()
            self._ask()
        except OSError as error:
            self._connection.close()
            raise ProxyLost(f"no answer from the engine at {address} ({error})") from error

    def fileno(self) -> int:
        assert self._connection.sock is not None
        return self._connection.sock.fileno()

    def read(self) -> Sequence[Mapping[str, Any]]:
        """The events since the last call, when readable; raises ProxyLost."""
        try:
            said = json.loads(self._connection.getresponse().read())
            self._last = said["last"]
            self._ask()
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise ProxyLost(f"the engine was lost while it was watched ({error!r})") from error
        events: Sequence[Mapping[str, Any]] = said["events"]
        return events

    def close(self) -> None:
        self._connection.close()

    def _ask(self) -> None:
        self._connection.request("GET", f"/x/events?since={self._last}&wait_ms={WATCH_MS}")
