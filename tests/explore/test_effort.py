"""Where the next runs go: arms and budgets, and the distributions behind them."""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from harness.explore.effort import Arm, Effort, beta, gamma, normal

MANY = 6_000
LINKS, RANKS = Arm("link", "store"), Arm("rank", "store")


def draws(seed: int = 7) -> random.Random:
    return random.Random(seed)


@pytest.mark.parametrize("shape", [1, 1.5, 4, 40])
def test_gamma_has_its_mean_and_variance(shape: float) -> None:
    """Both are the shape, within five standard errors of 6,000 draws."""
    source = draws()
    drawn = [gamma(source, shape) for _ in range(MANY)]
    assert statistics.fmean(drawn) == pytest.approx(shape, abs=5 * (shape / MANY) ** 0.5)
    # The variance of a sample's variance is (kurtosis - 1) variance^2 / n; the kurtosis of a gamma is 3 + 6 / shape.
    error = ((2 + 6 / shape) / MANY) ** 0.5 * shape
    assert statistics.variance(drawn) == pytest.approx(shape, abs=5 * error)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 5), (30, 3)])
def test_beta_has_its_mean_and_variance(a: float, b: float) -> None:
    """Mean a / (a + b) and variance ab / ((a + b)^2 (a + b + 1)), with 6,000 draws between 0 and 1."""
    source = draws()
    drawn = [beta(source, a, b) for _ in range(MANY)]
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert statistics.fmean(drawn) == pytest.approx(mean, abs=5 * (variance / MANY) ** 0.5)
    assert statistics.variance(drawn) == pytest.approx(variance, rel=0.15)
    assert min(drawn) >= 0
    assert max(drawn) <= 1


def test_beta_1_1_is_uniform() -> None:
    """Each tenth has a tenth of 6,000 draws, within five standard errors."""
    source = draws()
    tenths = Counter(int(10 * beta(source, 1, 1)) for _ in range(MANY))
    assert all(count == pytest.approx(MANY / 10, abs=5 * (MANY * 0.09) ** 0.5) for count in tenths.values())
    assert len(tenths) == 10


def test_normal_has_its_moments() -> None:
    """Mean 0, variance 1, and 68.3 % within 1."""
    source = draws()
    drawn = [normal(source) for _ in range(MANY)]
    assert statistics.fmean(drawn) == pytest.approx(0, abs=5 / MANY**0.5)
    assert statistics.variance(drawn) == pytest.approx(1, abs=5 * (2 / MANY) ** 0.5)
    assert sum(abs(one) < 1 for one in drawn) / MANY == pytest.approx(0.683, abs=0.03)


class Fixed:
    """Draws the same number each time."""

    def __init__(self, number: float) -> None:
        self._number = number

    def random(self) -> float:
        return self._number


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_the_ends_of_the_range_are_no_error(number: float) -> None:
    """The smallest and the largest number that `random` returns give a draw."""
    assert normal(Fixed(number)) == pytest.approx(0, abs=9)


def test_a_shape_below_1_is_refused() -> None:
    """The method does not hold for it."""
    with pytest.raises(ValueError, match="below 1"):
        gamma(draws(), 0.5)


def chosen(effort: Effort, source: random.Random, runs: int, shows: dict[Arm, int]) -> Counter[Arm]:
    """How often each arm was chosen, where each run of it shows so many new features in a second."""
    counts: Counter[Arm] = Counter()
    for _ in range(runs):
        arm = effort.arm(source, list(shows))
        effort.learn([arm], shows[arm], 1.0)
        counts[arm] += 1
    return counts


def test_the_arm_that_shows_more_is_chosen_more_often_and_no_arm_is_given_up() -> None:
    """With ten new features a run against none, it gets over two thirds of 300 runs; the other one some."""
    counts = chosen(Effort(), draws(), 300, {LINKS: 10, RANKS: 0})
    assert counts[LINKS] > 200
    assert counts[RANKS] > 3


def test_what_was_learnt_long_ago_is_forgotten() -> None:
    """When the arms change places, the other one is soon chosen more often."""
    effort, source = Effort(), draws()
    chosen(effort, source, 300, {LINKS: 10, RANKS: 0})
    assert chosen(effort, source, 300, {LINKS: 0, RANKS: 10})[RANKS] > 200


def test_new_features_count_by_the_second() -> None:
    """The same new features in a tenth of the time are worth more."""
    effort, source, counts = Effort(), draws(), Counter[Arm]()
    for _ in range(300):
        arm = effort.arm(source, [LINKS, RANKS])
        effort.learn([arm], 2, 0.5 if arm == LINKS else 5.0)
        counts[arm] += 1
    assert counts[LINKS] > counts[RANKS] * 1.5


def test_the_same_seed_chooses_the_same() -> None:
    """Choices depend on the draws and on what was learnt, and on nothing else."""
    first, second = (chosen(Effort(), draws(3), 50, {LINKS: 1, RANKS: 2}) for _ in range(2))
    assert first == second


def test_without_arms_there_is_no_choice() -> None:
    """An empty list is an error of the caller."""
    with pytest.raises(ValueError, match="no arm"):
        Effort().arm(draws(), [])


CELL = "latency|upstream|worker|query set"


def test_a_cell_is_used_up_after_its_budget() -> None:
    """After four runs without anything new a draft of this cell alone is refused; another cell beside it is enough."""
    effort = Effort()
    for _ in range(4):
        assert effort.accepts([CELL])
        effort.spend([CELL, CELL], 0)
    assert effort.left(CELL) == 0
    assert not effort.accepts([CELL])
    assert effort.accepts([CELL, "another"])
    assert effort.accepts([])


def test_new_features_earn_runs_but_not_for_ever() -> None:
    """Each run with something new earns two more; no cell gets more than 32."""
    effort = Effort()
    runs = 0
    while effort.accepts([CELL]):
        effort.spend([CELL], 1)
        runs += 1
    assert runs == 32


def test_when_everything_is_used_up_budgets_are_renewed() -> None:
    """After 20 refusals in a row the next draft is accepted, and all cells have runs again."""
    effort = Effort(per_cell=1)
    effort.spend([CELL], 0)
    assert [effort.accepts([CELL]) for _ in range(21)] == [False] * 20 + [True]
    assert effort.left(CELL) == 1
