"""The stage of one play: what faults may touch, and where everybody's endpoint and link lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.play.hang_guard import HangGuard
from harness.play.ranks import Member, Ranks
from harness.proxies.base import Link, LinkSpec
from harness.rank.subjects import needs_torch
from harness.scenario.scenario import HandlerConfig, Scenario
from harness.schedule import torchrun
from harness.schedule.progress import Progress
from harness.steps import modules_of
from harness.values.endpoint import Endpoint
from harness.values.errors import Unsupported
from harness.values.plan import HandlerPlan, Plan, RankPlan, StepPlan
from harness.worlds.base import Host, World


def endpoint_of(told: HandlerConfig, free_port: int, host: str) -> Endpoint:
    """The real endpoint that a handler is told, the world's free port and `host` filled in where it is told none."""
    return Endpoint(host if told.host is None else told.host, free_port if told.port is None else told.port)


def link_specs(scenario: Scenario, free_port: int, master_address: str) -> list[LinkSpec]:
    """One link for each rank told anything but rank 0 and each endpoint it is told; none under `route: direct`."""
    if scenario.world.route == "direct":
        return []
    specs: dict[LinkSpec, None] = {}
    for rank, spec in enumerate(scenario.world.ranks):
        for told in spec.handlers.values():
            if told.rank != 0:
                specs[LinkSpec(rank, endpoint_of(told, free_port, master_address))] = None
    return list(specs)


def make_plan(
    scenario: Scenario,
    links: Sequence[Link],
    free_port: int,
    world: World,
    subject: str,
    command: Sequence[str],
    seed: int,
) -> Plan:
    """What the rank processes are given; a staged world tells where the master lives."""
    addresses = {(link.rank, link.upstream): link.address for link in links}
    ranks = tuple(
        RankPlan(
            env=dict(spec.env),
            handlers={
                name: _handler_plan(rank, told, addresses, free_port, world) for name, told in spec.handlers.items()
            },
            fresh=spec.fresh,
        )
        for rank, spec in enumerate(scenario.world.ranks)
    )
    steps = tuple(
        StepPlan(
            index,
            step.name,
            step.do,
            step.ranks,
            dict(step.arguments),
            step.handler,
            step.thread,
            step.life,
            step.times,
            gated=step.after is not None,
        )
        for index, step in enumerate(scenario.steps)
    )
    modules = modules_of(step.do for step in scenario.steps)
    return Plan(subject, tuple(command), seed, steps, ranks, _max_restarts(scenario, subject), modules)


def _max_restarts(scenario: Scenario, subject: str) -> int | None:
    """Of torchrun agents; raises Unsupported for a subject that torchrun cannot have as its rendezvous."""
    if scenario.world.torchrun is None:
        return None
    if not needs_torch(subject):
        raise Unsupported("world.torchrun", f"{subject} is no rendezvous backend of torch; take --subject static")
    return torchrun.max_restarts(scenario)


def _handler_plan(
    rank: int, told: HandlerConfig, addresses: Mapping[tuple[int, Endpoint], Endpoint], free_port: int, world: World
) -> HandlerPlan:
    master = endpoint_of(told, free_port, world.endpoint_host)
    upstream = endpoint_of(told, free_port, world.master_host.address)
    given = master if told.rank == 0 else addresses.get((rank, upstream), master)
    return HandlerPlan(
        rank=told.rank,
        world_size=told.world_size,
        run_id=told.run_id,
        timeout_ns=told.timeout_ns,
        host=given.host,
        port=given.port,
        master_host=master.host,
        master_port=master.port,
        config=dict(told.config),
    )


class PlayFaultContext:
    """Implements `harness.faults.base.FaultContext` for one play."""

    def __init__(
        self,
        scenario: Scenario,
        progress: Progress,
        cast: Ranks,
        guards: HangGuard,
        world: World,
        links: Sequence[Link],
        endpoint: Endpoint,
        run_dir: Path,
        seed: int,
    ) -> None:
        self._scenario = scenario
        self._progress = progress
        self._cast = cast
        self._guards = guards
        self._world = world
        self._links = links
        self._endpoint = endpoint
        self._run_dir = run_dir
        self._seed = seed

    def links(self, ranks: Sequence[int]) -> Sequence[Link]:
        return [link for link in self._links if link.rank in ranks]

    def process(self, rank: int) -> Member | None:
        """The rank's process; a rank that comes later than the start has none before it has begun."""
        member = self._cast.member(rank)
        begun = self._progress.rank(rank).begun or self._progress.start_ns == 0
        return member if begun else None

    def expect_end(self, rank: int, fault: str) -> None:
        member = self._cast.member(rank)
        if member is not None:
            self._cast.expect_end(member, f"fault {fault}")

    def start_again(self, rank: int) -> None:
        self._cast.start_again(rank)

    def paused(self, rank: int, is_paused: bool) -> None:
        self._guards.paused(rank, is_paused)

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoint

    def host(self, rank: int) -> Host:
        return self._world.host_of(rank)

    @property
    def hosts(self) -> Sequence[Host]:
        return self._world.hosts

    @property
    def master_host(self) -> Host:
        return self._world.master_host

    @property
    def proxy_host(self) -> Host:
        return self._world.proxy_host

    def seed(self, purpose: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._seed}:{purpose}".encode()).digest()[:8], "big")

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        return self._world.helper(module, arguments, self._run_dir)

    @property
    def private_network(self) -> bool:
        return bool(self._world.describe().get("private_network"))

    def master_join_begun_since(self, time_ns: int) -> bool:
        """Whether a process told rank 0 was in a join, or began one, at or after that time."""
        self._cast.listen()
        for step in self._scenario.steps:
            if step.do == "rendezvous":
                masters = [r for r in step.ranks if self._told_zero(r, step.handler)]
                if any(self._in_join(step.name, rank, time_ns) for rank in masters):
                    return True
        return False

    def _told_zero(self, rank: int, handler: str) -> bool:
        told = self._scenario.world.ranks[rank].handlers.get(handler)
        return told is not None and told.rank == 0

    def _in_join(self, step: str, rank: int, time_ns: int) -> bool:
        return any(
            call.begun_ns is not None and (call.ended_ns is None or call.ended_ns >= time_ns)
            for key, call in self._progress.calls.items()
            if key[0] == step and key[1] == rank
        )
