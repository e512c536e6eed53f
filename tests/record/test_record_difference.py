"""What differs between two records: planted changes are found each time, and chance is none."""

from __future__ import annotations

import random

import pytest
from record_parts import TEXT, error, results, scenario

from harness.record.difference import CLASS, MESSAGE, OUTCOME, TIME, WORD, common, differences
from harness.record.document import CallOutcome, Results
from harness.record.identity import cell_name, digest

TIMES = 10
CELLS = {(cell_name(scenario()), digest(scenario()))}


def drawn(
    seed: int, end: CallOutcome | None = None, later: float = 0.0, broken: tuple[str, ...] = ("in-time",)
) -> Results:
    """Five plays whose times differ by chance as a join's do, by up to 0.5 s."""
    draw = random.Random(seed)
    plays = {at: (broken, end or error(), 2.0 + draw.uniform(0, 0.5) + later) for at in range(1, 6)}
    return results(f"2.6.{seed}", plays)


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        ({"end": error("Timed out after <time>")}, MESSAGE),
        ({"end": error(kind="DistStoreError")}, CLASS),
        ({"end": CallOutcome(outcome="hung")}, OUTCOME),
        ({"later": 1.0}, TIME),
        ({"later": -1.0}, TIME),
        ({"broken": ()}, WORD),
    ],
)
def test_a_planted_change_is_found_each_time(planted: dict[str, object], kind: str) -> None:
    """Of message (by one letter's case), class, outcome, a second in time, or of what breaks: 10 of 10."""
    found = [differences(drawn(seed), drawn(seed + TIMES, **planted), CELLS) for seed in range(TIMES)]  # type: ignore[arg-type]
    assert [[one.kind for one in each] for each in found] == [[kind]] * TIMES


def test_two_records_of_one_torch_do_not_differ() -> None:
    """0 of 10: chance in times is no difference."""
    assert [differences(drawn(seed), drawn(seed + TIMES), CELLS) for seed in range(TIMES)] == [[]] * TIMES


def test_what_happens_now_and_then_is_no_difference() -> None:
    """A message of some plays, or a claim that breaks in some."""
    sometimes = {at: ((["in-time"] if at > 2 else []), error("a" if at > 3 else "b"), 2.0) for at in range(1, 6)}
    never = {at: ([], error("b"), 2.0) for at in range(1, 6)}
    assert differences(results("2.6.0", sometimes), results("2.7.0", never), CELLS) == []


def test_what_only_one_of_two_has_is_no_difference() -> None:
    """Nothing is known of the other; and results of another text of a scenario are not looked at."""
    empty = Results(torch="2.7.0", subject="static")
    assert differences(drawn(1), empty, CELLS) == []
    assert differences(drawn(1), drawn(2, broken=()), {(cell_name(scenario()), "another")}) == []


def test_only_plays_of_one_text_are_compared() -> None:
    """A scenario that was changed in between is not the same measurement."""
    assert common(drawn(1), drawn(2)) == CELLS
    changed = results("2.7.0", {1: ([], error(), 2.0)}, scenario(TEXT.replace("timeout: 2s", "timeout: 3s")))
    assert common(drawn(1), changed) == set()


def test_a_difference_names_both_sides() -> None:
    """In words that a page can print."""
    (one,) = differences(drawn(1), drawn(2, error("b", "DistStoreError")), CELLS)
    assert (one.cell, one.claim, one.before, one.after) == (
        "timeouts/a-join-ends-in-time",
        "in-time",
        "DistNetworkError",
        "DistStoreError",
    )
