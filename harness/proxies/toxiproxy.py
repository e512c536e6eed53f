"""Links through a Toxiproxy server: one of our own in this network namespace, or one given by its loopback URL."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from harness.machine import proxy_server, sockets
from harness.machine.link_meter import LinkMeter
from harness.machine.proxy_server import Children, Here, Place, RunningServer
from harness.machine.toxiproxy_client import Api, RemoteProxy
from harness.proxies.base import PROXIES, Held, Link, LinkSpec, Proxies, Traffic
from harness.words.endpoint import Endpoint
from harness.words.errors import HarnessError, ProxyLost, UsageError

DEFAULT_PORT = 8474
WORLDS_PER_SERVER = 64
"""The server keeps counters of every proxy it ever had, so it is renewed after that many worlds."""


class ToxiproxyLink:
    """One proxy of the server; implements `harness.proxies.base.Link`."""

    def __init__(self, spec: LinkSpec, proxy: RemoteProxy, api: Api, meter: LinkMeter) -> None:
        self.rank = spec.rank
        self.upstream = spec.upstream
        self.name: str = proxy.name
        self.address = Endpoint.parse(proxy.listen)
        self._proxy = proxy
        self._api = api
        self._meter = meter
        self._toxics: dict[str, tuple[str, str, int]] = {}

    def __repr__(self) -> str:
        return f"<link {self.name}: {self.address} to {self.upstream}>"

    def add_toxic(self, name: str, kind: str, stream: str, toxicity: float, attributes: Mapping[str, int]) -> None:
        self._toxics[name] = (kind, stream, attributes.get("timeout", 0))
        self._say_if_keeping()
        self._api.add_toxic(self._proxy, name, kind, stream, toxicity, attributes)

    def update_toxic(self, name: str, toxicity: float, attributes: Mapping[str, int]) -> None:
        self._api.update_toxic(self._proxy, name, toxicity, attributes)

    def remove_toxic(self, name: str) -> None:
        kind, _, timeout_ms = self._toxics.pop(name, ("", "", 0))
        # A reset that counts down cannot be interrupted: the server answers when it has come.
        self._api.remove_toxic(self._proxy, name, timeout_ms / 1000 if kind == "reset_peer" else 0)
        self._say_if_keeping()

    def disable(self) -> None:
        self._api.switch(self._proxy, enabled=False)

    def enable(self) -> None:
        self._api.switch(self._proxy, enabled=True)

    def traffic(self, fresh: bool = True) -> Traffic:
        if fresh:
            self._meter.look()
        count = self._meter.count(self.name)
        return Traffic(
            accepted=count.accepted,
            open=len(count.open),
            ended=count.ended,
            unreached=self._meter.unreached,
            upstream_bytes=count.upstream_bytes,
            downstream_bytes=count.downstream_bytes,
            held=tuple(Held(number, links) for number, links in self._meter.held(self.name)),
            complete=self._meter.is_complete,
        )

    def _say_if_keeping(self) -> None:
        self._meter.keeps(self.name, any(stream == "downstream" for _, stream, _ in self._toxics.values()))


@PROXIES.register("toxiproxy")
class Toxiproxy(Proxies):
    """All links of a controller, on one server.

    Whatever we make carries a random prefix, and only that is ever deleted. Use `start` to make one.
    """

    def __init__(self, api: Api, description: str, meter: LinkMeter, own: _OwnServer | None) -> None:
        self._api = api
        self._description = description
        self._meter = meter
        self._own = own
        self._prefix = f"rdzv-{secrets.token_hex(4)}"
        self._worlds = 0

    @classmethod
    def start(
        cls, children: Children, log_path: Path, *, url: str | None = None, place: Place | None = None
    ) -> Toxiproxy:
        """A server of our own (see `proxy_server.require_server`), or the one at `url`.

        Args:
            children: whoever starts and ends processes here.
            log_path: where a server of our own writes what it says.
            place: where a server of our own runs; None is here, as a child.

        Raises UsageError for a URL that is not on loopback or does not answer, Unsupported if there is no server on
        this machine, ProxyLost if it does not come up.
        """
        if url is not None:
            return cls._given(parse_url(url))
        own = _OwnServer(place or Here(children, proxy_server.require_server()), log_path)
        api, meter = own.launch()
        try:
            return cls(api, f"toxiproxy-server {api.version()} ({own.place.origin})", meter, own)
        except BaseException:
            own.end()
            raise

    @classmethod
    def _given(cls, address: Endpoint) -> Toxiproxy:
        api = Api(address)
        try:
            version = api.version()
            api.proxies()
        except HarnessError as error:
            raise UsageError(
                f"no Toxiproxy answers at http://{address} ({error}); start one there, or leave --toxiproxy out"
            ) from error
        meter = LinkMeter(_pid_behind(address), None, api.received_bytes)
        return cls(api, f"toxiproxy-server {version} (given: http://{address})", meter, None)

    def describe(self) -> str:
        return self._description

    def make(self, specs: Sequence[LinkSpec], listen: str = "127.0.0.1") -> Sequence[Link]:
        if not specs:
            return ()
        self._worlds += 1
        if self._own is not None and self._worlds % WORLDS_PER_SERVER == 0:
            self.restart()
        if self._own is not None:
            self._own.mark_log()
        names = [f"{self._prefix}-{self._worlds}-{index}-rank{spec.rank}" for index, spec in enumerate(specs)]
        proxies = self._api.populate([(n, spec.upstream) for n, spec in zip(names, specs, strict=True)], listen)
        links = [ToxiproxyLink(s, p, self._api, self._meter) for s, p in zip(specs, proxies, strict=True)]
        for link in links:
            self._meter.add(link.name, link.address.port, link.upstream.port)
        return links

    def remove(self, links: Sequence[Link]) -> None:
        self._meter.forget([link.name for link in links])
        there = self._api.proxies()
        for link in links:
            if link.name in there:
                self._api.delete(there[link.name])
        self._check_what_is_left({link.name for link in links})

    def _check_what_is_left(self, removed: set[str]) -> None:
        there = self._api.proxies()
        if left := sorted(removed & there.keys()):
            raise ProxyLost(f"deleted proxies are still there: {', '.join(left)}; the server must be restarted")
        if self._own is not None and there.keys() - self._ours(there) != {self._own.sentinel}:
            raise ProxyLost(
                f"our own server has proxies of somebody else, or lost its sentinel: {', '.join(sorted(there))}"
            )

    def restart(self) -> None:
        if self._own is None:
            raise ProxyLost(f"{self._description} was lost and is not ours to restart; restart it and run again")
        self._api.close()
        self._own.end()
        self._api, self._meter = self._own.launch()

    def close(self) -> None:
        try:
            if self._own is not None:
                self._own.end()
            else:
                there = self._api.proxies()
                for name in self._ours(there):
                    self._api.delete(there[name])
        finally:
            self._api.close()

    def log(self) -> str:
        return "" if self._own is None else self._own.log()

    def _ours(self, there: Mapping[str, RemoteProxy]) -> set[str]:
        return {name for name in there if name.startswith(f"{self._prefix}-")}


class _OwnServer:
    """The server we started, and may start again."""

    def __init__(self, place: Place, log_path: Path) -> None:
        self.place = place
        self._log_path = log_path
        self._log_from = 0
        self._running: RunningServer | None = None

    def launch(self) -> tuple[Api, LinkMeter]:
        self._running = self.place.launch(self._log_path)
        self._log_from = 0
        api = Api(self._running.api)
        return api, LinkMeter(self._running.pid, self._log_path, api.received_bytes, self.place.inside)

    @property
    def sentinel(self) -> str:
        return self._running.sentinel if self._running is not None else ""

    def end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            self.place.stop(running)

    def mark_log(self) -> None:
        self._log_from = self._log_path.stat().st_size if self._log_path.exists() else 0

    def log(self) -> str:
        if not self._log_path.exists():
            return ""
        with self._log_path.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")


def parse_url(url: str) -> Endpoint:
    """The API's address; raises UsageError unless it is http on a loopback address."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError as error:
        raise UsageError(f"--toxiproxy {url}: {error}; write http://127.0.0.1:8474") from error
    host = "127.0.0.1" if host == "localhost" else host
    if parts.scheme not in ("", "http") or parts.path not in ("", "/") or not _is_loopback(host):
        raise UsageError(
            f"--toxiproxy {url}: the harness sends traffic over loopback only, to a server without TLS; "
            "write http://127.0.0.1:8474"
        )
    return Endpoint(host, port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pid_behind(address: Endpoint) -> int | None:
    """Who listens there, if that can be read; without it, what such a server swallows cannot be seen."""
    return next((one.pid for one in sockets.listeners() if one.address.port == address.port and one.pid), None)
