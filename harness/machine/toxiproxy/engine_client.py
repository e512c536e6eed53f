"""The embedded engine's API beyond Toxiproxy's: its identity, its event log, moments on the wire."""

from __future__ import annotations

import http.client
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from harness.machine.toxiproxy import token
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost

CALL_S = 5.0
"""The engine answers in a millisecond or two, even while its links are stalled."""

WATCH_MS = 20_000
"""How long one request waits for an event before the next is sent; the engine closes idle connections after 60 s."""

_BEYOND = 10**15


@dataclass(frozen=True)
class About:
    """What an engine reports about itself.

    Attributes:
        logs_messages: whether it has a log of messages; an engine of an older release has none.
    """

    version: str
    behaves_as: str
    toxics: frozenset[str]
    logs_messages: bool = False


class EngineApi:
    """The paths under `/x` of one engine, over one persistent connection, with its token if it has one."""

    def __init__(self, address: Endpoint, secret: str = "") -> None:
        self.address = address
        self._headers = token.header(secret)
        # It reconnects by itself when the engine has closed an idle connection.
        self._pool = urllib3.HTTPConnectionPool(
            address.host, address.port, maxsize=1, retries=False, timeout=CALL_S, headers=self._headers
        )

    def close(self) -> None:
        self._pool.close()

    def about(self) -> About | None:
        """The engine's facts; None if the server is not an engine. Raises ProxyLost if nothing answers."""
        status, answer = self._ask("GET", "/x")
        if status == 404:
            return None
        if status == 401:
            raise HarnessError(f"the server at {self.address} needs its token; set {token.VARIABLE} to it")
        try:
            return About(
                answer["version"], answer["behaves_as"], frozenset(answer["toxics"]), "kept_messages" in answer
            )
        except (KeyError, TypeError) as odd:
            raise HarnessError(
                f"{self.address} answers GET /x, but is not an engine of this harness ({odd!r}); "
                "give --toxiproxy the URL of a proxy server"
            ) from odd

    def events(self, since: int) -> tuple[Sequence[Mapping[str, Any]], int, int]:
        """The events after that number, the number of the newest one, and how many old ones were ever dropped."""
        _, answer = self._call("GET", f"/x/events?since={since}")
        return answer["events"], answer["last"], answer["dropped"]

    def messages(self, proxies: Collection[str]) -> tuple[Sequence[Mapping[str, Any]], int, int]:
        """All messages of these proxies that are still kept, in the order of arrival; how many are not; on how many
        connections others were not decoded."""
        found: list[Mapping[str, Any]] = []
        named = urlencode([("proxy", name) for name in proxies])
        while True:
            since = found[-1]["number"] if found else 0
            _, answer = self._call("GET", f"/x/messages?since={since}&{named}")
            found += answer["messages"]
            if not answer["more"]:
                return found, int(answer["dropped"]), int(answer["undecoded"])

    def newest(self) -> int:
        """The number of the newest event."""
        return int(self._call("GET", f"/x/events?since={_BEYOND}")[1]["last"])

    def watch(self) -> EventWatch:
        """The events from now on."""
        return EventWatch(self.address, self.newest(), self._headers)

    def connections(self) -> Sequence[Mapping[str, Any]]:
        """The connections that are open now."""
        _, answer = self._call("GET", "/x/connections")
        connections: Sequence[Mapping[str, Any]] = answer["connections"]
        return connections

    def effects(self) -> Sequence[Mapping[str, Any]] | None:
        """What each toxic has really done so far; None from an engine of an older version, which does not say."""
        status, answer = self._ask("GET", "/x/effects")
        return None if status == 404 else answer["effects"]

    def arm(self, moment: Mapping[str, Any]) -> int:
        """Arm a moment from now on; returns its number."""
        return int(self._call("POST", "/x/moments", moment)[1]["id"])

    def disarm(self, number: int) -> None:
        """Disarm a moment; one that is gone is no error."""
        self._ask("DELETE", f"/x/moments/{number}")

    def remove_toxic(self, proxy: str, name: str) -> None:
        """Remove a toxic; one that is gone is no error."""
        self._ask("DELETE", f"/proxies/{proxy}/toxics/{name}")

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, answer = self._ask(method, path, body)
        if not 200 <= status < 300:
            error = answer.get("error", answer) if isinstance(answer, dict) else answer
            raise HarnessError(f"the engine at {self.address} refuses {method} {path}: {error}")
        return status, answer

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        try:
            response = self._pool.request(method, path, body=None if body is None else json.dumps(body))
        except urllib3.exceptions.HTTPError as error:
            raise ProxyLost(f"no answer to {method} {path} ({error}); the server must be restarted") from error
        try:
            return response.status, json.loads(response.data) if response.data else None
        except ValueError:
            return response.status, response.data.decode(errors="replace")


class EventWatch:
    """The event log as it grows, for a poll loop: `fileno` is readable when `read` returns without blocking."""

    def __init__(self, address: Endpoint, since: int, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._connection = http.client.HTTPConnection(address.host, address.port, timeout=CALL_S)
        self._last = since
        try:
            self._connection.connect()
            self._ask()
        except OSError as error:
            self._connection.close()
            raise ProxyLost(
                f"no answer from the engine at {address} ({error}); the server must be restarted"
            ) from error

    def fileno(self) -> int:
        assert self._connection.sock is not None
        return self._connection.sock.fileno()

    def read(self) -> Sequence[Mapping[str, Any]]:
        """The events since the last call, when readable; raises ProxyLost."""
        try:
            answer = json.loads(self._connection.getresponse().read())
            self._last = answer["last"]
            self._ask()
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise ProxyLost(
                f"the engine was lost while it was watched ({error!r}); the server must be restarted"
            ) from error
        events: Sequence[Mapping[str, Any]] = answer["events"]
        return events

    def close(self) -> None:
        self._connection.close()

    def _ask(self) -> None:
        path = f"/x/events?since={self._last}&wait_ms={WATCH_MS}"
        self._connection.request("GET", path, headers=dict(self._headers))
