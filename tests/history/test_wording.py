"""How calls are worded for a person."""

from __future__ import annotations

import pytest
from pasts import Past

from harness.history.wording import (
    and_n_more,
    bounds,
    counted,
    describe_call,
    describe_end,
    joined,
    outcome_phrase,
    ranks_named,
    stacks_of,
    with_stacks,
)
from harness.values.history import Call

MS, SECOND = 1_000_000, 1_000_000_000


def only(past: Past) -> Call:
    (call,) = past.so_far().calls
    return call


def test_a_call_is_named_by_rank_and_step() -> None:
    """With thread, life and number where these are not the usual ones."""
    assert describe_call(only(Past().join(2, 0, 1))) == "rank 2's join"
    marked = Past().call(2, "get", 0, 1, thread="second", life=2, number=3)
    assert describe_call(only(marked)) == "rank 2's get (thread second, life 2, call 3)"


@pytest.mark.parametrize(
    ("past", "phrase", "end"),
    [
        (Past().join(0, 0, 5.03), "returned", "returned after 5.03 s"),
        (Past().join(0, 0, 0.02, "failed"), "raised DistNetworkError", "raised DistNetworkError after 20 ms"),
        (Past().join(0, 0, 1, "died"), "died", "died after 1.00 s"),
        (Past().join(0, 0, 1, "hung"), "hung", "hung after 1.00 s"),
        (Past().join(0, None, 1, "skipped"), "was skipped", "was skipped"),
        (
            Past().call(0, "get", None, 1, "skipped", value={"because": "no store"}),
            "was skipped",
            "was skipped (no store)",
        ),
        (Past().join(0, 0, None), "had not ended", "had not ended by the end of the history"),
        (Past().ends(0, None, 1, signal=9), "died", "was ended by signal 9"),
        (Past().ends(0, None, 1, signal=9, by="guard"), "died", "was ended by signal 9 (guard)"),
        (Past().ends(0, 0, 1, status=3), "raised ExitStatus", "ended with status 3"),
        (Past().ends(0, 0, 1), "returned", "ended with status 0"),
    ],
)
def test_an_end_is_worded_with_and_without_its_time(past: Past, phrase: str, end: str) -> None:
    """Ends of processes say their status or signal."""
    call = only(past)
    assert outcome_phrase(call) == phrase
    assert describe_end(call) == end


def test_a_hang_points_to_the_stacks_of_its_process() -> None:
    """Whether the call or the end of its process has the file; other lives and calls that did not hang have none."""
    past = Past().join(0, 0, 9, "hung").join(1, 0, 1).ends(0, None, 9, signal=9, stacks="stacks/rank-0.txt")
    history = past.join(0, 10, 11, "hung", life=2).so_far()
    hung, returned, second = history.calls_of("join")
    assert stacks_of(history, hung) == "stacks/rank-0.txt"
    assert with_stacks(history, hung, "it hung") == "it hung; stacks: stacks/rank-0.txt"
    assert with_stacks(history, returned, "it returned") == "it returned"
    assert with_stacks(history, second, "it hung") == "it hung"


@pytest.mark.parametrize(
    ("lower", "upper", "text"),
    [
        (None, 500 * MS, "at most 500 ms"),
        (3 * SECOND, 4 * SECOND, "3.00 to 4.00 s"),
        (500 * MS, SECOND, "500 ms to 1.00 s"),
        (0, SECOND, "0 to 1.00 s"),
    ],
)
def test_bounds_name_their_unit_once(lower: int | None, upper: int, text: str) -> None:
    """Where it is the same."""
    assert bounds(lower, upper) == text


def test_lists_and_numbers_read_like_sentences() -> None:
    """One, two, and more."""
    assert [joined(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert joined(["a", "b"], "or") == "a or b"
    assert [ranks_named([0]), ranks_named([1, 2])] == ["rank 0", "ranks 1 and 2"]
    assert [counted(1, "call"), counted(2, "call"), counted(0, "process", "processes")] == [
        "1 call",
        "2 calls",
        "0 processes",
    ]
    assert [and_n_more(count) for count in (0, 1, 3)] == ["", "", " (and 2 more)"]
