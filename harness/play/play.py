"""Playing one scenario: the only place that knows the order from a world being opened to its history being whole."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness import __version__, clock
from harness.archive import PLAN, write, write_history
from harness.machine.process.stack_reader import Reading, TreeReading
from harness.machine.process.stalls import StallWatch
from harness.play.acts import Acts
from harness.play.addresses import Addresses
from harness.play.fault_context import PlayFaultContext
from harness.play.hang_guard import HangGuard
from harness.play.leftovers import await_listener, end_forked, left_behind, require_ports
from harness.play.needs import wants_engine
from harness.play.nemesis import Nemesis
from harness.play.options import Order
from harness.play.plan import make_plan
from harness.play.poll import Poll
from harness.play.rank_group import RankGroup
from harness.play.ranks import Ranks
from harness.play.recording import Log
from harness.play.sights import Sights
from harness.play.torchrun_ranks import TorchrunRanks
from harness.play.wire import Wire, keep_messages
from harness.proxies.base import Link, Proxies
from harness.scenario.moment import START
from harness.scenario.scenario import Scenario
from harness.schedule.progress import FoldedProgress
from harness.schedule.schedule import Decisions, Schedule
from harness.values.errors import HarnessError, ProxyLost, Unsupported
from harness.values.ops import LINK
from harness.values.refusals import describe, is_refusal
from harness.worlds.base import Host, World, WorldSession

READY_LIMIT_NS = 90_000_000_000
"""A clone is ready in milliseconds; eight fresh interpreters that import torch on a busy machine take a minute."""

CLOSING_LIMIT_NS = 30_000_000_000
"""After the play every rank leaves within its guard; this is on top, for the machine."""

HEAD_START_NS = 20_000_000
"""A worker that meets no listener backs off for half a second (torch's own delay), and which of two processes that were
released at one moment comes first is chance. Late masters are scenarios of their own, so in a common start the master
comes first."""

BEGIN_LIMIT_NS = 1_000_000_000
"""A rank begins within a millisecond of its release; one that was not scheduled for a second is not waited for."""

NO_LINKS = "no proxy is on the way"
"""Why a play without links has no messages."""


class Interrupted(HarnessError):
    """The parent asked for an end."""


@dataclass(frozen=True)
class PlayResources:
    """What a controller keeps over many plays.

    Attributes:
        proxies: those that a scenario is played through.
        free_port: gives a port for the endpoint.
        interrupt_fd: polled; readable means that the parent wants an end, or is gone.
    """

    world: World
    proxies: Callable[[Scenario], Proxies]
    doorbell_fd: int
    free_port: Callable[[], int]
    interrupt_fd: int
    interpreter: str


def play(order: Order, resources: PlayResources) -> None:
    """Play a scenario and leave its history in the run directory, whatever happens.

    What goes wrong in the harness is the `end` operation's `error`; raised is only an interruption, and a HarnessError
    if no whole history can be written.
    """
    schedule = Schedule(order.scenario)
    log = Log(order.run_dir / "ops" / "controller.jsonl", FoldedProgress(schedule.lives))
    acts, watch = Acts(), StallWatch()
    try:
        with acts:
            acts.enter_context(watch)
            _perform(order, resources, schedule, log, acts, watch)
    except Interrupted:
        raise
    except Exception as error:  # whatever it is, it is no statement about the subject
        if not isinstance(error, HarnessError):
            _keep_traceback(order.run_dir, error)
    finally:
        try:
            log.note_stalls(watch.take())
            log.note("end", _end_of(acts.errors))
            write_history(order.run_dir, log.ops)
        except HarnessError as error:
            raise HarnessError("; ".join(dict.fromkeys([*map(_reason, acts.errors), str(error)]))) from error
        finally:
            log.close()
            resources.world.resources.children.forget()


def _end_of(errors: Sequence[Exception]) -> dict[str, Any]:
    """What the `end` operation says."""
    if len(errors) == 1 and isinstance(errors[0], Unsupported):
        return {"unsupported": [errors[0].need, errors[0].reason]}
    if any(isinstance(error, Interrupted) for error in errors):
        return {"error": "interrupted"}
    return {"error": "; ".join(dict.fromkeys(map(_reason, errors)))} if errors else {}


def _reason(error: Exception) -> str:
    return describe(error) if is_refusal(error) else f"{type(error).__name__}: {error}"


def _keep_traceback(run_dir: Path, error: BaseException) -> None:
    """An error that is not a HarnessError is a bug of the harness: keep where it came from."""
    text = "".join(traceback.format_exception(error))
    with suppress(OSError):  # it may be the error that is being reported
        (run_dir / "logs" / "harness-error.txt").write_text(text)


def _perform(
    order: Order, resources: PlayResources, schedule: Schedule, log: Log, acts: Acts, watch: StallWatch
) -> None:
    """Acquire everything in order; `acts` gives it back in reverse, also after a failure."""
    scenario = order.scenario
    session = acts.enter_context(resources.world.open(scenario, order.run_dir))
    addresses = Addresses(scenario, resources.free_port(), session.master_host.address, session.endpoint_host)
    proxies = _LazyProxies(partial(resources.proxies, scenario))
    links = acts.enter_context(_linked(order, proxies, addresses, session, log))
    addresses = addresses.with_links(links)
    _begin_record(order, resources, session, addresses, proxies, log)
    acts.enter_context(_looking_for_leftovers(session, addresses, log))
    poll = Poll(lambda: log.note_stalls(watch.take()))
    poll.register(resources.interrupt_fd, _interrupt)
    ranks = acts.enter_context(_rank_processes(order, resources, schedule, session, addresses, log))
    for descriptor in (session.fileno(), *ranks.descriptors()):
        poll.register(descriptor, ranks.reap)
    poll.register(resources.doorbell_fd, ranks.hear)
    reading = partial(Reading if scenario.job is None else TreeReading, session.children)
    guard = HangGuard(scenario, schedule.lives, log.progress, ranks, reading, order.run_dir)
    acts.enter_context(_leaving(ranks, guard, poll))
    context = PlayFaultContext(scenario, log, ranks, session, addresses, order.seed)
    nemesis = acts.enter_context(Nemesis(scenario, context, log.record, ranks.restart, clock.now_ns))
    wire = acts.enter_context(Wire(scenario, log.record, poll))
    if wire.is_awaited:
        wire.arm(proxies.get(), links)  # before any rank can send anything
    nemesis.arm()
    seen = Sights(scenario, order.run_dir, session, log.progress, log.record)
    _Play(order, schedule, log, poll, ranks, guard, nemesis, wire, seen, session.master_host, addresses.main.port).run()


# -- the acts ------------------------------------------------------------------------------------------------------


class _LazyProxies:
    """The proxy server of a play, started when it is needed first; one that does not come up is this play's error."""

    def __init__(self, start: Callable[[], Proxies]) -> None:
        self._start = start
        self._proxies: Proxies | None = None

    def get(self) -> Proxies:
        if self._proxies is None:
            self._proxies = self._start()
        return self._proxies


@contextmanager
def _linked(
    order: Order, lazy: _LazyProxies, addresses: Addresses, session: WorldSession, log: Log
) -> Iterator[Sequence[Link]]:
    """All links of a play; a proxy server that was lost since the last play is started again."""
    specs = addresses.link_specs()
    if not specs:
        yield ()
        return
    proxies = lazy.get()
    if who := wants_engine(order.scenario):
        proxies.require(who)
    address = session.proxy_host.address
    try:
        links = proxies.make(specs, address, order.seed)
    except ProxyLost:
        proxies.restart()
        links = proxies.make(specs, address, order.seed)
    try:
        yield links
    finally:
        try:
            write(order.run_dir / "logs" / "proxy.log", proxies.log())
            for row in proxies.account(links):
                log.note(LINK, row)
            keep_messages(order.run_dir, proxies.wire(links), log)
        finally:
            proxies.remove(links)


def _begin_record(
    order: Order,
    resources: PlayResources,
    session: WorldSession,
    addresses: Addresses,
    proxies: _LazyProxies,
    log: Log,
) -> None:
    scenario = order.scenario
    log.note(
        "begin",
        {
            "title": scenario.title,
            "scenario": str(scenario.path),
            "cell": dict(scenario.cell),
            "subject": order.subject,
            "seed": order.seed,
            "size": scenario.world.size,
            "timeout_ns": scenario.world.timeout_ns,
            "versions": {"harness": __version__, **resources.world.versions()},
            "proxy": proxies.get().describe() if addresses.links else "none (direct)",
            "no_wire": proxies.get().unrecorded() if addresses.links else NO_LINKS,
            "world": dict(session.describe()),
            "interpreter": resources.interpreter,
            "endpoint": str(addresses.main),
        },
    )


@contextmanager
def _looking_for_leftovers(session: WorldSession, addresses: Addresses, log: Log) -> Iterator[None]:
    """After a play that went to its end: what is there that was not there before the ranks.

    On a network that others use too, nobody else may hold a port of this world, before or after: raises HarnessError.
    """
    standing = frozenset(session.children.others())
    shared = session.describe().get("private_network") is False
    if shared:
        require_ports(session, addresses.ports)
    yield
    log.note("left_behind", left_behind(session, standing, addresses.ports, shared))
    if shared:
        require_ports(session, addresses.ports)


@contextmanager
def _rank_processes(
    order: Order, resources: PlayResources, schedule: Schedule, session: WorldSession, addresses: Addresses, log: Log
) -> Iterator[RankGroup]:
    """The ranks, before any is launched; on exit every process that still lives is ended."""
    plan = order.run_dir / PLAN
    python = session.python_of_ranks(order.options.python)
    write(plan, json.dumps(make_plan(order, addresses, session.seen_by_ranks(order.run_dir), python).to_json()))
    kind = Ranks if order.scenario.world.torchrun is None else TorchrunRanks
    ranks = kind(order.scenario, schedule, log, session, resources.doorbell_fd, order.run_dir, plan)
    try:
        yield ranks
    finally:
        ranks.close()
        end_forked(session, log.ops)


@contextmanager
def _leaving(ranks: RankGroup, guard: HangGuard, poll: Poll) -> Iterator[None]:
    """After a play that went to its end: wait until every rank has left."""
    yield
    deadline_ns = clock.now_ns() + CLOSING_LIMIT_NS
    while ranks.living():
        now_ns = clock.now_ns()
        guard_ns = guard.enforce(now_ns)
        if guard_ns is None and now_ns > deadline_ns:
            raise HarnessError("a rank did not leave although none of its calls runs; see logs/")
        poll.wait(_earliest(guard_ns, deadline_ns))
    ranks.check()


def _interrupt() -> None:
    raise Interrupted("the parent asked for an end, or is gone")


# -- the play ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Play:
    """The middle of a play: ranks are made ready, the clock starts, and what the schedule decides is done."""

    order: Order
    schedule: Schedule
    log: Log
    poll: Poll
    ranks: RankGroup
    guard: HangGuard
    nemesis: Nemesis
    wire: Wire
    sights: Sights
    master_host: Host
    port: int

    def run(self) -> None:
        self._assemble()
        self._inject_at_start()
        self.log.note("start")
        self._play_to_the_end()
        self._conclude()

    @property
    def _scenario(self) -> Scenario:
        return self.order.scenario

    def _assemble(self) -> None:
        """Make the processes of all ranks that will come, and wait until each is ready."""
        self.ranks.launch([rank for rank, spec in enumerate(self._scenario.world.ranks) if spec.start is not None])
        deadline_ns = clock.now_ns() + READY_LIMIT_NS
        while not self.ranks.all_ready():
            if clock.now_ns() > deadline_ns:
                raise HarnessError(f"not all ranks were ready within {READY_LIMIT_NS // 10**9} s; see logs/")
            self.poll.wait(deadline_ns)
        self.ranks.check()

    def _inject_at_start(self) -> None:
        for fault in self._scenario.faults:
            if fault.after == START:
                self.nemesis.inject(fault.name)

    def _play_to_the_end(self) -> None:
        while True:
            self.sights.look()
            now_ns = clock.now_ns()
            decisions = self.schedule.decide(self.log.progress, now_ns)
            if decisions.over:
                return
            self._perform(decisions)
            self.wire.go_on()
            guard_ns = self.guard.enforce(clock.now_ns())
            self.poll.wait(_earliest(decisions.wake_ns, guard_ns) if decisions.idle else now_ns)
            self.ranks.check()

    def _perform(self, decisions: Decisions) -> None:
        for rank in decisions.never_start:
            self.ranks.never_start(rank, "the rank never comes")
        for name in decisions.heal:
            self.nemesis.heal(name)
        for name in decisions.inject:
            self.nemesis.inject(name)
        self._release(decisions.begin)
        self.ranks.open_gates(decisions.go, decisions.skip)

    def _release(self, ranks: Sequence[int]) -> None:
        """Send ranks off together: masters first, the others once the endpoint listens, or `HEAD_START_NS` later."""
        masters = [rank for rank in ranks if self._is_master(rank)]
        others = [rank for rank in ranks if rank not in masters]
        self.ranks.release(masters)
        if masters and others:
            self._await_begin(masters)
            await_listener(self.master_host, self.port, HEAD_START_NS)
        self.ranks.release(others)

    def _await_begin(self, masters: Sequence[int]) -> None:
        """Until these ranks have begun a call, unless their first must wait; on a busy machine that takes a while."""
        at_once = [rank for rank in masters if self._begins_at_once(rank)]
        deadline_ns = clock.now_ns() + BEGIN_LIMIT_NS
        while clock.now_ns() < deadline_ns and any(not self.ranks.has_begun(rank) for rank in at_once):
            self.poll.wait(deadline_ns)

    def _begins_at_once(self, rank: int) -> bool:
        steps = self._scenario.steps_of(rank, 1, "main")
        return bool(steps) and steps[0].after is None and self.order.subject != "command"

    def _is_master(self, rank: int) -> bool:
        return any(config.rank == 0 for config in self._scenario.world.ranks[rank].handlers.values())

    def _conclude(self) -> None:
        """Take the evidence of what is active, and let every rank leave; the acts heal and wait."""
        self.wire.leave()
        for rank in range(self._scenario.world.size):
            state = self.log.progress.rank(rank)
            if not state.begun and not state.ended:
                self.ranks.never_start(rank, "the play ended before the rank came")
        self.nemesis.take_evidence()
        self.ranks.dismiss()


def _earliest(*times_ns: int | None) -> int | None:
    known = [time_ns for time_ns in times_ns if time_ns is not None]
    return min(known) if known else None
