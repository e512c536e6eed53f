"""How much is left to see: what the features of runs drawn alike say about those that no run has shown yet.

Each run is a sampling unit that shows a feature or does not. Sources: I. J. Good, The population frequencies of species
and the estimation of population parameters, Biometrika 40 (1953); A. Chao, Estimating the population size for
capture-recapture data with unequal catchability, Biometrics 43 (1987); M. Böhme, STADS: software testing as species
discovery, TOSEM 27 (2018). They hold for runs drawn independently from one distribution, so only for the uniform lane.
Whether they hold for tests is doubted (arXiv 2507.17093); one check is to count batches of runs as units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from harness.values.json import Fields

MOST_FEATURES = 50_000
"""Beyond them a feature that was not seen before is not counted."""

_OF_NOTHING_SEEN = 3
"""With nothing seen in n runs, 3/n bounds the chance from above, with 95 % confidence: (1 - 3/n)^n is about e^-3."""


class Discovery:
    """Counts in how many runs each feature was seen."""

    def __init__(self) -> None:
        self._runs = 0
        self._counts: dict[str, int] = {}
        self._of_counts: Counter[int] = Counter()
        self._only_in: dict[str, int] = {}
        self._with_single: Counter[int] = Counter()

    def add(self, features: Iterable[str]) -> None:
        """Count one run."""
        self._runs += 1
        for feature in set(features):
            count = self._counts.get(feature, 0)
            if count == 0 and len(self._counts) >= MOST_FEATURES:
                continue
            self._counts[feature] = count + 1
            self._of_counts[count] -= count > 0
            self._of_counts[count + 1] += 1
            if count == 0:
                self._only_in[feature] = self._runs
                self._with_single[self._runs] += 1
            elif count == 1:
                self._forget_single(self._only_in.pop(feature))

    def _forget_single(self, run: int) -> None:
        self._with_single[run] -= 1
        if not self._with_single[run]:
            del self._with_single[run]

    @property
    def n(self) -> int:
        """How many runs were counted."""
        return self._runs

    @property
    def seen(self) -> int:
        """How many features were seen."""
        return len(self._counts)

    @property
    def q1(self) -> int:
        """How many features were seen in exactly one run."""
        return self._of_counts[1]

    @property
    def q2(self) -> int:
        """How many features were seen in exactly two runs."""
        return self._of_counts[2]

    @property
    def new_per_run(self) -> float:
        """How many new features the next run is expected to show: Q1/n (Good 1953); 3/n, a bound, if Q1 is 0.

        Infinite before the first run.
        """
        if not self._runs:
            return float("inf")
        return (self.q1 or _OF_NOTHING_SEEN) / self._runs

    @property
    def chance_of_new(self) -> float:
        """The chance that the next run shows something new; if Q1 is 0 an upper bound, 3/n.

        It is the share of runs that show a feature which no other run shows. That is at most Q1/n, and less where one
        run shows several such features, which is usual here.
        """
        if not self._runs:
            return 1.0
        return min(1.0, (len(self._with_single) or _OF_NOTHING_SEEN) / self._runs)

    @property
    def is_bound(self) -> bool:
        """Whether `chance_of_new` is an upper bound only."""
        return self.q1 == 0

    @property
    def richness(self) -> float:
        """A lower bound of how many features there are, seen or not: Chao2, bias-corrected where Q2 is 0."""
        if not self._runs:
            return 0.0
        q1, q2 = self.q1, self.q2
        unseen = q1 * q1 / (2 * q2) if q2 else q1 * (q1 - 1) / 2
        return self.seen + (self._runs - 1) / self._runs * unseen

    @property
    def sentence(self) -> str:
        """The same in words, for a person."""
        if not self._runs:
            return "nothing was drawn uniformly yet, so the chance of something new is not known"
        how = "at most" if self.is_bound else "about"
        return (
            f"the chance that the next run shows something new is {how} {100 * self.chance_of_new:.2g} %"
            f" ({self.seen} features in {self._runs} runs, at least {round(self.richness)} exist)"
        )

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, for a file."""
        return {"runs": self._runs, "counts": dict(self._counts), "only_in": dict(self._only_in)}

    @classmethod
    def from_json(cls, row: Any) -> Discovery:
        """What `to_json` gave; raises ValueError for anything else."""
        fields = Fields(row)
        self = cls()
        self._runs = fields.whole("runs")
        self._counts = _counts(fields.value("counts"), "counts")
        self._only_in = _counts(fields.value("only_in"), "only_in")
        if {feature for feature, count in self._counts.items() if count == 1} != set(self._only_in):
            raise ValueError("only_in does not fit counts")
        if max((*self._counts.values(), *self._only_in.values()), default=0) > self._runs:
            raise ValueError("a count is larger than runs")
        self._of_counts = Counter(self._counts.values())
        self._with_single = Counter(self._only_in.values())
        return self


def _counts(row: Any, name: str) -> dict[str, int]:
    if not isinstance(row, Mapping):
        raise ValueError(f"{name} is not a mapping")
    fields = Fields(dict(row))
    return {str(key): fields.whole(key, 1) for key in row}
