"""A campaign over the machines of a cluster: shards go out, rows come back, and each play has one result."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive import RunDirs
from harness.archive.files import parse_json
from harness.archive.keeping import AS_EXPECTED
from harness.campaign.asking import ANSWERED_WITHIN_NS, Answers, Asking
from harness.campaign.driver import Driver, Shard
from harness.campaign.ledger import Ledger, Row
from harness.campaign.machines import EVENTS_WITHIN_S, NOBODY_NS, Machines
from harness.campaign.orders import MachineOrder
from harness.campaign.plan import Plan
from harness.campaign.runner import CommandLine, Observer
from harness.campaign.shipping import arrived, stored
from harness.campaign.work import Cells, Work
from harness.clusters.base import Cluster, Ended, Event, Joined, Left, Lost, Said
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.schedule.time_limit import longest_ns
from harness.values.errors import HarnessError, UsageError
from harness.values.json import mapping
from harness.values.printable import printable

SILENT_NS = 300_000_000_000
"""A shard is lost that says nothing for so long, and for four times as long as its longest play may take."""

SAID_EVERY_NS = 10_000_000_000
LONGEST_NOTE = 500


@dataclass
class _Ticket:
    """A shard under way: what its ids mean, and when it said something last."""

    shard: Shard
    plays: dict[str, int]
    silent_ns: int
    heard_ns: int
    is_begun: bool = False


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
        self._machines = Machines(cluster, options, say)
        self._tickets: dict[int, _Ticket] = {}
        self._driver = Driver(Plan([]))
        self._work: Work = Cells([], 1, 0, "", options, None)
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
            self._machines.open()
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
        self._machines.call_roll()
        work = Cells(cells, repeat, self.seed, self._machines.torch, self.options, self._command_line)
        for result, _ in self.play(work, observer):
            yield result
            if until_fail and result.status not in AS_EXPECTED:
                return

    def ask(self, orders: Mapping[str, MachineOrder]) -> Answers:
        """Call the roll, and have each question answered by a machine that takes part.

        Raises HarnessError if none does.
        """
        self._machines.call_roll()
        return Asking(self._cluster, self._machines, self._say).ask(orders)

    def play(
        self, work: Work, observer: Observer | None = None, environments: Mapping[str, Collection[str]] | None = None
    ) -> Iterator[tuple[Result, Row]]:
        """Play what there is, after the roll was called; yields each result with its row of the ledger.

        Args:
            environments: what each machine has.

        Raises HarnessError if no machine is left.
        """
        self._work = work
        self._driver = Driver(Plan(work.groups, lanes=work.lanes))
        self._began_ns = self._said_ns = self._alone_ns = clock.now_ns()
        yield from self._recorded()
        for machine, facts in self._machines.fit.items():
            self._driver.joined(machine, facts.worlds, (environments or {}).get(machine, ()))
        while not self._driver.is_done:
            for shard in self._driver.next_shards():
                self._send(shard)
            yield from self._handle(self._cluster.completed(EVENTS_WITHIN_S), observer)
            self._end_silent()
            self._check_machines()
            self._tell()
        self._tell(last=True)

    def _recorded(self) -> Iterator[tuple[Result, Row]]:
        """What the ledger has of these plays."""
        if self._ledger is None:
            return
        numbers = {play: number for number, play in enumerate(self._work.ids)}
        others = 0
        for row in self._ledger.rows():
            number = numbers.get(row["play"])
            if number is None:
                others += row["play"] not in self._work.done
                continue
            if not self._work.takes(row):
                continue
            try:
                result = stored(row, self._work.played(number), self.options.runs_dir)
                self._work.check(number, row)
            except ValueError as error:
                raise HarnessError(
                    f"{self._ledger_path}: play {row['play']}: {error}; give another --ledger"
                ) from error
            self._driver.finished(number, result.seconds)
            yield result, row
        if others:
            self._say(f"{self._ledger_path}: {others} results are of other plays, versions or subjects: not used")

    # -- machines ----------------------------------------------------------------------------------------------

    def _check_machines(self) -> None:
        """Raises HarnessError when there has been no machine for too long, or none that may play what is left."""
        now_ns = clock.now_ns()
        if self._driver.machines and not self._driver.is_stuck:
            self._alone_ns = now_ns
        elif now_ns - self._alone_ns > NOBODY_NS:
            again = f"; go on with --ledger {self._ledger_path}" if self._ledger_path else ""
            who = "no machine can play what is left" if self._driver.machines else "no machine is left"
            raise HarnessError(f"{who}, and none has come for {NOBODY_NS // 10**9} s{again}")

    # -- shards ------------------------------------------------------------------------------------------------

    def _send(self, shard: Shard) -> None:
        plays = {self._work.ids[number]: number for number in shard.plays}
        order = self._work.order(shard.plays)
        ticket = self._cluster.submit(shard.machine, order.to_json())
        longest = max(longest_ns(one.scenario) for one in order.plays)
        self._tickets[ticket] = _Ticket(shard, plays, SILENT_NS + 4 * longest, clock.now_ns())

    def _handle(self, events: Sequence[Event], observer: Observer | None) -> Iterator[tuple[Result, Row]]:
        """All that has happened; what counts is in the ledger before it is yielded."""
        counted: list[tuple[Result, Row]] = []
        for event in events:
            self._hear(event, observer, counted)
        for given_up in self._driver.given_up():
            if self._driver.finished(given_up.play, 0.0):
                because = f"three workers died playing it; the last time: {printable(given_up.because)}"
                row = {"play": self._work.ids[given_up.play], "error": because}
                counted.append((self._work.played(given_up.play).gave_up(because), row))
        if self._ledger is not None:
            self._ledger.add(row for _, row in counted)
        yield from counted

    def _hear(self, event: Event, observer: Observer | None, counted: list[tuple[Result, Row]]) -> None:
        came = self._machines.hear(event)
        if came:
            self._driver.joined(came, self._machines.fit[came].worlds)
        if isinstance(event, Left):
            if event.machine in self._driver.machines:
                self._say(f"{printable(event.machine)} is gone: {printable(event.because)}")
            self._driver.left(event.machine, event.because)
        elif not isinstance(event, Joined) and event.ticket in self._tickets:
            self._hear_shard(event, self._tickets[event.ticket], observer, counted)

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
        elif "note" in said:
            self._say(f"{printable(ticket.shard.machine)}: {printable(str(said['note']))[:LONGEST_NOTE]}")
        elif "refused" in said:
            because = printable(str(said["refused"]))[:LONGEST_NOTE]
            self._say(f"{printable(ticket.shard.machine)} does not play {ticket.shard.lane.environment}: {because}")
            self._driver.refused(ticket.shard.number, because)
        elif "begun" in said:
            number = _number(ticket, said["begun"])
            self._driver.begun(ticket.shard.number, number)
            if observer is not None and not self._driver.plan.is_recorded(number):
                observer.started(*self._work.at(number))
        else:
            row = mapping(said.get("result"))
            number = _number(ticket, row.get("play"))
            if not self._driver.plan.is_recorded(number):
                self._work.check(number, row)
                result, kept = arrived(row, self._work.played(number), self._run_dirs)
                self._driver.finished(number, result.seconds)
                counted.append((result, kept))

    def _end_silent(self) -> None:
        """A shard that has begun and says nothing any more is lost; its late rows count all the same.

        So is one whose machine should long have its environment.
        """
        now_ns = clock.now_ns()
        heard: dict[str, int] = {}
        for ticket in self._tickets.values():
            heard[ticket.shard.machine] = max(heard.get(ticket.shard.machine, 0), ticket.heard_ns)
        for number, ticket in self._tickets.items():
            is_silent = ticket.is_begun and now_ns - ticket.heard_ns > ticket.silent_ns
            if is_silent and self._driver.is_sent(ticket.shard.number):
                self._driver.lost(ticket.shard.number, f"it was silent for {ticket.silent_ns // 10**9} s")
                self._cluster.cancel(number)
            waits = ticket.shard.lane.environment and not ticket.is_begun
            if waits and now_ns - heard[ticket.shard.machine] > ANSWERED_WITHIN_NS:
                self._driver.refused(ticket.shard.number, "its environment took too long")
                self._cluster.cancel(number)

    def _tell(self, last: bool = False) -> None:
        now_ns = clock.now_ns()
        if not last and now_ns - self._said_ns < SAID_EVERY_NS:
            return
        self._said_ns = now_ns
        of, left = len(self._work.ids), self._driver.plan.left
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
