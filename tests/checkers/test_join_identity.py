"""Join identity: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import Past, at, scenario

from harness.checkers.join_identity import JoinIdentity
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict
from harness.values.wire import CUT, DROPPED, KEPT, QUERY, REPLY, Wire, WireMessage

RULE = JoinIdentity.declaration.summary
_COUNT, _CLAIM = ("add", "init/"), "compare_set"


def message(seconds: float, rank: int, kind: str = "add", key: str = "init/", **keys: object) -> WireMessage:
    fields = {"side": QUERY, **keys}
    return WireMessage(number=0, time_ns=at(seconds), rank=rank, connection=rank, kind=kind, keys=(key,), **fields)


def judged(past: Past, *messages: WireMessage, wire: Wire | None = None) -> Verdict:
    numbered = tuple(replace(one, number=number) for number, one in enumerate(messages, 1))
    history: History = replace(past.whole(), wire=wire or Wire(numbered))
    return JoinIdentity().check(scenario(size=3), history, {})


def world(subject: str = "static") -> Past:
    return Past(3, subject=subject).all_join(0, 0.5)


def retried() -> Past:
    """Rank 1 joins, raises, and joins again."""
    past = Past(3).join(0, 0, 2).join(1, 0, 0.5, "failed")
    return past.join(1, 0.6, 1, step="retry")


def test_each_rank_is_counted_once() -> None:
    """The plain case of stock's join."""
    verdict = judged(world(), message(0.1, 1), message(0.2, 2))
    assert verdict == Verdict("join_identity", PASSED, "2 messages counted each join as itself", RULE)


def test_a_rank_that_is_counted_twice_is_rejected() -> None:
    """F05: the reply to the first count was lost, and the retry counts again."""
    verdict = judged(retried(), message(0.1, 1), message(0.1, 1, side=REPLY, fate=CUT), message(0.7, 1))
    because = "rank 1's retry was counted by the server, which had counted rank 1's join"
    assert verdict == Verdict("join_identity", FAILED, f"{because} (message 3)", RULE, because, (5, 6))


def test_each_count_too_many_is_a_violation_of_its_own() -> None:
    """Two retries."""
    past = retried().join(1, 1.1, 1.2, step="third")
    verdict = judged(past, message(0.1, 1), message(0.7, 1), message(1.15, 1))
    assert [one.evidence for one in verdict.violations] == [(5, 6), (7, 8)]


def test_two_processes_of_one_rank_are_rejected() -> None:
    """F06: the second one is counted in place of rank 2."""
    past = Past(3).join(0, 0, 0.5).join(1, 0, 0.5).join(2, 0, 0.5, as_rank=1)
    assert judged(past, message(0.1, 1), message(0.2, 2)).status == FAILED


def test_a_rank_that_had_joined_and_let_its_handler_go_joins_anew() -> None:
    """As `cycle` does; nobody's place is taken."""
    past = Past(3).all_join(0, 0.5).call(1, "drop", 0.55, 0.56).join(1, 0.6, 1, step="anew")
    assert judged(past, message(0.1, 1), message(0.7, 1)).status == PASSED
    dropped = retried().call(1, "drop", 0.55, 0.56)  # its join had raised
    assert judged(dropped, message(0.1, 1), message(0.7, 1)).status == FAILED


@pytest.mark.parametrize("fate", [CUT, DROPPED, KEPT])
def test_a_count_that_never_reached_the_server_does_not_count(fate: str) -> None:
    """The retry is the first that does."""
    assert judged(retried(), message(0.1, 1, fate=fate), message(0.7, 1)).status == PASSED


def test_another_run_is_counted_apart() -> None:
    """The same rank of a second run, on the same server."""
    past = world().all_join(1, 1.5, run_id="second", step="second")
    assert judged(past, message(0.1, 1), message(1.1, 1)).status == PASSED


