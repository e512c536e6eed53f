"""Links through a server that speaks Toxiproxy's API: the real one or the embedded engine, our own or given by URL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.machine.network import sockets
from harness.machine.process import stalls
from harness.machine.toxiproxy import owners, probe, token
from harness.machine.toxiproxy import server as proxy_server
from harness.machine.toxiproxy.client import Api, Attributes, RemoteProxy
from harness.machine.toxiproxy.engine_client import EngineApi
from harness.machine.toxiproxy.engine_meter import EngineMeter, LinkCount
from harness.machine.toxiproxy.given import no_answer, parse_url
from harness.machine.toxiproxy.kernel_meter import KernelMeter
from harness.machine.toxiproxy.server import ChildProcesses, LocalServerLauncher, RunningServer, ServerLauncher
from harness.machine.toxiproxy.wire_watch import EngineWatch, wire_of
from harness.proxies.base import Link, LinkSpec, Proxies, RetainedBytes, Traffic
from harness.scenario.moment import WireMoment
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost
from harness.values.toxic_effect import ToxicEffect
from harness.values.wire import Wire

_NAME = "the proxy server"
WORLDS_PER_SERVER = 64
"""The real server keeps the counters of all proxies it ever had, so it is restarted after this many worlds."""

Meter = KernelMeter | EngineMeter

Inside = Callable[[], AbstractContextManager[None]]
"""A context in which the server's loopback is this thread's."""

Announce = Callable[[Endpoint, str], None]
"""Says that proxies with this prefix at the beginning of their names must not outlive this process."""


class ToxiproxyLink:
    """One proxy of the server; implements `harness.proxies.base.Link`."""

    def __init__(
        self, spec: LinkSpec, proxy: RemoteProxy, api: Api, meter: Meter, inside: Inside = contextlib.nullcontext
    ) -> None:
        self.rank = spec.rank
        self.upstream = spec.upstream
        self.name: str = proxy.name
        self.address = Endpoint.parse(proxy.listen)
        self._proxy = proxy
        self._api = api
        self._meter = meter
        self._inside = inside
        self._toxics: dict[str, tuple[str, str, int]] = {}

    def __repr__(self) -> str:
        return f"<link {self.name}: {self.address} to {self.upstream}>"

    def add_toxic(self, name: str, kind: str, stream: str, toxicity: float, attributes: Attributes) -> None:
        self._toxics[name] = (kind, stream, int(attributes.get("timeout", 0)))
        self._say_if_keeping()
        self._api.add_toxic(self._proxy, name, kind, stream, toxicity, attributes)

    def update_toxic(self, name: str, toxicity: float, attributes: Attributes) -> None:
        self._api.update_toxic(self._proxy, name, toxicity, attributes)

    def remove_toxic(self, name: str) -> None:
        kind, _, timeout_ms = self._toxics.pop(name, ("", "", 0))
        # The countdown of a reset cannot be interrupted: the real server answers after the reset.
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
            upstream_sent=count.sent("upstream") if isinstance(count, LinkCount) else None,
            downstream_sent=count.sent("downstream") if isinstance(count, LinkCount) else None,
            held=tuple(RetainedBytes(number, links) for number, links in self._meter.held(self.name)),
            complete=self._meter.is_complete,
        )

    def effect(self, name: str) -> ToxicEffect | None:
        return self._meter.effect(self.name, name) if isinstance(self._meter, EngineMeter) else None

    def probe(
        self, name: str, kind: str, stream: str, attributes: Attributes
    ) -> AbstractContextManager[Callable[[], ToxicEffect | None]]:
        if isinstance(self._meter, EngineMeter):
            return contextlib.nullcontext(lambda: None)
        tried = probe.Tried(kind, stream, attributes)
        return probe.probing(self._api, f"{self.name}-probe-{name}", tried, self._inside)

    def acts(self, name: str) -> int:
        return self._meter.count(self.name).acts[name] if isinstance(self._meter, EngineMeter) else 0

    def _say_if_keeping(self) -> None:
        self._meter.keeps(self.name, any(stream == "downstream" for _, stream, _ in self._toxics.values()))


class Toxiproxy(Proxies):
    """All links of a controller, on one server.

    Our proxies carry a prefix, and only they are ever deleted. Use `start` to make an instance.
    """

    def __init__(self, server: _Server, own: _OwnServer | None) -> None:
        self._server = server
        self._own = own
        self._owner = owners.Owner() if own is None else None
        # Our own server has no other proxies, and the random draws of an engine repeat if the names of proxies do.
        self._prefix = "rdzv-play" if self._owner is None else self._owner.prefix
        self._worlds = 0

    @classmethod
    def start(
        cls,
        children: ChildProcesses,
        log_path: Path,
        *,
        url: str | None = None,
        place: ServerLauncher | None = None,
        announce: Announce | None = None,
    ) -> Toxiproxy:
        """A server of our own (see `proxy_server.require_server`), or the one at `url`.

        Args:
            children: starts and ends processes here.
            log_path: the log of a server of our own.
            place: where a server of our own runs; None: the real server here, as a child.
            announce: called before any proxy is made on the server at `url`.

        Raises UsageError for a URL that is not on loopback or does not answer, Unsupported if there is no server on
        this machine, ProxyLost if it does not start.
        """
        if url is not None:
            return cls._given(parse_url(url), announce)
        own = _OwnServer(place or LocalServerLauncher(children, proxy_server.require_server()), log_path)
        try:
            return cls(own.launch(), own)
        except BaseException:
            own.end()
            raise

    @classmethod
    def _given(cls, address: Endpoint, announce: Announce | None) -> Toxiproxy:
        try:
            secret = os.environ.get(token.VARIABLE, "")
            pid = _pid_behind(address)
            unseen = "" if pid is not None and stalls.watch(pid, _NAME) else "; whether it stands still cannot be seen"
            server = _Server.at(
                address,
                secret,
                f"given: http://{address}{unseen}",
                lambda api: KernelMeter(pid, None, api.received_bytes),
            )
            there = server.api.proxies()
            for name in owners.of_ended_owners(there):
                server.api.delete(there[name])
        except HarnessError as error:
            raise no_answer(address, error) from error
        given = cls(server, None)
        if announce is not None:
            announce(address, given._prefix)
        return given

    def describe(self) -> str:
        return self._server.description

    def make(self, specs: Sequence[LinkSpec], listen: str = "127.0.0.1", seed: int = 0) -> Sequence[Link]:
        if not specs:
            return ()
        self._worlds += 1
        if self._own is not None and self._server.engine is None and self._worlds % WORLDS_PER_SERVER == 0:
            self.restart()
        if self._own is not None:
            self._own.mark_log()
        play = seed if self._server.engine is not None else self._worlds
        names = [f"{self._prefix}-{play}-{index}-rank{spec.rank}" for index, spec in enumerate(specs)]
        server = self._server
        proxies = server.api.populate([(n, spec.upstream) for n, spec in zip(names, specs, strict=True)], listen)
        inside = contextlib.nullcontext if self._own is None else self._own.place.inside
        made = zip(specs, proxies, strict=True)
        links = [ToxiproxyLink(spec, proxy, server.api, server.meter, inside) for spec, proxy in made]
        for link in links:
            server.meter.add(link.name, link.address.port, link.upstream.port)
        return links

    def require(self, who: str) -> None:
        if self._server.engine is None:
            super().require(who)

    def watch(self, links: Sequence[Link], waited: Mapping[WireMoment, bool]) -> EngineWatch:
        assert self._server.engine is not None
        return EngineWatch(self._server.engine, {link.name: link.rank for link in links}, waited)

    def account(self, links: Sequence[Link]) -> Sequence[Mapping[str, Any]]:
        meter = self._server.meter
        if not isinstance(meter, EngineMeter):
            return ()
        meter.look()
        return [
            {"rank": link.rank, "upstream": str(link.upstream), **meter.count(link.name).to_json()} for link in links
        ]

    def unrecorded(self) -> str:
        return "" if self._server.logs_messages else super().unrecorded()

    def wire(self, links: Sequence[Link]) -> Wire | None:
        engine = self._server.engine
        if engine is None or not self._server.logs_messages:
            return None
        ranks = {link.name: link.rank for link in links}
        return wire_of(*engine.messages(ranks), ranks)

    def remove(self, links: Sequence[Link]) -> None:
        self._server.meter.forget([link.name for link in links])
        there = self._server.api.proxies()
        for link in links:
            if link.name in there:
                self._server.api.delete(there[link.name])
        self._check_what_is_left({link.name for link in links})

    def _check_what_is_left(self, removed: set[str]) -> None:
        there = self._server.api.proxies()
        if left := sorted(removed & there.keys()):
            raise ProxyLost(f"deleted proxies are still there: {', '.join(left)}; the server must be restarted")
        if self._own is not None and there.keys() - self._ours(there) != self._own.sentinels:
            raise ProxyLost(f"our own server has foreign proxies, or lost its sentinel: {', '.join(sorted(there))}")

    def restart(self) -> None:
        if self._own is None:
            raise ProxyLost(f"{self.describe()} was lost and is not ours to restart; restart it and run again")
        self._server.close()
        self._own.end()
        self._server = self._own.launch(self._server)

    def close(self) -> None:
        try:
            if self._own is not None:
                self._own.end()
            else:
                there = self._server.api.proxies()
                for name in self._ours(there):
                    self._server.api.delete(there[name])
        finally:
            self._server.close()
            if self._owner is not None:
                self._owner.close()

    def log(self) -> str:
        return "" if self._own is None else self._own.log()

    def _ours(self, there: Mapping[str, RemoteProxy]) -> set[str]:
        return {name for name in there if name.startswith(f"{self._prefix}-")}


@dataclass(frozen=True)
class _Server:
    """A server that answers.

    Attributes:
        engine: its extensions; None for a real server.
        logs_messages: whether it is an engine with a log of messages.
    """

    api: Api
    engine: EngineApi | None
    meter: Meter
    description: str
    logs_messages: bool = False

    @classmethod
    def at(cls, address: Endpoint, secret: str, origin: str, meter: Callable[[Api], KernelMeter]) -> _Server:
        """Ask which server it is; `secret` is its token, `meter` is for a real one."""
        api, engine = Api(address, secret), EngineApi(address, secret)
        about = engine.about()
        if about is not None:
            description = f"embedded engine {about.version}, behaves as {about.behaves_as} ({origin})"
            return cls(api, engine, EngineMeter(engine), description, about.logs_messages)
        engine.close()
        return cls(api, None, meter(api), f"toxiproxy-server {api.version()} ({origin})")

    def close(self) -> None:
        """Close the connections to it."""
        self.api.close()
        if self.engine is not None:
            self.engine.close()


class _OwnServer:
    """The server that we started, and may start again."""

    def __init__(self, place: ServerLauncher, log_path: Path) -> None:
        self.place = place
        self._log_path = log_path
        self._log_from = 0
        self._running: RunningServer | None = None

    def launch(self, like: _Server | None = None) -> _Server:
        """Start it; `like`: a server of the same kind, so that it need not be asked which it is."""
        running = self._running = self.place.launch(self._log_path)
        self._log_from = 0
        stalls.watch(running.pid, _NAME)

        def meter(api: Api) -> KernelMeter:
            return KernelMeter(running.pid, self._log_path, api.received_bytes, self.place.inside)

        if like is not None and like.engine is None:
            api = Api(running.api)
            return replace(like, api=api, meter=meter(api))
        return _Server.at(running.api, running.token, self.place.origin, meter)

    @property
    def sentinels(self) -> set[str]:
        """The proxies that exist from the start; an engine has none."""
        return {self._running.sentinel} - {""} if self._running is not None else set()

    def end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            self.place.stop(running)
            stalls.forget(running.pid)

    def mark_log(self) -> None:
        self._log_from = self._log_path.stat().st_size if self._log_path.exists() else 0

    def log(self) -> str:
        if not self._log_path.exists():
            return ""
        with self._log_path.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")


def _pid_behind(address: Endpoint) -> int | None:
    """The pid that listens there, if it can be read; without it, swallowed bytes cannot be counted."""
    return next((one.pid for one in sockets.listeners() if one.address.port == address.port and one.pid), None)
