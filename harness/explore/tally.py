"""What a session has done so far: counted for the progress, the summary and the exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness.explore.finding import UNREPRODUCED
from harness.explore.parts import Find
from harness.values.verdict import ERROR, SKIPPED


@dataclass(frozen=True)
class Stored:
    """A find and the scenario file that shows it best.

    Attributes:
        is_new: whether no earlier session had found its cause.
    """

    find: Find
    file: Path | None
    is_new: bool = True

    @property
    def is_filed(self) -> bool:
        """Whether it lies among the findings, and not among what fails too seldom for that."""
        return self.file is None or self.file.parent.parent.name != UNREPRODUCED

    @property
    def name(self) -> str:
        """The name of its folder, else its cause."""
        return self.find.cause if self.file is None else self.file.parent.name


@dataclass
class Tally:
    """The counts of a session.

    Attributes:
        statuses: plays by the status of their verdict; those that compare are not among them.
        lanes: explored drafts by lane.
        investigated: how many plays investigations had.
        compared: how many further plays there were of new findings with other subjects, and without their faults.
        explained: violations with a known cause, by that cause.
        again: violations of findings that were stored before, by their cause.
        finds: what was investigated, in the order in which it ended.
        features: how many different features are known, from all sessions.
        chance: how probable it is that the next play shows something new; None if that is not known.
        under_way: what is being investigated, in words.
        waiting: how many finds wait to be investigated.
        refused: drafts that the loader has refused.
        canary: the find of the canary, once it was investigated.
        is_interrupted: whether the session was ended from outside.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    lanes: Counter[str] = field(default_factory=Counter)
    investigated: int = 0
    compared: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    finds: list[Stored] = field(default_factory=list)
    features: int = 0
    chance: float | None = None
    under_way: tuple[str, ...] = ()
    waiting: int = 0
    refused: int = 0
    canary: Find | None = None
    is_interrupted: bool = False

    @property
    def runs(self) -> int:
        """How many plays have ended."""
        return sum(self.statuses.values()) + self.compared

    @property
    def judged(self) -> int:
        """How many of them say something about the subject."""
        return sum(self.statuses.values()) - self.statuses[ERROR] - self.statuses[SKIPPED]

    def with_status(self, status: str, new: bool = True) -> list[Stored]:
        """The finds with this status that nothing explains."""
        unexplained = [one for one in self.finds if not one.find.explained_by]
        return [one for one in unexplained if one.find.status == status and one.is_new is new]