@pytest.mark.parametrize("verb", ["drop", "shutdown", "exit"])
def test_a_new_server_counts_anew(verb: str) -> None:
    """The master went, and its server with it; a worker that goes changes nothing."""
    assert judged(retried().call(0, verb, 0.55, 0.56), message(0.1, 1), message(0.7, 1)).status == PASSED
    assert judged(retried().call(1, verb, 0.55, 0.56), message(0.1, 1), message(0.7, 1)).status == FAILED


def test_a_slot_is_claimed_by_its_own_rank() -> None:
    """Static-strict's join; claimed again after a lost reply, it is still the same join."""
    own = message(0.1, 1, _CLAIM, "/+db7dda.1s1")
    assert judged(world("static-strict"), own, replace(own, time_ns=at(0.2))).status == PASSED


def test_a_slot_of_another_rank_is_rejected() -> None:
    """It takes the place of rank 2."""
    verdict = judged(world("static-strict"), message(0.1, 1, _CLAIM, "/+db7dda.1s2"))
    assert verdict.because == "rank 1's join claimed rank 2, and was given 1 (message 1)"
    assert verdict.status == FAILED


def test_a_message_between_joins_or_in_several_is_not_judged() -> None:
    """Whose it is cannot be known."""
    assert judged(retried(), message(0.55, 1)).status == VACUOUS
    both = retried().join(1, 0.6, 1, step="other", thread="second")
    assert judged(both, message(0.1, 1), message(0.7, 1)).status == PASSED


def test_other_messages_are_not_judged() -> None:
    """A counter of the job has a prefix, and a slot is read and claimed by different queries."""
    others = [message(0.1, 1, key="train/init/"), message(0.1, 1, "get", "/+db7dda.1s2"), message(0.1, 1, "set")]
    assert judged(world(), *others).status == VACUOUS


@pytest.mark.parametrize("wire", [Wire((), dropped=1), Wire((), undecoded=1)])
def test_an_incomplete_log_shows_nothing(wire: Wire) -> None:
    """A message that is missing may be the one that matters."""
    assert judged(retried(), wire=replace(wire, messages=(message(0.1, 1), message(0.7, 1)))).status == VACUOUS


def test_without_a_log_there_is_nothing_to_judge() -> None:
    """A real toxiproxy-server decodes nothing."""
    assert JoinIdentity().check(scenario(size=3), world().whole(), {}).status == VACUOUS


def test_a_reply_counts_nobody() -> None:
    """Only what is asked of the server does."""
    assert judged(retried(), message(0.1, 1, side=REPLY), message(0.7, 1)).status == PASSED


def test_what_another_handler_or_time_let_go_excuses_nothing() -> None:
    """A second handler's drop, and one after the second count; what ran on the master then was no end of a server."""
    twice = (message(0.1, 1), message(0.7, 1))
    again = Past(3).all_join(0, 0.5).join(1, 0.6, 1, step="again")
    assert judged(again, *twice).status == FAILED
    for more in ({"at": 0.55, "handler": "second"}, {"at": 0.8, "handler": "main"}):
        begin = more.pop("at")
        past = Past(3).all_join(0, 0.5).join(1, 0.6, 1, step="again").call(1, "drop", begin, begin + 0.01, **more)
        assert judged(past, *twice).status == FAILED, more
    assert judged(retried().call(0, "get", 0.55, 0.56), *twice).status == FAILED


def test_a_message_without_keys_counts_nobody() -> None:
    """A `num_keys` names none; neither does a join that names several."""
    unnamed = replace(message(0.1, 1, "num_keys"), keys=())
    several = replace(message(0.1, 1), keys=("init/", "other"))
    assert judged(retried(), unnamed, several, message(0.7, 1)).status == PASSED


def test_a_slot_is_not_compared_with_a_rank_that_is_not_known() -> None:
    """The history does not say what the join was given."""
    past = Past(3, subject="static-strict").join(1, 0, 0.5, as_rank=None)
    assert judged(past, message(0.1, 1, _CLAIM, "/+db7dda.1s2")).status == PASSED
