"""The joins of a history: whose they are, which round they are for, and which ranks are missing."""

from __future__ import annotations

import pytest
from pasts import SECOND, Past, scenario

from harness.history.joins import Rounds, handler_config, joins, ranks_missing


def test_a_join_has_what_it_was_given_and_what_it_returned() -> None:
    """The world size that it returned counts before the one that it was given."""
    (join,) = joins(Past().join(1, 0, 1, as_rank=0, returned={"world_size": 3, "round": 2, "roster": ["a"]}).so_far())
    assert (join.run_id, join.given_rank, join.is_master, join.handler) == ("train", 0, True, "main")
    assert (join.returned, join.returned_rank, join.world_size, join.round, join.roster) == (True, 0, 3, 2, ("a",))


def test_a_join_that_raised_returned_nothing() -> None:
    """Its world is the one that it was given; a worker is not the master."""
    (join,) = joins(Past().join(1, 0, 1, "failed").so_far())
    assert (join.returned, join.returned_rank, join.world_size, join.round, join.roster) == (False, None, 2, None, ())
    assert not join.is_master


def test_joins_are_the_rendezvous_that_began() -> None:
    """Ordered by their begins."""
    past = Past().join(1, 2, 3).join(0, 1, 4).join(1, None, 5, "skipped", step="again").call(0, "get", 5, 6)
    assert [join.call.rank for join in joins(past.so_far())] == [0, 1]


@pytest.mark.parametrize("returned", [{"rank": "1"}, {"rank": True}, {"rank": 1.0}])
def test_a_rank_that_is_not_an_integer_is_none(returned: dict[str, object]) -> None:
    """A subject may return anything."""
    (join,) = joins(Past().join(1, 0, 1, returned=returned).so_far())
    assert join.returned_rank is None


def test_ranks_are_missing_until_their_join_begins() -> None:
    """A rank out of range, or one given twice, does not take another's place."""
    past = Past(4).join(0, 0, 9).join(1, 1, 9).join(2, 2, 9, as_rank=1).join(3, 3, 9, as_rank=7)
    members, start_ns = joins(past.so_far()), past.so_far().start_ns
    assert ranks_missing(members, 4, start_ns + SECOND) == [2, 3]
    assert ranks_missing(members, 4, start_ns + 9 * SECOND) == [2, 3]
    assert ranks_missing(members, 2, start_ns + SECOND - 1) == [1]


def test_a_handler_has_the_configuration_of_its_name() -> None:
    """None for a rank or a handler that the scenario does not have."""
    cell = scenario(run_ids={"second": "other"})
    history = Past().join(1, 0, 1, handler="second").join(1, 1, 2, handler="third").join(5, 2, 3).so_far()
    found = [handler_config(cell, join.call) for join in joins(history)]
    assert [config and (config.rank, config.run_id) for config in found] == [(1, "other"), None, None]


def test_rounds_are_counted_by_returns_where_none_is_reported() -> None:
    """A store call is in the round of the last return before it; 0 before the first."""
    past = Past().call(0, "early", 0, 1, f="get").join(0, 1, 2).call(0, "get", 3, 4).join(0, 5, 6, step="again")
    history = past.join(0, 7, 8, "failed", step="third").call(0, "late", 9, 10, f="get").so_far()
    rounds = Rounds(history)
    assert [list(rounds.at(call)) for call in history.calls if call.f == "get"] == [[0], [1], [2]]
    assert [list(rounds.of(join)) for join in joins(history)] == [[1], [2], [3]]


def test_rounds_are_those_that_the_subject_reports() -> None:
    """A join that raised is for the round after the last one; before any return, for the first of its run."""
    past = Past().join(1, 0, 1, "failed").join(0, 0, 1, returned={"round": 7}).call(0, "get", 2, 3)
    history = past.join(0, 4, 5, "failed", step="again").so_far()
    rounds = Rounds(history)
    assert [list(rounds.at(call)) for call in history.calls_of("get")] == [[7]]
    assert {(join.call.rank, join.call.step): list(rounds.of(join)) for join in joins(history)} == {
        (0, "join"): [7],
        (1, "join"): [7],
        (0, "again"): [8],
    }


def test_a_join_that_its_guard_ended_may_still_have_returned() -> None:
    """A call behind it has a store: of the first round if none was before, else of either round."""
    past = Past().join(0, 0, 1, "hung").call(0, "get", 1.1, 1.2).join(1, 0, 1).call(1, "early", 2, 2.1, f="get")
    past.join(1, 3, 4, "hung", step="again").call(1, "during", 3.5, 3.6, f="get", thread="other")
    history = past.call(1, "late", 4.1, 4.2, f="get").join(1, 4.3, 4.4, "died", step="third").so_far()
    rounds = Rounds(history)
    assert {call.step: list(rounds.at(call)) for call in history.calls if call.f == "get"} == {
        "get": [1],
        "early": [1],
        "during": [1],
        "late": [1, 2],
    }
    assert [list(rounds.of(join)) for join in joins(history)] == [[1], [1], [2], [2, 3]]


def test_a_round_that_the_subject_reports_leaves_no_doubt() -> None:
    """Behind a join that its guard ended a call has the round that it was recorded with."""
    past = Past().join(0, 0, 1, returned={"round": 7}).join(0, 2, 3, "hung", step="again")
    history = past.call(0, "get", 3.1, 3.2, round=8).call(0, "set", 3.3, 3.4).so_far()
    rounds = Rounds(history)
    assert [list(rounds.at(call)) for call in history.calls if call.f != "rendezvous"] == [[8], [7, 8]]
