"""Finds under investigation: which plays they want, and what came of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.explore.draft import Draft
from harness.explore.observation import Observation, Signature
from harness.explore.parts import Forget, Investigation

MOST_WAITING = 200
"""So many finds wait to be investigated; what comes when there are more is seen again later, or by the next session."""

MOST_REFUSED = 50
"""An investigation that wants so many drafts which cannot be loaded is broken, and ends."""


@dataclass
class Hunt:
    """One find under investigation.

    Attributes:
        draft: as it was found.
        found: the play that found it.
        shown: by id of a draft, the newest play that shows it.
        features: by id of a draft, those of each of its plays.
        wanted: drafts that it has asked for and that were not given yet.
        awaited: how many plays of it are under way.
        plays: how many have ended.
        refused: how many of its drafts could not be loaded.
    """

    draft: Draft
    signature: Signature
    found: Observation
    task: Investigation
    shown: dict[str, Observation] = field(default_factory=dict)
    features: dict[str, list[frozenset[str]]] = field(default_factory=dict)
    wanted: deque[Draft] = field(default_factory=deque)
    awaited: int = 0
    plays: int = 0
    refused: int = 0

    def ask(self) -> None:
        """Fetch the drafts that it wants next, once all it wanted were given."""
        if not self.wanted and not self.task.is_done:
            self.wanted.extend(self.task.next())

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be expected of it; asked after `ask`.

        One that is not done, wants nothing and awaits nothing would hold its place for ever.
        """
        return self.task.is_done or self.refused > MOST_REFUSED or not (self.wanted or self.awaited)

    @property
    def described(self) -> str:
        """What is done with it now, for the progress."""
        verb = f" of {self.signature.verb}" if self.signature.verb else ""
        return f"{self.task.doing} {self.signature.check}{verb} ({self.plays} plays)"

    def best(self, smallest: Draft) -> Observation:
        """A play of the smallest draft that shows it; else the one that found it."""
        return self.shown.get(smallest.id, self.found)

    @property
    def run_dirs(self) -> Iterator[Path]:
        """Those that show it, or what else was found on the way."""
        met = (observation for observation, _ in self.task.others)
        yield from (one.run_dir for one in (self.found, *self.shown.values(), *met) if one.run_dir is not None)


class Hunts:
    """The finds of a session: some are investigated side by side, the others wait.

    Args:
        investigate: begins an investigation.
        side_by_side: how many at the same time.
        forget: is called with run directories that are needed no longer.
    """

    def __init__(
        self, investigate: Callable[[Draft, Signature], Investigation], side_by_side: int, forget: Forget
    ) -> None:
        self._investigate, self._side_by_side, self._forget = investigate, side_by_side, forget
        self._waiting: dict[Signature, Observation] = {}
        self._active: deque[Hunt] = deque()

    @property
    def active(self) -> Sequence[Hunt]:
        """Those that are investigated now."""
        return tuple(self._active)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def needs(self, run_dir: Path) -> bool:
        """Whether a run directory shows one of them."""
        waiting = (one.run_dir == run_dir for one in self._waiting.values())
        return any(waiting) or any(run_dir in hunt.run_dirs for hunt in self._active)

    def has(self, signature: Signature) -> bool:
        """Whether it is being investigated or waits for it."""
        return signature in self._waiting or any(hunt.signature == signature for hunt in self._active)

    def drop(self, signatures: Collection[Signature]) -> None:
        """Have these wait no longer."""
        for signature in [one for one in self._waiting if one in signatures]:
            self._release(self._waiting.pop(signature).run_dir)

    def offer(self, signature: Signature, observation: Observation, first: bool = False) -> None:
        """Investigate a find, unless it is being investigated; of one that waits the smallest draft is kept.

        Args:
            first: before all others that wait.
        """
        if any(hunt.signature == signature for hunt in self._active):
            return
        before = self._waiting.get(signature)
        if before is None and len(self._waiting) >= MOST_WAITING:
            return
        if before is None or len(observation.draft.text) < len(before.draft.text):
            self._waiting[signature] = observation
            self._release(before.run_dir if before is not None else None)
        if first:
            self._waiting = {signature: self._waiting.pop(signature), **self._waiting}

    def poll(self) -> Sequence[Hunt]:
        """Begin those for which there is room, and take out those that are over, which are returned."""
        over: list[Hunt] = []
        while True:
            while self._waiting and len(self._active) < self._side_by_side:
                self._begin(*next(iter(self._waiting.items())))
            for hunt in self._active:
                hunt.ask()
            gone = [hunt for hunt in self._active if hunt.is_over]
            if not gone:
                return over
            over += gone
            self._active = deque(hunt for hunt in self._active if hunt not in gone)

    def next(self) -> tuple[Draft, Hunt] | None:
        """A draft that one of them wants played, each in its turn; None if none wants one now."""
        for _ in range(len(self._active)):
            hunt = self._active[0]
            self._active.rotate(-1)
            if hunt.wanted:
                hunt.awaited += 1
                return hunt.wanted.popleft(), hunt
        return None

    def learn(self, hunt: Hunt, observation: Observation) -> None:
        """Learn of a play of one of them; what comes for one that is over tells nothing more."""
        hunt.awaited -= 1
        if not any(hunt is one for one in self._active):
            return
        hunt.plays += 1
        hunt.task.add(observation)
        if observation.features:
            hunt.features.setdefault(observation.draft.id, []).append(observation.features)
        if hunt.signature in observation.signatures:
            before = hunt.shown.get(observation.draft.id)
            hunt.shown[observation.draft.id] = observation
            self._release(before.run_dir if before is not None else None)

    def refused(self, hunt: Hunt, observation: Observation) -> None:
        """Learn that the loader has refused a draft of one of them."""
        hunt.awaited -= 1
        hunt.refused += 1
        hunt.task.add(observation)

    def give_up(self) -> Sequence[Hunt]:
        """Take out all, also those that wait; none if there are none."""
        for signature, observation in list(self._waiting.items()):
            self._begin(signature, observation)
        given_up, self._active = tuple(self._active), deque()
        return given_up

    def _begin(self, signature: Signature, observation: Observation) -> None:
        del self._waiting[signature]
        task = self._investigate(observation.draft, signature)
        self._active.append(Hunt(observation.draft, signature, observation, task))

    def _release(self, run_dir: Path | None) -> None:
        if run_dir is not None and not self.needs(run_dir):
            self._forget(run_dir)

    def finished(self, hunt: Hunt) -> None:
        """Release the run directories of one that was taken out and stored."""
        for run_dir in set(hunt.run_dirs):
            self._release(run_dir)
