"""The controllers of a run: started when there is work for them, timed, replaced when they are lost, ended with it."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from harness import clock
from harness.archive.writing import ANOTHER_RUNS_DIR
from harness.campaign import log_folders
from harness.campaign.local_controller import ControllerProcess
from harness.machine.docker import leases
from harness.play.channel import LONGEST_REASON, Answer, BadAnswer, Failed, ParentEnd, Played, Ready
from harness.play.options import Order, RunOptions, is_url
from harness.scenario.scenario import Scenario
from harness.schedule.time_limit import longest_ns
from harness.values.errors import HarnessError
from harness.values.printable import printable_lines
from harness.values.refusals import cannot_begin
from harness.worlds.base import WORLDS

STARTUP_LIMIT_NS = 120_000_000_000
"""A controller is up in 1.5 s; on a machine where many import torch at once it has taken half a minute."""

MOST_LOST_STARTS = 3
"""So many controllers in a row may end while they start, by a signal from outside for example, before the run ends."""

MARGIN_NS = 120_000_000_000
"""What a play may take beyond its own times: only a controller that is stuck takes longer."""

LONGEST_WAIT_S = 3600.0
"""One wait for controllers: `poll` takes at most 24 days, and a deadline may be later."""

MOST_ENGINE_WORLDS = 2
"""Worlds of containers side by side: the engine does one thing at a time, and four at once took twice as long each."""

HEALED_WITHIN_NS = 1_000_000_000
"""Healing and ending a world takes milliseconds. A controller that takes longer is cut off, and its world with it."""

REAPED_LATER_S = 0.2
"""How long the reaper is waited for if a controller was cut off: it goes on after this process."""

CONTROLLER_LOGS = ".controllers"
"""Beside the run directories: logs of what outlives a play. The pool deletes its own when it closes."""

HOST = "host"


class Controller(Protocol):
    """What the pool needs of a controller; `ControllerProcess` is one."""

    connection: ParentEnd

    def send(self, order: Order) -> None: ...

    def receive(self) -> Answer | None: ...

    def hang_up(self) -> None: ...

    def wait_gone(self, within_s: float) -> bool: ...

    def cut_off(self) -> None: ...

    def kill(self) -> None: ...

    def last_words(self) -> str: ...


StartController = Callable[[RunOptions, Path, str, str], Controller]
"""Starts a controller, given the options, its folder for logs, the kind of world that it begins with, its isolation."""


def readable(connections: Sequence[ParentEnd], timeout_s: float) -> Sequence[ParentEnd]:
    """The connections that can be read, waited for at most for a time in seconds."""
    with selectors.PollSelector() as selector:
        found = {selector.register(one, selectors.EVENT_READ).fd: one for one in connections}
        return [found[key.fd] for key, _ in selector.select(timeout_s)]


def start_process(
    options: RunOptions, log_dir: Path, world: str, isolation: str, life_fd: int | None = None
) -> Controller:
    """A controller on this machine; `life_fd` as of `ControllerProcess`."""
    # What a killed controller leaves in a Docker engine is removed by a process that does not end with it.
    reaper = leases.reaper_fd() if isolation == HOST else None
    return ControllerProcess(options, log_dir, world, isolation, reaper, life_fd)


class Member:
    """A controller in the pool."""

    def __init__(self, controller: Controller, isolation: str, startup_deadline_ns: int) -> None:
        self.controller = controller
        self.isolation = isolation
        self.is_ready = False
        self.facts = Ready({}, {})
        self.order: Order | None = None
        self.deadline_ns = startup_deadline_ns

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.order is None

    @property
    def is_timed(self) -> bool:
        """Whether it has a deadline: while it starts, and while it plays."""
        return not self.is_idle


@dataclass(frozen=True)
class Ended:
    """A play that is over.

    Attributes:
        member: who played it, idle now.
        problem: why it was not played to its end; empty if it was.
    """

    order: Order
    member: Member
    problem: str = ""


class Pool:
    """Controllers for the worlds of a run, as many as `options.worlds` for each kind of isolation.

    Args:
        start: starts a controller.
        now_ns: the clock.
        wait: returns the connections that can be read, at the latest after a time in seconds.
    """

    def __init__(
        self,
        options: RunOptions,
        start: StartController = start_process,
        now_ns: Callable[[], int] = clock.now_ns,
        wait: Callable[[Sequence[Any], float], Sequence[Any]] = readable,
    ) -> None:
        self._options = options
        self._start_controller = start
        self._now_ns = now_ns
        self._wait = wait
        self._members: list[Member] = []
        self._log_parent = (options.runs_dir / CONTROLLER_LOGS).absolute()
        self._held = ExitStack()
        self._logs: Path | None = None
        self._started = 0
        self._lost_starts = 0
        self._has_cut_off = False
        self.facts = Ready({}, {})
        """World and versions, as the first controller that was ready described them."""

    def __enter__(self) -> Pool:
        log_folders.delete_those_of_ended_harnesses(self._log_parent)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end(self._members)
            leases.end_reaper(REAPED_LATER_S if self._has_cut_off else leases.REAPER_ENDS_WITHIN_S)
        finally:
            self._held.close()

    @property
    def running(self) -> int:
        """How many plays are under way."""
        return sum(member.order is not None for member in self._members)

    @property
    def has_idle(self) -> bool:
        """Whether any controller could play something."""
        return any(member.is_idle for member in self._members)

    def free(self, scenario: Scenario, waiting: Iterable[Scenario]) -> Member | None:
        """A controller that can play a scenario now; None if the scenario must wait for one.

        Starts controllers if there is room, and work for them.

        Args:
            waiting: the other scenarios that are still to be played.
        """
        isolation = self._isolation(scenario)
        mine = [member for member in self._members if member.isolation == isolation]
        most = min(self._options.worlds, MOST_ENGINE_WORLDS) if _in_engine(scenario) else self._options.worlds
        alike = (other for other in waiting if self._isolation(other) == isolation)
        work = 1 + sum(member.order is not None for member in mine) + sum(1 for _ in islice(alike, most))
        for _ in range(min(most, work) - len(mine)):
            mine.append(self._start(isolation, scenario.world.kind))
        return next((member for member in mine if member.is_idle), None)

    def play(self, member: Member, order: Order) -> None:
        """Let an idle controller play; `ended` reports when it is over."""
        member.order = order
        member.deadline_ns = self._now_ns() + longest_ns(order.scenario) + MARGIN_NS
        member.controller.send(order)

    def ended(self) -> Iterator[Ended]:
        """Wait until a controller says something or misses its deadline, or an hour; yields the plays that are over.

        A controller that is lost is replaced by the next that is needed. Raises HarnessError if one says why it cannot
        start, or is not up in time, or if several in a row ended while they started: the next one would be lost too.
        """
        if not self._members:
            return
        deadlines = [member.deadline_ns for member in self._members if member.is_timed]
        timeout_s = max(0.0, (min(deadlines) - self._now_ns()) / 1e9) if deadlines else 0.0
        timeout_s = min(timeout_s, LONGEST_WAIT_S)
        readable = {
            id(one) for one in self._wait([member.controller.connection for member in self._members], timeout_s)
        }
        for member in list(self._members):
            if id(member.controller.connection) in readable:
                yield from self._read(member)
            # This process may have stood still since it looked, and the controller may have finished meanwhile.
            if self._is_late(member) and self._wait([member.controller.connection], 0.0):
                yield from self._read(member)
            # One that sends less than an answer, again and again, is late all the same.
            if self._is_late(member):
                yield from self._lost(member, _missed(member))

    def end_running(self) -> None:
        """End the controllers that play, each after it has healed its world; no result of theirs is reported."""
        self._end([member for member in self._members if member.order is not None])

    def _is_late(self, member: Member) -> bool:
        return member in self._members and member.is_timed and self._now_ns() > member.deadline_ns

    def _isolation(self, scenario: Scenario) -> str:
        # A server that is not ours lies outside any namespace, so its worlds stay on the host's network.
        return HOST if is_url(self._options.toxiproxy) or _in_engine(scenario) else self._options.isolation

    def _start(self, isolation: str, world: str) -> Member:
        self._started += 1
        try:
            log_dir = self._own_logs() / str(self._started)
            log_dir.mkdir()
            controller = self._start_controller(self._options, log_dir, world, isolation)
        except OSError as error:
            raise cannot_begin(f"write logs to {self._log_parent}", error, ANOTHER_RUNS_DIR) from error
        self._members.append(Member(controller, isolation, self._now_ns() + STARTUP_LIMIT_NS))
        return self._members[-1]

    def _own_logs(self) -> Path:
        """This harness's folder for logs, made when it is needed first."""
        if self._logs is None:
            self._logs = self._held.enter_context(log_folders.own_folder(self._log_parent))
        return self._logs

    def _read(self, member: Member) -> Iterator[Ended]:
        try:
            answer = member.controller.receive()
        except (EOFError, OSError):
            yield from self._lost(member, member.controller.last_words(), self._lost_starts + 1)
        except BadAnswer as bad:
            yield from self._lost(member, _refused(str(bad)))
        else:
            yield from self._take(member, answer)

    def _take(self, member: Member, answer: Answer | None) -> Iterator[Ended]:
        """An answer that is due; a controller that says anything else is lost."""
        order = member.order
        if isinstance(answer, Failed):
            yield from self._lost(member, answer.reason)
        elif isinstance(answer, Ready) and not member.is_ready:
            member.is_ready = True
            member.facts = answer
            self._lost_starts = 0
            self.facts = self.facts if self.facts.versions else answer
        elif isinstance(answer, Played) and order is not None and answer.run_dir == order.run_dir:
            member.order = None
            yield Ended(order, member, _shown(answer.problem))
        elif answer is not None or member.is_idle:
            yield from self._lost(member, _refused("that was not due"))

    def _lost(self, member: Member, problem: str, lost_starts: int = MOST_LOST_STARTS) -> Iterator[Ended]:
        """End a controller; what it plays is over. One that has nothing to play is replaced when another is needed.

        Args:
            lost_starts: how many in a row are lost with it, if it still started. `MOST_LOST_STARTS` end the run.
        """
        member.controller.kill()
        self._members.remove(member)
        problem = _shown(problem)
        if member.order is not None:
            yield Ended(member.order, member, problem)
        elif not member.is_ready:
            self._lost_starts = lost_starts
            if lost_starts >= MOST_LOST_STARTS:
                raise HarnessError(f"{problem}; `rdzv-harness doctor` shows what this machine can do")

    def _end(self, members: Sequence[Member]) -> None:
        """End controllers side by side: those that heal get `HEALED_WITHIN_NS`, those that still start nothing.

        A second Ctrl-C cuts off all of them at once.
        """
        members = list(members)
        deadline_ns = self._now_ns() + HEALED_WITHIN_NS
        try:
            for member in members:
                if member.is_ready:
                    member.controller.hang_up()
                else:
                    self._cut_off(member)
            for member in members:
                if not member.controller.wait_gone(max(0, deadline_ns - self._now_ns()) / 1e9):
                    self._cut_off(member)
        finally:
            for member in members:
                member.controller.cut_off()
            self._members = [member for member in self._members if member not in members]
        for member in members:
            member.controller.kill()

    def _cut_off(self, member: Member) -> None:
        self._has_cut_off = True
        member.controller.cut_off()


def _missed(member: Member) -> str:
    if member.is_ready:
        return "the controller missed its deadline and was replaced"
    return f"a controller was not up within {STARTUP_LIMIT_NS // 10**9} s"


def _shown(problem: str) -> str:
    """What a controller says is wrong, cut and safe to print."""
    return printable_lines(problem[:LONGEST_REASON])


def _refused(what: str) -> str:
    return f"the controller sent what no controller sends ({what}) and was replaced; play it again"


def _in_engine(scenario: Scenario) -> bool:
    return WORLDS[scenario.world.kind].isolation == HOST
