"""A world without processes: scripted ranks, links that are only noted, and faults that follow their attributes."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

from harness.archive import create_run
from harness.faults.base import Evidence, FaultContext, FaultMember
from harness.machine.launch.rank_launcher import RankLauncher
from harness.play.options import Order, RunOptions
from harness.play.play import PlayResources
from harness.proxies.base import Link, LinkSpec, Proxies, WireWatch
from harness.scenario.moment import WireMoment
from harness.scenario.scenario import EXIT, Scenario
from harness.values.attribute import Declaration
from harness.values.endpoint import Endpoint
from harness.values.ops import INFO, INVOKE, OK, READY, Op, Process
from harness.worlds.base import LaunchOrder, RankHandle, World, WorldSession
from harness.worlds.processes import OneHostSession

PORT = 1
"""Nobody listens there."""


class ScriptedChildren:
    """No process at all; implements the part of `Children` that a play needs."""

    def __init__(self) -> None:
        self.strays: list[int] = []

    def others(self) -> list[int]:
        return list(self.strays)

    def forget(self) -> None: ...


class ScriptedRank(RankHandle):
    """A rank that writes its operations into the file that a play reads, when it gets a message."""

    session: ScriptedSession
    stays: bool = False
    is_gone: bool = False

    def close(self) -> None:
        """A rank whose control pipe is closed ends at once."""
        if not self.is_gone:
            self.end(0)

    def tell(self, message: Mapping[str, Any]) -> None:
        if self.is_gone:
            return
        self.session.sent.append((self.rank, dict(message)))
        if "begin" in message:
            self.session.script(self)
        elif "leave" in message and not self.stays:
            self.write(INVOKE, EXIT, EXIT)
            self.end(0)

    def write(self, type: str, f: str, step: str = "", value: Any = None) -> None:
        """Write an operation, and ring the doorbell."""
        self.session.now_ns += 1
        op = Op(self.session.clock(), Process(self.rank, life=self.life), type, f, step=step, value=value)
        with open(self.ops_path, "a") as file:
            file.write(json.dumps(op.to_json()) + "\n")
        os.write(self.session.doorbell_write, struct.pack("<HH", self.rank, self.life))

    def calls(self, step: str, f: str, value: Any = None) -> None:
        self.write(INVOKE, f, step)
        self.write(OK, f, step, value)

    def end(self, status: int) -> None:
        """The process ends with that wait status."""
        self.is_gone = True
        self.session.ended.append((self.pid, status))
        os.write(self.session.wake_write, b"\0")


def joins(rank: ScriptedRank) -> None:
    """The script of a rank that joins."""
    rank.calls("join", "rendezvous", {"rank": rank.rank, "world_size": 2})


class ScriptedSession(OneHostSession):
    """An open world of scripted ranks."""

    def __init__(self, script: Callable[[ScriptedRank], None], run_dir: Path, clock: Callable[[], int]) -> None:
        description = {"kind": "scripted", "private_network": True}
        super().__init__(ScriptedChildren(), cast(RankLauncher, None), lambda: description, run_dir)  # type: ignore[arg-type]
        self.script = script
        self.run_dir = run_dir
        self.clock = clock
        self.now_ns = 0
        self.sent: list[tuple[int, dict[str, Any]]] = []
        self.ended: list[tuple[int, int]] = []
        self.killed: list[int] = []
        self.ranks: list[ScriptedRank] = []
        self.wake_read, self.wake_write = os.pipe()
        self.doorbell_read, self.doorbell_write = os.pipe()
        os.set_blocking(self.doorbell_read, False)

    def launch(self, orders: Sequence[LaunchOrder], plan: Path) -> Sequence[RankHandle]:
        made = [self._make(order) for order in orders]
        for rank in made:
            rank.write(INFO, READY)
        return made

    def _make(self, order: LaunchOrder) -> ScriptedRank:
        path = self.run_dir / "ops" / f"rank-{order.rank}.life-{order.life}.jsonl"
        path.touch()
        rank = ScriptedRank(order.rank, order.life, 1000 + len(self.ranks), -1, path)
        rank.session = self
        self.ranks.append(rank)
        return rank

    def helper(self, module: str, arguments: Mapping[str, Any]) -> AbstractContextManager[int]:
        raise NotImplementedError

    def fileno(self) -> int:
        return self.wake_read

    def reap(self) -> list[tuple[int, int]]:
        ended, self.ended = self.ended, []
        if ended:
            os.read(self.wake_read, 4096)
        return ended

    def kill(self, pid: int) -> bool:
        self.killed.append(pid)
        next(rank for rank in self.ranks if rank.pid == pid).end(9)
        return True

    def close(self) -> None:
        for descriptor in (self.wake_read, self.wake_write, self.doorbell_read, self.doorbell_write):
            os.close(descriptor)


@dataclass
class Undone:
    """What was done and undone, in order; an act named in `fails` raises when it is undone."""

    log: list[str] = field(default_factory=list)
    fails: frozenset[str] = frozenset()

    def note(self, act: str) -> None:
        self.log.append(act)
        if act in self.fails:
            raise RuntimeError(f"{act} failed")


class ScriptedWorld(World):
    """The world in which such sessions are opened."""

    declaration = Declaration("scripted", "ranks that answer by a script", example="")
    capabilities = frozenset({"kill", "restart"})

    def __init__(self, session: ScriptedSession, undone: Undone) -> None:
        self.session = session
        self.undone = undone
        self.resources = session  # type: ignore[assignment] # only its children are asked for

    @contextlib.contextmanager
    def open(self, scenario: Scenario, run_dir: Path) -> Iterator[WorldSession]:
        self.undone.note("open world")
        try:
            yield self.session
        finally:
            self.undone.note("close world")

    def describe(self) -> Mapping[str, Any]:
        return self.session.describe()

    def versions(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None: ...


@dataclass(frozen=True)
class ScriptedLink:
    """A link that leads nowhere."""

    name: str
    rank: int
    address: Endpoint
    upstream: Endpoint


class ScriptedWatch:
    """Messages that pass when the test says so; implements `WireWatch`."""

    def __init__(self, undone: Undone) -> None:
        self._undone = undone
        self._read, self._write = os.pipe()
        self._passed: list[tuple[WireMoment, int]] = []
        self.went_on = 0

    def passes(self, message: WireMoment, time_ns: int) -> None:
        self._passed.append((message, time_ns))
        os.write(self._write, b"\0")

    def fileno(self) -> int:
        return self._read

    def read(self) -> Sequence[tuple[WireMoment, int]]:
        os.read(self._read, 4096)
        passed, self._passed = self._passed, []
        return passed

    def go_on(self) -> None:
        self.went_on += 1

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)
        self._undone.note("leave wire")


class ScriptedProxies(Proxies):
    """A proxy server whose links lead nowhere."""

    def __init__(self, undone: Undone) -> None:
        self._undone = undone
        self.watching: ScriptedWatch | None = None

    def describe(self) -> str:
        return "scripted"

    def require(self, who: str) -> None: ...

    def make(self, specs: Sequence[LinkSpec], listen: str = "127.0.0.1", seed: int = 0) -> Sequence[Link]:
        self._undone.note("make links")
        return [  # type: ignore[return-value]
            ScriptedLink(f"link-{spec.rank}", spec.rank, Endpoint(listen, 2 + spec.rank), spec.upstream)
            for spec in specs
        ]

    def watch(self, links: Sequence[Link], waited: Mapping[WireMoment, bool]) -> WireWatch:
        self.watching = ScriptedWatch(self._undone)
        return self.watching

    def remove(self, links: Sequence[Link]) -> None:
        self._undone.note("remove links")

    def restart(self) -> None: ...

    def close(self) -> None: ...


class ScriptedFault(FaultMember):
    """A fault that notes its injection and its healing."""

    declaration = Declaration("scripted", "a fault that touches what it is told", example="")
    layer = "rank"
    restarts_ranks = True
    undone: ClassVar[Undone]
    ends: ClassVar[tuple[int, ...]] = ()

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        self.undone.note(f"inject {self.fault.name}")
        for rank in self.ends:
            process = context.process(rank)
            assert process is not None
            context.expect_end(rank, self.fault.name)
            next(one for one in process.handle.session.ranks if one.pid == process.pid).end(9)  # type: ignore[attr-defined]
        self.ended_ranks = self.ends
        try:
            yield lambda: Evidence(True, {})
        finally:
            self.undone.note(f"heal {self.fault.name}")


@dataclass
class ScriptedPlay:
    """All that one scripted play needs, and its results."""

    order: Order
    resources: PlayResources
    session: ScriptedSession
    proxies: ScriptedProxies
    undone: Undone


@contextlib.contextmanager
def scripted_play(
    scenario: Scenario,
    tmp_path: Path,
    script: Callable[[ScriptedRank], None] = joins,
    fails: frozenset[str] = frozenset(),
) -> Iterator[ScriptedPlay]:
    """A scripted play of a scenario: run it with `play(scripted.order, scripted.resources)`."""
    from harness import clock

    undone = Undone(fails=fails)
    run_dir = create_run(tmp_path / "runs", scenario, {})
    session = ScriptedSession(script, run_dir, clock.now_ns)
    proxies = ScriptedProxies(undone)
    interrupt_read, interrupt_write = os.pipe()
    resources = PlayResources(
        world=ScriptedWorld(session, undone),
        proxies=lambda _: proxies,
        doorbell_fd=session.doorbell_read,
        free_port=lambda: PORT,
        interrupt_fd=interrupt_read,
        interpreter="none",
    )
    ScriptedFault.undone, ScriptedFault.ends = undone, ()
    try:
        yield ScriptedPlay(
            Order(scenario, run_dir, RunOptions(subject="echo"), seed=0), resources, session, proxies, undone
        )
    finally:
        session.close()
        os.close(interrupt_read)
        os.close(interrupt_write)
