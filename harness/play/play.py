"""Playing one scenario: the only place that knows the order from a world being made to its history being whole."""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness import __version__, clock
from harness.archive import PLAN, write_history
from harness.play.hang_guard import HangGuard
from harness.play.leftovers import await_listener, end_forked, left_behind
from harness.play.needs import wants_engine
from harness.play.nemesis import Nemesis
from harness.play.options import Order
from harness.play.ranks import Ranks
from harness.play.recording import LagMeter, Recording
from harness.play.surroundings import PlayFaultContext, endpoint_of, link_specs, make_plan
from harness.play.torchrun_ranks import TorchrunRanks
from harness.play.wire import Wire
from harness.proxies.base import Link, Proxies
from harness.scenario.moment import START
from harness.scenario.scenario import Scenario
from harness.schedule.progress import Progress
from harness.schedule.schedule import Decisions, Schedule
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost, Unsupported
from harness.values.ops import LINK
from harness.worlds.base import World

READY_LIMIT_NS = 90_000_000_000
"""A clone is ready in milliseconds; eight fresh interpreters that import torch on a busy machine take a minute."""

CLOSING_LIMIT_NS = 30_000_000_000
"""After the play every rank leaves within its guard; this is on top, for the machine."""


HEAD_START_NS = 20_000_000
"""A worker that meets no listener backs off for half a second (torch's own delay), and which of two processes that were
released at one moment comes first is a lottery. Late masters are scenarios of their own, so a common start is none."""


