"""The sequential test that decides whether a candidate fails as likely as the draft that was found."""

from __future__ import annotations

import random

import pytest

from harness.explore.sequential import ACCEPT, REJECT, SequentialTest

SIMULATED = 4000


def _simulated(p: float, candidate: float, seed: int = 1) -> tuple[float, float]:
    """The share of accepted candidates with that probability, and the mean number of runs."""
    test, draws = SequentialTest(p), random.Random(seed)
    accepted = runs = 0
    for _ in range(SIMULATED):
        hits = misses = 0
        while (decision := test.decide(hits, misses)) is None:
            hit = draws.random() < candidate
            hits, misses = hits + hit, misses + (not hit)
        accepted += decision == ACCEPT
        runs += hits + misses
    return accepted / SIMULATED, runs / SIMULATED


def test_one_miss_rejects_and_two_hits_accept_what_was_certain() -> None:
    """Of a failure that every replay shows, a candidate that misses once is refused, and two hits are enough."""
    for p in (0.9, 1.0):
        test = SequentialTest(p)
        assert [test.decide(0, 1), test.decide(1, 1)] == [REJECT, REJECT]
        assert [test.decide(0, 0), test.decide(1, 0), test.decide(2, 0)] == [None, None, ACCEPT]


@pytest.mark.parametrize(
    ("p", "candidate", "fewest_accepted", "most_accepted", "most_runs"),
    [
        (1.0, 0.0, 0.0, 0.0, 1.0),
        (1.0, 1.0, 1.0, 1.0, 2.0),
        (0.9, 0.9, 0.79, 0.83, 2.0),
        (0.9, 0.5, 0.23, 0.27, 1.6),
        (0.5, 0.0, 0.0, 0.0, 5.0),
        (0.5, 0.2, 0.0, 0.08, 9.8),
        (0.5, 0.5, 0.8, 1.0, 10.8),
        (0.3, 0.0, 0.0, 0.0, 10.0),
        (0.3, 0.12, 0.0, 0.15, 19.5),
        (0.3, 0.3, 0.8, 1.0, 20.0),
    ],
)
def test_errors_and_runs(
    p: float, candidate: float, fewest_accepted: float, most_accepted: float, most_runs: float
) -> None:
    """What keeps the probability is mostly accepted, what has lost most of it hardly ever, in about so many runs."""
    accepted, runs = _simulated(p, candidate)
    assert fewest_accepted <= accepted <= most_accepted
    assert runs <= most_runs


@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.5, 0.7, 0.89, 0.9, 1.0])
def test_it_always_decides(p: float) -> None:
    """However hits and misses come, a decision is made after `most_runs`, and `at_least` says when one is possible."""
    test = SequentialTest(p)
    for hits in range(test.most_runs + 1):
        misses = test.most_runs - hits
        assert test.decide(hits, misses) in (ACCEPT, REJECT)
        assert test.at_least(hits, misses) == 0
    for hits in range(test.most_runs):
        if test.decide(hits, 0) is None:
            further = test.at_least(hits, 0)
            assert further >= 1
            assert all(test.decide(hits + more, 0) is None for more in range(further))


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_the_probability_does_not_drift_down(p: float) -> None:
    """A chain of candidates, each with 0.8 of the last one's probability, ends while much of the first one's is left.

    All are compared with the first. Were each compared with the one before, such a chain would go on for ever.
    """
    draws = random.Random(2)
    left = []
    for _ in range(200):
        now = p
        test = SequentialTest(p)
        while now > p / 100:
            hits = misses = 0
            while (decision := test.decide(hits, misses)) is None:
                hit = draws.random() < now * 0.8
                hits, misses = hits + hit, misses + (not hit)
            if decision == REJECT:
                break
            now *= 0.8
        left.append(now / p)
    assert sum(left) / len(left) > 0.5
    assert min(left) > 0.2
