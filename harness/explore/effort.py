"""Where the next runs go: faults and workloads by what they have shown, anchors by budgets.

Everything here is drawn from `random()` of what is given, so that a seed draws the same on every version of Python.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

DISCOUNT = 0.98
"""What one run leaves of the weight of all runs before it: half of it is gone after 34 runs."""

PER_CELL = 4
"""How many runs each cell has to begin with."""

_EARNED = 2
_MOST_PER_CELL = 32
_MOST_CELLS = 100_000
_PATIENCE = 20


class Draws(Protocol):
    """What draws numbers."""

    def random(self) -> float:
        """A number from 0, included, to 1, excluded."""


@dataclass(frozen=True, order=True)
class Arm:
    """What can be chosen: a layer of faults (`link`, `rank`, ...) together with a family of workloads."""

    layer: str
    family: str


@dataclass
class _Weights:
    """Discounted evidence for and against an arm, as of a tick."""

    good: float = 0.0
    bad: float = 0.0
    tick: int = 0

    def at(self, tick: int, discount: float) -> tuple[float, float]:
        left: float = discount ** (tick - self.tick)
        return self.good * left, self.bad * left


@dataclass
class _Rate:
    """A discounted mean of new features per second."""

    features: float = 0.0
    seconds: float = 0.0

    def add(self, features: float, seconds: float, discount: float) -> None:
        self.features = self.features * discount + features
        self.seconds = self.seconds * discount + seconds

    @property
    def mean(self) -> float:
        return self.features / self.seconds if self.seconds else 0.0


@dataclass
class Effort:
    """Chooses arms, and keeps the budgets of cells.

    Arms are drawn by discounted Thompson sampling (V. Raj, S. Kalyani, arXiv 1707.09727): each has a beta distribution,
    one number is drawn from each, the arm with the largest is chosen. What a run was worth lies between 0 and 1: its
    new features per second, compared with the discounted mean over all arms, which is worth 1/2.

    A cell has a budget of runs (as Legolas, SOSP 2024, gives each abstract state of the system one). New features raise
    it, by 2 and up to 32. Budgets are for what is chosen by what was seen before; the uniform lane must not ask for
    them, or it would no longer be uniform.

    Attributes:
        discount: see `DISCOUNT`.
        per_cell: see `PER_CELL`.
    """

    discount: float = DISCOUNT
    per_cell: int = PER_CELL
    _tick: int = field(default=0, init=False)
    _arms: dict[Arm, _Weights] = field(default_factory=dict, init=False)
    _rate: _Rate = field(default_factory=_Rate, init=False)
    _spent: dict[str, int] = field(default_factory=dict, init=False)
    _earned: dict[str, int] = field(default_factory=dict, init=False)
    _refusals: int = field(default=0, init=False)
    _rounds: int = field(default=1, init=False)

    # -- arms ----------------------------------------------------------------------------------------------------------

    def arm(self, draws: Draws, arms: Sequence[Arm]) -> Arm:
        """One of these arms, more often one that has lately shown more; raises ValueError if there is none."""
        if not arms:
            raise ValueError("there is no arm to choose from")
        values = []
        for arm in arms:
            good, bad = self._arms.get(arm, _Weights()).at(self._tick, self.discount)
            values.append(beta(draws, 1 + good, 1 + bad))
        return arms[values.index(max(values))]

    def learn(self, arms: Collection[Arm], new_features: int, seconds: float) -> None:
        """Learn what one run of these arms has shown; more than one if it had faults of several layers."""
        spent = max(seconds, 0.001)
        worth = self._worth(new_features / spent)
        self._rate.add(new_features, spent, self.discount)
        self._tick += 1
        for arm in arms:
            good, bad = self._arms.get(arm, _Weights()).at(self._tick, self.discount)
            self._arms[arm] = _Weights(good + worth, bad + 1 - worth, self._tick)

    def _worth(self, rate: float) -> float:
        """Between 0 and 1; 0 for a run without anything new."""
        usual = self._rate.mean
        return rate / (rate + usual) if rate > 0 else 0.0

    # -- budgets of cells ----------------------------------------------------------------------------------------------

    def left(self, cell: str) -> int:
        """How many runs a cell still has."""
        budget = min(self.per_cell + self._earned.get(cell, 0), _MOST_PER_CELL) * self._rounds
        return max(0, budget - self._spent.get(cell, 0))

    def accepts(self, cells: Sequence[str]) -> bool:
        """Whether one of the cells of a draft has a run left; a draft without cells is always accepted.

        After 20 refusals in a row all budgets are renewed, since then most cells are used up.
        """
        if not cells or any(self.left(cell) for cell in cells):
            self._refusals = 0
            return True
        self._refusals += 1
        if self._refusals > _PATIENCE:
            self._refusals = 0
            self._rounds += 1
            return True
        return False

    def spend(self, cells: Sequence[str], new_features: int) -> None:
        """Charge a run to its cells, and reward them if it has shown something new."""
        for cell in dict.fromkeys(cells):
            if cell not in self._spent and len(self._spent) >= _MOST_CELLS:
                continue
            self._spent[cell] = self._spent.get(cell, 0) + 1
            if new_features > 0:
                self._earned[cell] = min(self._earned.get(cell, 0) + _EARNED, _MOST_PER_CELL)


# -- draws from distributions ------------------------------------------------------------------------------------------


def normal(draws: Draws) -> float:
    """A draw from the standard normal distribution (G. Box, M. Muller 1958)."""
    radius = math.sqrt(-2 * math.log(1 - draws.random()))
    return radius * math.cos(2 * math.pi * draws.random())


def gamma(draws: Draws, shape: float) -> float:
    """A draw from the gamma distribution of scale 1 (G. Marsaglia, W. Tsang 2000), for a shape from 1 on.

    Raises ValueError for a smaller shape, which no arm has.
    """
    if shape < 1:
        raise ValueError(f"a shape of {shape} is below 1")
    d = shape - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        x = normal(draws)
        v = (1 + c * x) ** 3
        if v > 0 and math.log(1 - draws.random()) < 0.5 * x * x + d - d * v + d * math.log(v):
            return d * v


def beta(draws: Draws, a: float, b: float) -> float:
    """A draw from the beta distribution, for parameters from 1 on; raises ValueError for smaller ones."""
    x, y = gamma(draws, a), gamma(draws, b)
    return x / (x + y) if x + y > 0 else 0.5
