"""Where everything of one play listens: the real endpoints, the links to them, and what each rank is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.proxies.base import Link, LinkSpec
from harness.scenario.scenario import HandlerConfig, Scenario
from harness.values.endpoint import Endpoint


@dataclass(frozen=True)
class Addresses:
    """The addresses of one play.

    Attributes:
        free_port: the port of endpoints for which the scenario names none.
        master_address: the numeric address of the master's host.
        endpoint_host: what ranks are given for it: its name or its address.
        links: as the proxy server has made them; none before that, and under `route: direct`.
    """

    scenario: Scenario
    free_port: int
    master_address: str
    endpoint_host: str
    links: Sequence[Link] = field(default=())

    def with_links(self, links: Sequence[Link]) -> Addresses:
        return replace(self, links=tuple(links))

    def link_specs(self) -> list[LinkSpec]:
        """One link for each rank that is not the master and each endpoint of its handlers; none without a proxy."""
        if self.scenario.world.route == "direct":
            return []
        specs: dict[LinkSpec, None] = {}
        for rank, spec in enumerate(self.scenario.world.ranks):
            for config in spec.handlers.values():
                if config.rank != 0:
                    specs[LinkSpec(rank, self.upstream(config))] = None
        return list(specs)

    def real(self, config: HandlerConfig) -> Endpoint:
        """The endpoint that a handler's master serves, as ranks know it."""
        return self._filled(config, self.endpoint_host)

    def upstream(self, config: HandlerConfig) -> Endpoint:
        """The same with a numeric host, for proxy servers and faults."""
        return self._filled(config, self.master_address)

    def given(self, rank: int, config: HandlerConfig) -> Endpoint:
        """What a rank's handler gets: its link, or the real endpoint for the master and where there is no link."""
        real = self.real(config)
        return real if config.rank == 0 else self._by_link.get((rank, self.upstream(config)), real)

    @property
    def main(self) -> Endpoint:
        """The endpoint of the world as ranks know it: what the first master serves, else what the first rank gets."""
        config = self._main_config
        return Endpoint(self.endpoint_host, self.free_port) if config is None else self.real(config)

    @property
    def main_upstream(self) -> Endpoint:
        """The same with a numeric host."""
        config = self._main_config
        return Endpoint(self.master_address, self.free_port) if config is None else self.upstream(config)

    @property
    def ports(self) -> frozenset[int]:
        """The ports of all endpoints."""
        return frozenset(self.upstream(config).port for config in self._configs)

    @cached_property
    def _configs(self) -> tuple[HandlerConfig, ...]:
        return tuple(config for spec in self.scenario.world.ranks for config in spec.handlers.values())

    @property
    def _main_config(self) -> HandlerConfig | None:
        masters = (config for config in self._configs if config.rank == 0)
        return next(masters, next(iter(self._configs), None))

    @cached_property
    def _by_link(self) -> dict[tuple[int, Endpoint], Endpoint]:
        return {(link.rank, link.upstream): link.address for link in self.links}

    def _filled(self, config: HandlerConfig, host: str) -> Endpoint:
        port = self.free_port if config.port is None else config.port
        return Endpoint(host if config.host is None else config.host, port)
