"""The sequential test: whether a change of a draft keeps the probability of a failure, in as few runs as possible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

ACCEPT, REJECT = "accept", "reject"

CERTAIN = 0.9
"""From this probability on one miss rejects and two hits accept."""

_HITS_IF_CERTAIN = 2
_KEPT = 0.4
"""What a candidate must not have: at most this share of the probability of the draft that was found."""

_WRONGLY_ACCEPTED, _WRONGLY_REJECTED = 0.05, 0.1
"""Wald's alpha and beta: of a candidate with that share of the probability, and of one with all of it."""

_MOST_RUNS_TIMES = 3
"""After so many times the runs that a candidate without any hit takes, the nearer of the two is taken."""


@dataclass(frozen=True)
class SequentialTest:
    """Wald's test of how likely a candidate is to fail as found: as likely as before, or at most 0.4 times that.

    Attributes:
        p: the probability of the draft that was found, as measured by its replays. It stays the same for all
            candidates of one find: were it the last candidate's, each acceptance could lose a little more of it.
    """

    p: float

    def decide(self, hits: int, misses: int) -> str | None:
        """`accept`, `reject`, or None as long as it takes more runs."""
        if self.p >= CERTAIN:
            return REJECT if misses else ACCEPT if hits >= _HITS_IF_CERTAIN else None
        score = hits * self._hit + misses * self._miss
        if score >= self._accepts:
            return ACCEPT
        if score <= self._rejects:
            return REJECT
        if hits + misses >= self.most_runs:
            return ACCEPT if score > 0 else REJECT
        return None

    def at_least(self, hits: int, misses: int) -> int:
        """How many more runs it takes at least until it can decide; 0 if it has decided."""
        for runs in range(self.most_runs + 1):
            if self.decide(hits + runs, misses) or self.decide(hits, misses + runs):
                return runs
        return 1

    @cached_property
    def most_runs(self) -> int:
        """After how many runs it decides in any case."""
        if self.p >= CERTAIN:
            return _HITS_IF_CERTAIN
        return _MOST_RUNS_TIMES * math.ceil(self._rejects / self._miss)

    @property
    def _hit(self) -> float:
        return -math.log(_KEPT)

    @property
    def _miss(self) -> float:
        return math.log((1 - self.p) / (1 - _KEPT * self.p))

    @property
    def _accepts(self) -> float:
        return math.log((1 - _WRONGLY_REJECTED) / _WRONGLY_ACCEPTED)

    @property
    def _rejects(self) -> float:
        return math.log(_WRONGLY_REJECTED / (1 - _WRONGLY_ACCEPTED))
