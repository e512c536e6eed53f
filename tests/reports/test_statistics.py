"""The Wilson interval against published values."""

from __future__ import annotations

import pytest

from harness.reports.parts.statistics import of_n, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 10, 0.0179, 0.4042),
        (81, 263, 0.2553, 0.3662),
        (0, 1, 0.0, 0.7935),
    ],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    """81 of 263 is the example of Newcombe (1998), method 3; the others follow from the closed form."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_no_trials_tell_nothing() -> None:
    """Of nothing at all, everything is possible."""
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2)])
def test_what_is_no_proportion_is_refused(successes: int, trials: int) -> None:
    """More successes than trials is a mistake of the caller."""
    with pytest.raises(ValueError, match="is no proportion"):
        wilson(successes, trials)


def test_k_of_n_names_its_interval() -> None:
    """What `--repeat` prints."""
    assert of_n(20, 20) == "20 of 20 passed (95 % interval 83.9 % to 100.0 %)"
