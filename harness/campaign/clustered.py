"""A campaign over the machines of a cluster: shards go out, rows come back, and each play has one result."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive import RunDirs, play_id
from harness.archive.files import parse_json
from harness.archive.keeping import AS_EXPECTED
from harness.campaign.driver import Driver, Shard
from harness.campaign.ledger import Ledger, Row
from harness.campaign.orders import FACTS, PLAYS, MachineOrder, PlayOrder
from harness.campaign.plan import Plan
from harness.campaign.roll_call import Facts, torch_of, unfit
from harness.campaign.runner import CommandLine, Observer
from harness.campaign.shipping import Played, arrived, stored
from harness.clusters.base import Cluster, Ended, Event, Joined, Left, Lost, Said
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.schedule.time_limit import longest_ns
from harness.values.errors import HarnessError, UsageError
from harness.values.json import mapping
from harness.values.printable import printable

ANSWER_WITHIN_NS = 60_000_000_000
"""How long the machines of the beginning are waited for; later ones take part when they answer."""

NOBODY_NS = 120_000_000_000
"""So long a campaign waits for a machine when it has none."""

SILENT_NS = 300_000_000_000
"""A shard is lost that says nothing for so long, and for four times as long as its longest play may take."""

SAID_EVERY_NS = 10_000_000_000
EVENTS_WITHIN_S = 0.5


@dataclass
class _Ticket:
    """A shard under way: what its ids mean, and when it said something last."""

    shard: Shard
    plays: dict[str, int]
    silent_ns: int
    heard_ns: int = 0
    is_begun: bool = False


@dataclass
class _Cells:
    """All plays of a campaign, by number: every cell once, then every cell again."""

    cells: Sequence[Scenario]
    repeat: int
    seed: int
    options: RunOptions
    command_line: CommandLine | None
    ids: list[str] = field(default_factory=list)

    def name(self, torch: str) -> None:
        """Give each play its id."""
        options = self.options
        for number in range(len(self.cells) * self.repeat):
            scenario, attempt = self.at(number)
            self.ids.append(play_id(scenario, self.seed + attempt - 1, torch, options.subject, options.command))

    def at(self, number: int) -> tuple[Scenario, int]:
        return self.cells[number % len(self.cells)], number // len(self.cells) + 1

    def played(self, number: int) -> Played:
        scenario, attempt = self.at(number)
        seed = self.seed + attempt - 1
        command = self.command_line(self.options, scenario, seed) if self.command_line else ""
        return Played(scenario, attempt, seed, self.options.subject, command)

    def order(self, number: int) -> PlayOrder:
        scenario, attempt = self.at(number)
        return PlayOrder(self.ids[number], scenario, attempt, self.seed + attempt - 1)


class ClusterRunner:
    """Plays cells on the machines of a cluster; a context manager that leaves nothing running.

    Args:
        ledger: where results are kept, and taken from if they are there; None keeps none.
        say: tells a person what becomes of machines and shards.
        run_dirs: for run directories of red results; they are released by the caller.
    """

    def __init__(
        self,
        options: RunOptions,
        cluster: Cluster,
        ledger: Path | None,
        command_line: CommandLine | None,
        run_dirs: RunDirs,
        say: Callable[[str], None],
    ) -> None:
        self.options = options
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
        self._cluster = cluster
        self._ledger_path = ledger
        self._ledger: Ledger | None = None
        self._command_line = command_line
        self._run_dirs = run_dirs
        self._say = say
        self._held = ExitStack()
        self._asked: dict[int, str] = {}
        self._answers: dict[str, Facts] = {}
        self._tickets: dict[int, _Ticket] = {}
        self._torch: str | None = None
        self._driver = Driver(Plan([]))
        self._cells = _Cells([], 1, 0, options, None)
        self._said_ns = self._began_ns = self._alone_ns = 0

    def __enter__(self) -> ClusterRunner:
        with ExitStack() as held:
            self._run_dirs.hold()
            held.callback(self._run_dirs.finish)
            if self._ledger_path is not None:
                self._ledger = held.enter_context(Ledger(self._ledger_path, self.seed))
                if self.options.seed is not None and self._ledger.seed != self.options.seed:
                    raise UsageError(
                        f"--seed {self.options.seed}: {self._ledger_path} is of seed {self._ledger.seed}; "
                        "leave the option out, or give another --ledger"
                    )
                self.seed = self._ledger.seed
            held.callback(self._cluster.close)
            for machine in self._cluster.open():
                self._ask(machine)
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    # -- the loop ----------------------------------------------------------------------------------------------

    def run(
        self, cells: Sequence[Scenario], repeat: int = 1, until_fail: bool = False, observer: Observer | None = None
    ) -> Iterator[Result]:
        """Play each cell `repeat` times and yield results as they come, those of the ledger first.

        `until_fail` stops at the first that is not as expected. Raises HarnessError if no machine is fit, or none left.
        """
        self._call_roll()
        self._cells = _Cells(cells, repeat, self.seed, self.options, self._command_line)
        self._cells.name(self._torch or "")
        groups = range(len(cells))
        self._driver = Driver(Plan([groups[number % len(cells)] for number in range(len(self._cells.ids))]))
        self._began_ns = self._said_ns = self._alone_ns = clock.now_ns()
        for result in self._results(observer):
            yield result
            if until_fail and result.status not in AS_EXPECTED:
                return

    def _results(self, observer: Observer | None) -> Iterator[Result]:
        yield from self._recorded()
        for machine in sorted(self._answers):
            self._take_in(machine)
        while not self._driver.is_done:
            for shard in self._driver.next_shards():
                self._send(shard)
            yield from self._handle(self._cluster.completed(EVENTS_WITHIN_S), observer)
            self._end_silent()
            self._check_machines()
            self._tell()
        self._tell(last=True)

    def _call_roll(self) -> None:
        """Wait until the machines of the beginning have said their facts, and decide which torch is played."""
        deadline_ns = clock.now_ns() + ANSWER_WITHIN_NS
        while (self._asked or not self._answers) and clock.now_ns() < deadline_ns:
            for event in self._cluster.completed(EVENTS_WITHIN_S):
                self._hear(event, None, [])
        self._torch = torch_of(self._answers, self.options)
        why = {machine: unfit(facts, self._torch, self.options) for machine, facts in self._answers.items()}
        if not self._answers:
            raise HarnessError("no machine of the cluster has answered; see the logs of its workers")
        if all(why.values()):
            reasons = "\n".join(f"{machine}: {because}" for machine, because in sorted(why.items()))
            raise HarnessError(f"no machine of the cluster is fit:\n{reasons}")

    def _recorded(self) -> Iterator[Result]:
        """What the ledger has of these plays."""
        if self._ledger is None:
            return
        numbers = {play: number for number, play in enumerate(self._cells.ids)}
        others = 0
        for row in self._ledger.rows():
            number = numbers.get(row["play"])
            if number is None:
                others += 1
                continue
            try:
                result = stored(row, self._cells.played(number), self.options.runs_dir)
            except ValueError as error:
                raise HarnessError(
                    f"{self._ledger_path}: play {row['play']}: {error}; give another --ledger"
                ) from error
            self._driver.finished(number, result.seconds)
            yield result
        if others:
            self._say(f"{self._ledger_path}: {others} results are of other plays, versions or subjects: not used")

    # -- machines ----------------------------------------------------------------------------------------------

    def _ask(self, machine: str) -> None:
        order = MachineOrder(FACTS, self._on_machines())
        self._asked[self._cluster.submit(machine, order.to_json())] = machine

    def _on_machines(self) -> RunOptions:
        """The options there: this interpreter means theirs, and folders of this machine mean nothing."""
        python = "" if self.options.python == sys.executable else self.options.python
        return replace(self.options, python=python, runs_dir=Path(), seed=None, keep=0)

    def _answered(self, machine: str, line: str) -> None:
        try:
            self._answers[machine] = Facts.from_json(mapping(parse_json(line)).get("facts"))
        except ValueError as error:
            self._say(f"{printable(machine)} is left out: it said what no machine says ({printable(str(error))[:200]})")
            return
        if self._torch is not None:
            self._take_in(machine)

    def _take_in(self, machine: str) -> None:
        facts = self._answers[machine]
        because = unfit(facts, self._torch or "", self.options)
        if because:
            self._say(f"{printable(machine)} is left out: {because}")
        else:
            self._driver.joined(machine, facts.worlds)

    def _check_machines(self) -> None:
        """Raises HarnessError when there has been no machine for too long."""
        now_ns = clock.now_ns()
        if self._driver.machines:
            self._alone_ns = now_ns
        elif now_ns - self._alone_ns > NOBODY_NS:
            again = f"; go on with --ledger {self._ledger_path}" if self._ledger_path else ""
            raise HarnessError(f"no machine is left, and none has come for {NOBODY_NS // 10**9} s{again}")

    # -- shards ------------------------------------------------------------------------------------------------

    def _send(self, shard: Shard) -> None:
        plays = {self._cells.ids[number]: number for number in shard.plays}
        orders = tuple(map(self._cells.order, shard.plays))
        order = MachineOrder(PLAYS, self._on_machines(), orders)
        ticket = self._cluster.submit(shard.machine, order.to_json())
        longest = max(longest_ns(one.scenario) for one in orders)
        self._tickets[ticket] = _Ticket(shard, plays, SILENT_NS + 4 * longest)

    def _handle(self, events: Sequence[Event], observer: Observer | None) -> Iterator[Result]:
        """All that has happened; what counts is in the ledger before it is yielded."""
        counted: list[tuple[Result, Row]] = []
        for event in events:
            self._hear(event, observer, counted)
        for given_up in self._driver.given_up():
            if self._driver.finished(given_up.play, 0.0):
                because = f"three workers died playing it; the last time: {printable(given_up.because)}"
                row = {"play": self._cells.ids[given_up.play], "error": because}
                counted.append((self._cells.played(given_up.play).gave_up(because), row))
        if self._ledger is not None:
            self._ledger.add(row for _, row in counted)
        yield from (result for result, _ in counted)

    def _hear(self, event: Event, observer: Observer | None, counted: list[tuple[Result, Row]]) -> None:
        if isinstance(event, Joined):
            self._ask(event.machine)
        elif isinstance(event, Left):
            self._answers.pop(event.machine, None)
            self._asked = {ticket: machine for ticket, machine in self._asked.items() if machine != event.machine}
            if event.machine in self._driver.machines:
                self._say(f"{printable(event.machine)} is gone: {printable(event.because)}")
            self._driver.left(event.machine, event.because)
        elif event.ticket in self._asked:
            self._hear_facts(event)
        elif event.ticket in self._tickets:
            self._hear_shard(event, self._tickets[event.ticket], observer, counted)

    def _hear_facts(self, event: Said | Ended | Lost) -> None:
        if isinstance(event, Said):
            self._answered(self._asked[event.ticket], event.line)
            return
        machine = self._asked.pop(event.ticket)
        if isinstance(event, Lost):
            self._say(f"{printable(machine)} is left out: {printable(event.because)}")

    def _hear_shard(
        self, event: Said | Ended | Lost, ticket: _Ticket, observer: Observer | None, counted: list[tuple[Result, Row]]
    ) -> None:
        number = ticket.shard.number
        if isinstance(event, Ended):
            self._driver.ended(number)
            del self._tickets[event.ticket]
        elif isinstance(event, Lost):
            self._driver.lost(number, event.because)
        else:
            ticket.heard_ns = clock.now_ns()
            try:
                self._read(event.line, ticket, observer, counted)
            except ValueError as error:
                because = f"it said what no player says ({str(error)[:200]})"
                self._say(f"{printable(ticket.shard.machine)}: {printable(because)}; its shard is sent again")
                self._driver.lost(number, because)
                self._cluster.cancel(event.ticket)

    def _read(self, line: str, ticket: _Ticket, observer: Observer | None, counted: list[tuple[Result, Row]]) -> None:
        """One line of a player; raises ValueError for what none says."""
        said = mapping(parse_json(line))
        if "shard" in said:
            if ticket.is_begun:
                raise ValueError("it began twice: the engine has sent it again")
            ticket.is_begun = True
            self._driver.shard_begun(ticket.shard.number)
        elif "begun" in said:
            number = _number(ticket, said["begun"])
            self._driver.begun(ticket.shard.number, number)
            if observer is not None and not self._driver.plan.is_recorded(number):
                observer.started(*self._cells.at(number))
        else:
            row = mapping(said.get("result"))
            number = _number(ticket, row.get("play"))
            if not self._driver.plan.is_recorded(number):
                result, kept = arrived(row, self._cells.played(number), self._run_dirs)
                self._driver.finished(number, result.seconds)
                counted.append((result, kept))

    def _end_silent(self) -> None:
        """A shard that has begun and says nothing any more is lost; its late rows count all the same."""
        now_ns = clock.now_ns()
        for number, ticket in self._tickets.items():
            is_silent = ticket.is_begun and now_ns - ticket.heard_ns > ticket.silent_ns
            if is_silent and self._driver.is_sent(ticket.shard.number):
                self._driver.lost(ticket.shard.number, f"it was silent for {ticket.silent_ns // 10**9} s")
                self._cluster.cancel(number)

    def _tell(self, last: bool = False) -> None:
        now_ns = clock.now_ns()
        if not last and now_ns - self._said_ns < SAID_EVERY_NS:
            return
        self._said_ns = now_ns
        of, left = len(self._cells.ids), self._driver.plan.left
        seconds = max((now_ns - self._began_ns) / 1e9, 0.1)
        self._say(
            f"campaign: {len(self._driver.machines)} machines, {of - left} of {of} results, "
            f"{(of - left) / seconds:.1f}/s, {self._driver.losses} shards lost"
        )


def _number(ticket: _Ticket, play: Any) -> int:
    """The play of a shard that has this id; raises ValueError if it has none."""
    if not isinstance(play, str) or play not in ticket.plays:
        raise ValueError("of a play that it was not sent")
    return ticket.plays[play]
