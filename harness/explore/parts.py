"""What the explorer needs of the other parts: each as a function or a small protocol, together in one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.explore.draft import Draft, Profile
from harness.explore.finding import StoredFinding, Tried
from harness.explore.observation import Observation, Signature, Task
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import Judgement

Draw = Callable[[], float]
"""The next random number, from 0 to below 1."""


class Knowledge(Protocol):
    """What is known from all plays so far, of this session and of those before; kept on disk as it grows."""

    @property
    def runs(self) -> int:
        """How many plays it knows of."""

    @property
    def features(self) -> int:
        """How many different features were seen."""

    @property
    def chance_of_new(self) -> float | None:
        """How probable it is that the next play of the uniform lane shows something new; None if that is not known."""

    def add(self, observation: Observation) -> frozenset[str]:
        """Learn of a play of a lane and store it; returns the features that no play had before.

        Raises HarnessError if it cannot be stored.
        """

    def learn_replays(self, replays: Sequence[frozenset[str]]) -> None:
        """Learn from the features of several plays of one draft which of them come and go by themselves."""

    def entry(self, draw: Draw) -> Draft | None:
        """A draft of the corpus; None while there is none."""

    def choose(self, drafts: Sequence[Draft], draw: Draw) -> Draft | None:
        """The one of several drafts that is worth its time most; None if the budgets of all of them are used up."""


class Investigation(Task, Protocol):
    """A find that is confirmed, shrunk and certified."""

    @property
    def doing(self) -> str:
        """What is done now, in a word."""

    @property
    def others(self) -> Sequence[tuple[Observation, Signature]]:
        """What else was found on the way, and in which play; without what goes together with this find."""

    @property
    def found_out(self) -> Outcome:
        """What is known of it now."""


@dataclass(frozen=True)
class Outcome:
    """What an investigation has found out.

    Attributes:
        hits, plays: how often the draft below failed as found, and of how many plays.
        minimal: the smallest draft that fails as found; None as long as it was not confirmed.
        companions: what else was violated in these plays: the same cause, as other checks see it.
        ancestry: the ids from the draft that was found to the smallest.
        reached: of an investigation that has not ended the smallest draft so far; None if nothing was made smaller.
    """

    hits: int = 0
    plays: int = 0
    minimal: Draft | None = None
    companions: frozenset[Signature] = frozenset()
    ancestry: tuple[str, ...] = ()
    reached: Draft | None = None


CONFIRMED, UNREPRODUCED, UNCONFIRMED = "confirmed", "unreproduced", "unconfirmed"


@dataclass(frozen=True)
class Find:
    """A violation that nothing explains, as it is stored.

    Attributes:
        draft: as it was found.
        status: `confirmed`; `unreproduced`: played again it did not fail as found; `unconfirmed`: there was no time.
        cause: the key of its cause.
        shown: a play of the smallest draft that shows it, else of the draft as it was found.
        explained_by: the known cause that it turned out to be; empty if there is none.
    """

    signature: Signature
    draft: Draft
    status: str
    cause: str
    outcome: Outcome
    shown: Observation
    explained_by: str = ""

    @property
    def smallest(self) -> Draft:
        """The smallest draft that is known to show it."""
        return self.outcome.minimal or self.outcome.reached or self.draft


class Library(Protocol):
    """The findings of a subject on disk; what only another subject has shown is not known."""

    def cause_of(self, signature: Signature) -> str | None:
        """The cause of a stored finding with this signature; None if there is none, or if it was never confirmed."""

    def has(self, cause: str) -> bool:
        """Whether a finding of that cause is stored that was confirmed, filed or not."""

    def unfinished(self) -> Sequence[tuple[Observation, Signature]]:
        """What an earlier session had no time to confirm; raises HarnessError where it cannot be listed."""

    def uncompared(self) -> Sequence[tuple[StoredFinding, Draft]]:
        """The findings of this subject and torch that an earlier session had no time to compare, each with its smallest
        draft; raises HarnessError likewise."""

    def add(self, find: Find) -> Path:
        """Store a find, or that one was seen again; returns the scenario file that shows it best.

        Raises HarnessError if it cannot be stored.
        """

    def seen(self, cause: str) -> None:
        """A stored finding has been seen again; raises HarnessError if that cannot be stored."""

    def compared(self, cause: str, tried: Sequence[Tried], without_faults: Tried | None, done: bool) -> None:
        """How a stored finding fares with other subjects and without its faults; raises HarnessError likewise.

        Args:
            done: whether nothing is left to compare.
        """


@dataclass(frozen=True)
class Parts:
    """The other parts of exploration.

    Attributes:
        workload: a clean draft of a drawn family, from a seed.
        systematic: each fault at each anchor in turn.
        uniform: a clean draft with faults, drawn without regard to what was seen.
        mutated: a change of a draft; None if it has none. The profile is that of its workload, and the last draft is
            another entry of the corpus.
        clean: the workload of a draft, without its faults; None if there is none that can be played.
        profile: of a play without faults.
        features: what was seen in a play.
        signatures: of what a judgement says is violated, given the run directory, which has the stacks.
        principal: the one of several signatures of a play to begin with.
        cause_key: of a signature and the smallest document that shows it.
        explained: the known cause of a violation by its F-number, given subject, version of torch, and document.
        investigation: of a find.
    """

    workload: Callable[[int], Draft]
    systematic: Callable[[Draft, Profile], Iterator[Draft]]
    uniform: Callable[[int, Draft, Profile], Draft]
    mutated: Callable[[int, Draft, Profile, Draft], Draft | None]
    clean: Callable[[Draft], Draft | None]
    profile: Callable[[Scenario, History], Profile]
    features: Callable[[Scenario, History], frozenset[str]]
    signatures: Callable[[Scenario, History, Judgement, Path | None], frozenset[Signature]]
    principal: Callable[[Collection[Signature]], Signature | None]
    cause_key: Callable[[Signature, Mapping[str, Any]], str]
    explained: Callable[[Signature, str, str, Mapping[str, Any]], str | None]
    investigation: Callable[[Draft, Signature], Investigation]
    knowledge: Knowledge
    library: Library


@dataclass(frozen=True)
class Settings:
    """How one session goes.

    Attributes:
        seed: of everything that is drawn; the seeds of plays count up from it.
        lanes: those that are used.
        runs: end after so many plays; None is no limit.
        span_ns: end after so long, on the explorer's clock; None is no limit.
        grace_ns: how much longer investigations may take after that.
        share: of all plays, those that investigations get while drafts are explored too.
        side_by_side: how many finds are investigated at the same time.
        canary: whether the canary must be found.
        until_find: end at the first confirmed finding that is new, once it is compared.
        others: the subjects with which a new finding is tried too.
    """

    seed: int
    lanes: Collection[str]
    runs: int | None = None
    span_ns: int | None = None
    grace_ns: int = 60_000_000_000
    share: float = 0.5
    side_by_side: int = 2
    canary: bool = False
    until_find: bool = False
    others: tuple[str, ...] = ()


Forget = Callable[[Path], None]
"""Says that a run directory is needed no longer."""