BEGIN_LIMIT_NS = 1_000_000_000
"""A rank begins within a millisecond of being told; one that was not scheduled for a second is not waited for."""


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

    What goes wrong in the harness is the `end` operation's `error`; only an interruption is raised.
    """
    performance = _Play(order, resources)
    end: dict[str, Any] = {}
    try:
        performance.perform()
    except Unsupported as unsupported:
        end = {"unsupported": [unsupported.need, unsupported.reason]}
    except Interrupted:
        end = {"error": "interrupted"}
        raise
    except Exception as error:  # whatever it is, it is no statement about the subject
        end = {"error": f"{type(error).__name__}: {error}"}
        if not isinstance(error, HarnessError):
            performance.keep_traceback(error)
    finally:
        end.update(performance.close())
        performance.recording.note("end", end)
        performance.recording.close()
        write_history(order.run_dir, performance.recording.ops)
        resources.world.children.forget()


class _Play:
    def __init__(self, order: Order, resources: PlayResources) -> None:
        self._order, self._resources = order, resources
        self._scenario = order.scenario
        self._progress = Progress()
        self._schedule = Schedule(order.scenario)
        self.recording = Recording(order.run_dir / "ops" / "controller.jsonl")
        self._lag = LagMeter(lambda lag_ns: self.recording.note("lag", lag_ns=lag_ns))
        self._wire = Wire(order.scenario, self._progress, self.recording.add)
        self._links: Sequence[Link] = ()
        self._cast: Ranks | None = None
        self._nemesis: Nemesis | None = None
        self._poll = select.poll()
        for fd in (resources.doorbell_fd, resources.world.fileno(), resources.interrupt_fd):
            self._poll.register(fd, select.POLLIN)

    # -- the order of a play -----------------------------------------------------------------------------------

    def perform(self) -> None:
        port = self._resources.free_port()
        self._resources.world.stage(self._scenario, self._order.run_dir)
        self._make_links(port)
        self._make_cast(port)
        self._begin_record()
        self._standing = frozenset(self._resources.world.children.others())
        self._watch_wire()
        self.nemesis.arm()
        self._assemble()
        self._inject_at_start()
        self._start_clock()
        self._play_to_the_end()
        self._close_up()

    def close(self) -> dict[str, Any]:
        """Let go of everything, also after a failure; returns what to add to the `end` operation."""
        problems: list[str] = []
        acts = (self._leave_wire, self._heal_rest, self._end_cast, self._end_forked, self._remove_links)
        for act in (*acts, self._resources.world.strike):
            try:
                act()
            except Exception as error:  # each act must run, whatever the one before met
                problems.append(f"{type(error).__name__}: {error}")
        return {"error": "; ".join(problems)} if problems else {}

    def keep_traceback(self, error: BaseException) -> None:
        """An error that is none of ours is a bug of the harness: keep where it came from."""
        import traceback

        text = "".join(traceback.format_exception(error))
        (self._order.run_dir / "logs" / "harness-error.txt").write_text(text)

    @cached_property
    def _proxies(self) -> Proxies:
        """Of the staged world; a server that does not come up is this play's error."""
        return self._resources.proxies(self._scenario)

    @property
    def cast(self) -> Ranks:
        assert self._cast is not None
        return self._cast

    @property
    def nemesis(self) -> Nemesis:
        assert self._nemesis is not None
        return self._nemesis

    # -- making ------------------------------------------------------------------------------------------------

    def _make_links(self, port: int) -> None:
        world = self._resources.world
        specs = link_specs(self._scenario, port, world.master_host.address)
        if specs:
            if who := wants_engine(self._scenario):
                self._proxies.require(who)
            address, seed = world.proxy_host.address, self._order.seed
            try:
                self._links = self._proxies.make(specs, address, seed)
            except ProxyLost:
                self._proxies.restart()
                self._links = self._proxies.make(specs, address, seed)

    def _watch_wire(self) -> None:
        """Before anybody can send anything; a scenario without messages starts no proxy server for their sake."""
        if not self._wire.is_awaited:
            return
        self._wire.arm(self._proxies, self._links)
        if self._wire.watch is not None:
            self._poll.register(self._wire.watch.fileno(), select.POLLIN)

    def _make_cast(self, port: int) -> None:
        order, resources = self._order, self._resources
        plan = make_plan(self._scenario, self._links, port, resources.world, order.subject, order.command, order.seed)
        path = order.run_dir / PLAN
        path.write_text(json.dumps(plan.to_json()), encoding="utf-8")
        self._cast = (TorchrunRanks if self._scenario.world.torchrun is not None else Ranks)(
            self._scenario, self._schedule, self._progress, self.recording, resources.world,
            resources.doorbell_fd, order.run_dir, path,
        )  # fmt: skip
        for fd in self._cast.descriptors():
            self._poll.register(fd, select.POLLIN)
        self._guards = HangGuard(self._scenario, self._progress, self._cast, resources.world, order.run_dir)
        self._endpoint = self._main_endpoint(port, resources.world.endpoint_host)
        self._ports = {
            endpoint_of(told, port, "").port for spec in self._scenario.world.ranks for told in spec.handlers.values()
        }
        stage = PlayFaultContext(
            self._scenario, self._progress, self._cast, self._guards, resources.world, self._links,
            self._main_endpoint(port, resources.world.master_host.address),
            order.run_dir, order.seed,
        )  # fmt: skip
        self._nemesis = Nemesis(self._scenario, stage, self._progress, self.recording.add, clock.now_ns)

    def _main_endpoint(self, port: int, host: str) -> Endpoint:
        """The endpoint of the world: what the first process told rank 0 serves, else what the first is told."""
        told = [told for spec in self._scenario.world.ranks for told in spec.handlers.values()]
        masters = [one for one in told if one.rank == 0] or told
        return endpoint_of(masters[0], port, host) if masters else Endpoint(host, port)

    def _begin_record(self) -> None:
        scenario, world = self._scenario, self._resources.world
        self.recording.note(
            "begin",
            {
                "title": scenario.title,
                "scenario": str(scenario.path),
                "cell": dict(scenario.cell),
                "subject": self._order.subject,
                "seed": self._order.seed,
                "size": scenario.world.size,
                "timeout_ns": scenario.world.timeout_ns,
                "versions": {"harness": __version__, **world.versions()},
                "proxy": self._proxies.describe() if self._links else "none (direct)",
                "world": dict(world.describe()),
                "interpreter": self._resources.interpreter,
                "endpoint": str(self._endpoint),
            },
        )

    def _assemble(self) -> None:
        """Make all rank processes that will come and wait until each is ready."""
        ranks = [rank for rank, spec in enumerate(self._scenario.world.ranks) if spec.start is not None]
        self.cast.launch(ranks)
        deadline_ns = clock.now_ns() + READY_LIMIT_NS
        while not self.cast.all_ready():
            if clock.now_ns() > deadline_ns:
                raise HarnessError(f"not all ranks were ready within {READY_LIMIT_NS // 10**9} s; see logs/")
            self._wait(deadline_ns)
            self.cast.listen()
        self.cast.check()

    def _inject_at_start(self) -> None:
        for fault in self._scenario.faults:
            if fault.after == START:
                self.nemesis.inject(fault.name)

    def _start_clock(self) -> None:
        self._progress.start_ns = self.recording.note("start")

    # -- the play ----------------------------------------------------------------------------------------------

    def _play_to_the_end(self) -> None:
        while True:
            self._wire.hear()
            self.cast.listen()
            self.cast.check()
            now_ns = clock.now_ns()
            decisions = self._schedule.decide(self._progress, now_ns)
            if decisions.over:
                return
            self._perform(decisions)
            self._wire.go_on()
            guard_ns = self._guards.enforce(clock.now_ns())
            if decisions.idle:
                self._wait(_earliest(decisions.wake_ns, guard_ns))

    def _perform(self, decisions: Decisions) -> None:
        for rank in decisions.never_start:
            self.cast.never_comes(rank, "the rank never comes")
        for name in decisions.heal:
            self.nemesis.heal(name)
        for name in decisions.inject:
            self.nemesis.inject(name)
        self._begin(decisions.begin)
        for rank, life, index in decisions.go:
            self.cast.tell(rank, {"go": index, "life": life})
            self._schedule.decided(rank, life, index)
        for rank, life, index, because in decisions.skip:
            self.cast.tell(rank, {"skip": index, "life": life, "because": because})
            self._schedule.decided(rank, life, index)

    def _begin(self, ranks: Sequence[int]) -> None:
        """Send ranks off together: masters first, the others once the endpoint listens, or `HEAD_START_NS` later."""
        masters = [rank for rank in ranks if self._is_master(rank)]
        for rank in masters:
            self.cast.begin(rank)
        others = [rank for rank in ranks if rank not in masters]
        if masters and others:
            self._await_begin(masters)
            await_listener(self._resources.world.master_host, self._endpoint.port, HEAD_START_NS)
        for rank in others:
            self.cast.begin(rank)

    def _await_begin(self, masters: Sequence[int]) -> None:
        """Until these ranks have begun a call, unless their first must wait; on a busy machine that takes a while."""
        at_once = [rank for rank in masters if self._begins_at_once(rank)]
        deadline_ns = clock.now_ns() + BEGIN_LIMIT_NS
        while clock.now_ns() < deadline_ns and any(not self.cast.has_begun(rank) for rank in at_once):
            self._wait(deadline_ns)
            self.cast.listen()

    def _begins_at_once(self, rank: int) -> bool:
        steps = self._scenario.steps_of(rank, 1, "main")
        return bool(steps) and steps[0].after is None and self._order.subject != "command"

    def _is_master(self, rank: int) -> bool:
        return any(told.rank == 0 for told in self._scenario.world.ranks[rank].handlers.values())

    def _close_up(self) -> None:
        """Heal what is active, in reverse; let every rank leave; see what is left."""
        self._leave_wire()
        for rank in range(self._scenario.world.size):
            state = self._progress.rank(rank)
            if not state.begun and not state.ended:
                self.cast.never_comes(rank, "the play ended before the rank came")
        self.nemesis.take_evidence()
        self.cast.dismiss()
        self.nemesis.heal_all()
        self._await_ends()
        self._end_forked()
        self._remove_links()
        self.recording.note("left_behind", left_behind(self._resources.world, self._standing, self._ports))

    def _leave_wire(self) -> None:
        if self._wire.watch is not None:
            self._poll.unregister(self._wire.watch.fileno())
            self._wire.close()

    def _await_ends(self) -> None:
        deadline_ns = clock.now_ns() + CLOSING_LIMIT_NS
        while self.cast.living():
            now_ns = clock.now_ns()
            guard_ns = self._guards.enforce(now_ns)
            if guard_ns is None and now_ns > deadline_ns:
                raise HarnessError("a rank did not leave although none of its calls runs; see logs/")
            self._wait(_earliest(guard_ns, deadline_ns))
            self.cast.listen()

    def _wait(self, until_ns: int | None) -> None:
        """Sleep until something happens, until then, or for one tick; measures how late it woke."""
        now_ns = clock.now_ns()
        due_ns = now_ns + LagMeter.TICK_NS if until_ns is None else min(until_ns, now_ns + LagMeter.TICK_NS)
        events = self._poll.poll(max(0, due_ns - now_ns) / 1e6)
        self._lag.woke(due_ns, clock.now_ns())
        if any(fd == self._resources.interrupt_fd for fd, _ in events):
            raise Interrupted("the parent asked for an end, or is gone")

    # -- letting go --------------------------------------------------------------------------------------------

    def _heal_rest(self) -> None:
        if self._nemesis is not None:
            self._nemesis.heal_all()

    def _end_cast(self) -> None:
        if self._cast is None:
            return
        self._cast.kill_all()
        deadline_ns = clock.now_ns() + CLOSING_LIMIT_NS
        while self._cast.living() and clock.now_ns() < deadline_ns:
            self._poll.poll(LagMeter.TICK_NS / 1e6)
            self._cast.listen()
        self._cast.kill_all()
        for fd in self._cast.descriptors():
            self._poll.unregister(fd)
        self._cast.close()

    def _end_forked(self) -> None:
        end_forked(self._resources.world, self.recording.ops)

    def _remove_links(self) -> None:
        links, self._links = self._links, ()
        if links:
            log = self._order.run_dir / "logs" / "proxy.log"
            log.write_text(self._proxies.log(), encoding="utf-8")
            for row in self._proxies.account(links):
                self.recording.note(LINK, row)
            self._proxies.remove(links)


def _earliest(*times_ns: int | None) -> int | None:
    known = [time_ns for time_ns in times_ns if time_ns is not None]
    return min(known) if known else None
