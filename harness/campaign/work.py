"""What a campaign plays: all its plays by number, with their ids, and what a machine is sent for them."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.archive import play_id
from harness.campaign.machines import on_machines
from harness.campaign.orders import PLAYS, MachineOrder, PlayOrder
from harness.campaign.plan import Lane
from harness.campaign.runner import CommandLine
from harness.campaign.shipping import Played
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario


class Work(Protocol):
    """The plays of a campaign; a play is its number, from 0.

    Attributes:
        ids: of each play; no two have the same.
        done: ids of plays that have their results elsewhere, and are not among these.
        groups, lanes: as `harness.campaign.plan.Plan` takes them.
    """

    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def done(self) -> Container[str]: ...

    @property
    def groups(self) -> Sequence[Hashable]: ...

    @property
    def lanes(self) -> Sequence[Lane] | None: ...

    def at(self, number: int) -> tuple[Scenario, int]:
        """The cell, and which repetition."""

    def played(self, number: int) -> Played:
        """What a result needs beside what the machine says."""

    def order(self, plays: Sequence[int]) -> MachineOrder:
        """What a machine gets for plays of one lane."""

    def check(self, number: int, row: Mapping[str, Any]) -> None:
        """Raises ValueError for a row of this play that no machine says; beside what every campaign checks."""

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the ledger counts; else the play is played again."""


@dataclass
class Cells:
    """Every cell once, then every cell again, on one torch."""

    cells: Sequence[Scenario]
    repeat: int
    seed: int
    torch: str
    options: RunOptions
    command_line: CommandLine | None
    ids: list[str] = field(init=False)
    done: Container[str] = ()
    lanes: Sequence[Lane] | None = None

    def __post_init__(self) -> None:
        options = self.options
        self.ids = []
        for number in range(len(self.cells) * self.repeat):
            scenario, attempt = self.at(number)
            self.ids.append(play_id(scenario, self._seed(attempt), self.torch, options.subject, options.command))

    @property
    def groups(self) -> Sequence[Hashable]:
        cells = range(len(self.cells))
        return [cells[number % len(cells)] for number in range(len(self.ids))]

    def at(self, number: int) -> tuple[Scenario, int]:
        return self.cells[number % len(self.cells)], number // len(self.cells) + 1

    def played(self, number: int) -> Played:
        scenario, attempt = self.at(number)
        seed = self._seed(attempt)
        command = self.command_line(self.options, scenario, seed) if self.command_line else ""
        return Played(scenario, attempt, seed, self.options.subject, command)

    def order(self, plays: Sequence[int]) -> MachineOrder:
        return MachineOrder(PLAYS, on_machines(self.options), tuple(map(self._order, plays)))

    def check(self, number: int, row: Mapping[str, Any]) -> None:
        """Every row that is a result is one of these plays."""

    def takes(self, row: Mapping[str, Any]) -> bool:
        return True

    def _order(self, number: int) -> PlayOrder:
        scenario, attempt = self.at(number)
        return PlayOrder(self.ids[number], scenario, attempt, self._seed(attempt))

    def _seed(self, attempt: int) -> int:
        return self.seed + attempt - 1
