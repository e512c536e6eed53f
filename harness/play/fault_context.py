"""What the faults of one play may touch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from harness.play.addresses import Addresses
from harness.play.rank_group import RankGroup, RankProcess
from harness.play.recording import Log
from harness.proxies.base import Link
from harness.scenario.scenario import Scenario
from harness.steps import STEP_MEMBERS
from harness.values.endpoint import Endpoint
from harness.values.ops import RESUME, SUSPEND
from harness.worlds.base import Host, WorldSession


class PlayFaultContext:
    """Implements `harness.faults.base.FaultContext` for one play."""

    def __init__(
        self,
        scenario: Scenario,
        log: Log,
        ranks: RankGroup,
        session: WorldSession,
        addresses: Addresses,
        seed: int,
    ) -> None:
        self._scenario = scenario
        self._log = log
        self._progress = log.progress
        self._ranks = ranks
        self._session = session
        self._addresses = addresses
        self._seed = seed

    def links(self, ranks: Sequence[int]) -> Sequence[Link]:
        return [link for link in self._addresses.links if link.rank in ranks]

    def process(self, rank: int) -> RankProcess | None:
        """The rank's process; a rank that comes later than the start has none before it has begun."""
        process = self._ranks.process(rank)
        begun = self._progress.rank(rank).begun or self._progress.start_ns == 0
        return process if begun else None

    def expect_end(self, rank: int, fault: str) -> None:
        process = self._ranks.process(rank)
        if process is not None:
            self._ranks.expect_end(process, f"fault {fault}")

    def paused(self, rank: int, is_paused: bool) -> None:
        self._log.note(SUSPEND if is_paused else RESUME, {"rank": rank})

    @property
    def endpoint(self) -> Endpoint:
        return self._addresses.main_upstream

    def host(self, rank: int) -> Host:
        return self._session.host_of(rank)

    @property
    def hosts(self) -> Sequence[Host]:
        return self._session.hosts

    @property
    def master_host(self) -> Host:
        return self._session.master_host

    @property
    def proxy_host(self) -> Host:
        return self._session.proxy_host

    def seed(self, purpose: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._seed}:{purpose}".encode()).digest()[:8], "big")

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        return self._session.helper(module, arguments)

    @property
    def private_network(self) -> bool:
        return bool(self._session.describe().get("private_network"))

    def master_join_begun_since(self, time_ns: int) -> bool:
        """Whether a master was in a join, or began one, at or after that time."""
        self._ranks.hear()
        return any(
            self._in_join(step.name, rank, time_ns)
            for step in self._scenario.steps
            if STEP_MEMBERS[step.do].configures_handler
            for rank in step.ranks
            if self._is_master(rank, step.handler)
        )

    def _is_master(self, rank: int, handler: str) -> bool:
        config = self._scenario.world.ranks[rank].handlers.get(handler)
        return config is not None and config.rank == 0

    def _in_join(self, step: str, rank: int, time_ns: int) -> bool:
        return any(
            call.begun_ns is not None and (call.ended_ns is None or call.ended_ns >= time_ns)
            for key, call in self._progress.calls.items()
            if key[0] == step and key[1] == rank
        )
