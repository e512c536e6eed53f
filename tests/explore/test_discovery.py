"""What is left to see, by published estimators."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.explore.statistics import Discovery

RUNS = st.lists(st.frozensets(st.sampled_from("abcdefghij")), max_size=30)


def counted(*runs: object) -> Discovery:
    discovery = Discovery()
    for run in runs:
        discovery.add(run)  # type: ignore[arg-type]
    return discovery


def with_counts(n: int, counts: list[int]) -> Discovery:
    """Runs in which feature i was seen `counts[i]` times, each from the first run on."""
    return counted(*({f"f{i}" for i, count in enumerate(counts) if run < count} for run in range(n)))


def test_the_ants_of_costa_rica() -> None:
    """14 species in 200 plots, one seen once and two twice, give 14.25 by Chao2 and 1/200 for the next plot.

    The data are `ant$h2000m` of the R package iNEXT (Longino and Colwell 2011): 200 units; 1 2 2 3 4 8 8 13 15 and five
    larger counts.
    """
    ants = with_counts(200, [1, 2, 2, 3, 4, 8, 8, 13, 15, 19, 23, 34, 59, 80])
    assert (ants.n, ants.seen, ants.q1, ants.q2) == (200, 14, 1, 2)
    assert ants.richness == pytest.approx(14 + 199 / 200 / 4)
    assert ants.chance_of_new == ants.new_per_run == 1 / 200
    assert not ants.is_bound


def test_chao2_without_a_feature_seen_twice() -> None:
    """Where Q2 is 0 the bias-corrected form counts: Q1 (Q1 - 1) / 2 (Chao 1987; Gotelli and Colwell 2011)."""
    discovery = counted({"a"}, {"b"}, {"c"}, {"d"})
    assert (discovery.q1, discovery.q2) == (4, 0)
    assert discovery.richness == pytest.approx(4 + 3 / 4 * 6)


def test_with_nothing_seen_once_the_chance_is_bounded_by_3_over_n() -> None:
    """After 300 equal runs the chance is at most 1 %, and a chance that large would show in 95 % of such series."""
    discovery = counted(*([{"a", "b"}] * 300))
    assert discovery.is_bound
    assert discovery.chance_of_new == discovery.new_per_run == 3 / 300
    assert "at most 1 %" in discovery.sentence
    assert pytest.approx(0.05, abs=0.002) == (1 - 3 / 300) ** 300


def test_before_the_first_run_nothing_is_known() -> None:
    """Then the chance is 1, and the sentence says that it is not known."""
    discovery = Discovery()
    assert discovery.chance_of_new == 1
    assert discovery.new_per_run == math.inf
    assert discovery.richness == 0
    assert "not known" in discovery.sentence


def test_a_run_with_two_features_of_its_own_counts_once() -> None:
    """Of three features seen once two are of one run of four: the chance is 2/4, and 3/4 new ones are expected."""
    discovery = counted({"a", "x", "y"}, {"a", "z"}, {"a"}, {"a"})
    assert discovery.chance_of_new == 2 / 4
    assert discovery.new_per_run == 3 / 4


@settings(max_examples=40, deadline=None)
@given(RUNS)
def test_counts_are_those_of_counting_anew(runs: list[frozenset[str]]) -> None:
    """After any runs, all figures are those of counting all of them from scratch."""
    counts = Counter(feature for run in runs for feature in run)
    single = {feature for feature, count in counts.items() if count == 1}
    discovery = counted(*runs)
    assert (discovery.n, discovery.seen) == (len(runs), len(counts))
    assert discovery.q1 == len(single)
    assert discovery.q2 == sum(count == 2 for count in counts.values())
    if single:
        assert discovery.chance_of_new == sum(not single.isdisjoint(run) for run in runs) / len(runs)
    assert 0 <= discovery.chance_of_new <= min(1, discovery.new_per_run)
    assert discovery.richness >= discovery.seen


@settings(max_examples=40, deadline=None)
@given(RUNS, RUNS)
def test_counts_go_on_after_they_were_stored(before: list[frozenset[str]], after: list[frozenset[str]]) -> None:
    """Counts that were written as JSON and read back go on as if nothing had happened."""
    stored = Discovery.from_json(json.loads(json.dumps(counted(*before).to_json())))
    for run in after:
        stored.add(run)
    assert stored.to_json() == counted(*before, *after).to_json()
    assert stored.chance_of_new == counted(*before, *after).chance_of_new
    assert stored.richness == counted(*before, *after).richness


@pytest.mark.parametrize(
    "row",
    [
        [],
        {"runs": 1, "counts": [], "only_in": {}},
        {"runs": 1, "counts": {"a": 0}, "only_in": {}},
        {"runs": 1, "counts": {"a": 1}, "only_in": {}},
        {"runs": 1, "counts": {"a": 2}, "only_in": {}},
        {"runs": 1, "counts": {"a": 1}, "only_in": {"a": 2}},
    ],
)
def test_damaged_counts_are_refused(row: object) -> None:
    """Counts that no runs can have given are a ValueError."""
    with pytest.raises(ValueError):
        Discovery.from_json(row)
