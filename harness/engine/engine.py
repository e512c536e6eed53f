"""The engine without HTTP: all proxies, and all changes to them."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from harness.engine import addresses, errors, go_json, settings
from harness.engine.addresses import AddressError, Target
from harness.engine.errors import ApiError
from harness.engine.journal import KEPT_EVENTS, Journal
from harness.engine.memory import Trimmer
from harness.engine.partitions import Partitions
from harness.engine.proxy import Proxy
from harness.engine.settings import ProxySettings
from harness.engine.toxic_stage import Toxic
from harness.engine.triggers import Action, Triggers
from harness.engine.wire.grammar import CODES
from harness.engine.wire.log import KEPT_MESSAGES, MessageLog

LOOPBACK = "127.0.0.1"
"""The default address of a proxy. The real server listens on all interfaces."""


class Engine:
    """The proxies, by name.

    Changes of proxies are done one after the other, since they may have to resolve a name. Changes of toxics never
    wait, and are done on every connection when the call returns.

    Args:
        codes: of the queries of the store; by default those of torch 2.15.
        seed: of all random draws: connections made in the same order get the same toxicity, jitter and slices.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seed: str,
        kept_events: int = KEPT_EVENTS,
        codes: Mapping[int, str] | None = None,
        kept_messages: int = KEPT_MESSAGES,
    ) -> None:
        self.proxies: dict[str, Proxy] = {}
        self.journal = Journal(kept_events)
        self.messages = MessageLog(self.journal.add, kept_messages)
        self.partitions: Partitions = Partitions(self.proxies)
        self.seed = seed
        self.triggers = Triggers(loop, self._actions(), self.journal.note, self._recheck_holds)
        self._codes = CODES if codes is None else codes
        self._loop = loop
        self._identities = itertools.count(1)
        self._changing = asyncio.Lock()
        self._memory = Trimmer(loop)

    def proxy(self, name: str) -> Proxy:
        """Raises ApiError if there is none."""
        if name not in self.proxies:
            raise errors.proxy_not_found()
        return self.proxies[name]

    # -- proxies -------------------------------------------------------------------------------------------------------

    async def create(self, wanted: ProxySettings, toxics: Sequence[Any] = ()) -> Proxy:
        """Make a proxy that has these toxics before its first client; raises ApiError, and then makes none."""
        wanted.check()
        async with self._changing:
            if wanted.name in self.proxies:
                raise errors.proxy_exists()
            proxy = self._new(wanted)
            for toxic in toxics:
                proxy.add_toxic(settings.read_toxic(toxic, proxy))
            if wanted.enabled:
                await self._start(proxy)
            self.proxies[proxy.name] = proxy
            return proxy

    async def update(self, name: str, value: Any) -> Proxy:
        """Change the addresses of a proxy, or enable or disable it; cuts its connections. Raises ApiError."""
        async with self._changing:
            proxy = self.proxy(name)
            wanted = ProxySettings.read(value, proxy)
            if await self._differs(proxy, wanted):
                proxy.stop("listen or upstream changed")
                proxy.listen, proxy.upstream = wanted.listen, wanted.upstream
            if wanted.enabled:
                await self._start(proxy)
            else:
                proxy.stop("disabled")
            return proxy

    def disable(self, name: str, cause: str) -> None:
        """Refuse clients and cut connections, at once; raises ApiError."""
        self.proxy(name).stop(cause)

    async def delete(self, name: str) -> None:
        """Delete a proxy and cut its connections; raises ApiError."""
        async with self._changing:
            self.proxy(name).stop("deleted")
            self.messages.forget(name)
            del self.proxies[name]

    async def populate(self, wanted: Sequence[ProxySettings], done: list[Proxy]) -> None:
        """Make missing proxies and replace those that differ; appends each to `done`. May raise ApiError midway."""
        async with self._changing:
            for one in wanted:
                done.append(await self._make_or_keep(one))

    async def reset(self) -> None:
        """Enable every proxy and remove all toxics; raises ApiError at the first that cannot listen."""
        async with self._changing:
            for proxy in list(self.proxies.values()):
                await self._start(proxy)
                proxy.remove_toxics()

    def close(self) -> None:
        """Cut everything, at the end of the process."""
        for proxy in self.proxies.values():
            proxy.stop("engine ended")

    async def _make_or_keep(self, wanted: ProxySettings) -> Proxy:
        present = self.proxies.get(wanted.name)
        if present is not None:
            if not await self._differs(present, wanted):
                return present
            present.stop("replaced")
            self.messages.forget(present.name)
        proxy = self._new(wanted)
        if wanted.enabled:
            await self._start(proxy)
        self.proxies[proxy.name] = proxy
        return proxy

    def _new(self, wanted: ProxySettings) -> Proxy:
        return Proxy(
            wanted.name,
            wanted.listen,
            wanted.upstream,
            loop=self._loop,
            journal=self.journal,
            messages=self.messages,
            identities=self._identities,
            seed=self.seed,
            codes=self._codes,
            on_message=self.triggers.reached,
            on_freed=self._memory.ask,
        )

    async def _differs(self, proxy: Proxy, wanted: ProxySettings) -> bool:
        target = await self._resolve(wanted.listen)
        return str(target) != proxy.listen or wanted.upstream != proxy.upstream

    async def _start(self, proxy: Proxy) -> None:
        if proxy.enabled:
            return
        target = await self._resolve(proxy.listen)
        try:
            proxy.start(target)
        except OSError as error:
            raise errors.server_error(f"listen tcp {target}: bind: {os.strerror(error.errno or 0).lower()}") from error

    async def _resolve(self, listen: str) -> Target:
        try:
            return await addresses.resolve(listen or ":0", self._loop, LOOPBACK)
        except AddressError as error:
            raise errors.server_error(f"listen tcp: {error}") from error

    # -- toxics --------------------------------------------------------------------------------------------------------

    def toxic(self, proxy_name: str, name: str) -> tuple[Proxy, Toxic]:
        """A toxic and its proxy; raises ApiError."""
        proxy = self.proxy(proxy_name)
        toxic = proxy.toxic(name)
        if toxic is None:
            raise errors.toxic_not_found()
        return proxy, toxic

    def add_toxic(self, proxy_name: str, value: Any) -> Toxic:
        """Add a toxic at the end of its direction; raises ApiError."""
        proxy = self.proxy(proxy_name)
        toxic = settings.read_toxic(value, proxy)
        proxy.add_toxic(toxic)
        return toxic

    def update_toxic(self, proxy_name: str, name: str, value: Any) -> Toxic:
        """Change attributes and toxicity; if one is invalid, nothing is changed. Raises ApiError."""
        proxy, toxic = self.toxic(proxy_name, name)
        fields = go_json.an_object(value, "toxics.ToxicWrapper")
        behaviour = settings.read_attributes(fields, toxic.behaviour)
        toxicity = go_json.single(fields, "toxicity", toxic.toxicity)
        toxic.behaviour, toxic.toxicity = behaviour, toxicity
        proxy.toxic_changed(toxic)
        return toxic

    def remove_toxic(self, proxy_name: str, name: str) -> None:
        """Remove a toxic; raises ApiError."""
        proxy, toxic = self.toxic(proxy_name, name)
        proxy.remove_toxic(toxic)

    # -- triggers ------------------------------------------------------------------------------------------------------

    def _actions(self) -> Mapping[str, Action]:
        text = go_json.text
        return {
            "add_toxic": lambda given: self.add_toxic(text(given, "proxy"), given.get("toxic")),
            "update_toxic": lambda given: self.update_toxic(
                text(given, "proxy"), text(given, "name"), given.get("toxic")
            ),
            "remove_toxic": lambda given: self.remove_toxic(text(given, "proxy"), text(given, "name")),
            "disable": lambda given: self.disable(text(given, "proxy"), "disabled by a moment"),
            "partition": self.partitions.cut,
        }

    def _recheck_holds(self) -> None:
        for proxy in self.proxies.values():
            proxy.recheck_holds()


def as_api_error(error: Exception) -> ApiError:
    """Any error as an answer of the API."""
    return error if isinstance(error, ApiError) else errors.server_error(f"{type(error).__name__}: {error}")
