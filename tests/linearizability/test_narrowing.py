"""What messages on the wire say about calls of unknown outcome, and where they say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import Past, at, scenario

from harness.checkers.linearizable import Linearizable
from harness.linearizability.connections import Replacements
from harness.linearizability.narrowing import Narrowed, narrow
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED
from harness.values.wire import CUT, DROPPED, KEPT, QUERY, REPLY, Wire, WireMessage
from harness.values.wire import PASSED as PASSED_ON


def call(past: Past, rank: int, step: str, verb: str, begin: float, outcome: str = "ok", **rest: Any) -> Past:
    """A call of a tenth of a second."""
    rest.setdefault("arguments", {"key": "x", "value": "1"})
    return past.call(rank, step, begin, begin + 0.1, outcome, f=verb, run_id="train", handler="main", **rest)


def query(number: int, seconds: float, kind: str = "set", fate: str = PASSED_ON, **rest: Any) -> WireMessage:
    sent = at(seconds + 0.01) if fate == PASSED_ON else None
    keys = rest.pop("keys", ("train/x",))
    return WireMessage(
        number, at(seconds), rest.pop("rank", 1), rest.pop("connection", 1), QUERY, kind, keys, fate, sent
    )


def reply(number: int, seconds: float, to: int, kind: str = "set") -> WireMessage:
    return WireMessage(number, at(seconds), 1, 1, REPLY, kind, ("train/x",), PASSED_ON, at(seconds), answers=to)


def said(past: Past, *messages: WireMessage, dropped: int = 0) -> dict[str, Narrowed]:
    """What is known of each call of rank 1 on x, by step."""
    ops = past.so_far().ops
    history = History.of(ops, Wire(messages, dropped))
    calls = [each for each in history.calls if each.rank == 1]
    found = narrow(history, calls, Replacements(history))
    return {each.step: found[id(each)] for each in calls if id(each) in found}


@pytest.mark.parametrize("fate", [DROPPED, CUT, KEPT])
def test_a_query_that_never_left_the_proxy_server_was_not_done(fate: str) -> None:
    """Dropped, cut or kept; the same call may have been done if nothing is known."""
    past = call(Past(3), 1, "write", "set", 1)
    assert said(past, query(1, 1.01, fate=fate))["write"].never_done
    call(past, 1, "after", "check", 2, arguments={"key": "y"}, value=False)
    call(past, 2, "seen", "check", 3, arguments={"key": "x"}, value=False)
    ops = past.whole().ops
    judged = [
        Linearizable().check(scenario(size=3), History.of(ops, wire), {}).status
        for wire in (None, Wire((query(1, 1.01, fate=fate),)))
    ]
    assert judged == [FAILED, PASSED]


def test_bytes_are_set_by_the_query_of_a_set() -> None:
    """So a set_bytes whose query passed is not taken for one that never left."""
    past = call(Past(3), 1, "write", "set_bytes", 1, arguments={"key": "x", "hex": "31", "repeat": 1})
    assert not said(past, query(1, 1.01), reply(2, 1.03, to=1))["write"].never_done


@pytest.mark.parametrize("fate", [CUT, KEPT])
def test_a_multi_set_that_went_on_in_part_may_be_done(fate: str) -> None:
    """The server may have stored some of its values; only one that was dropped is certainly not done."""
    past = call(Past(3), 1, "write", "multi_set", 1, arguments={"values": {"a": "1", "b": "2"}})
    assert said(past, query(1, 1.01, "multi_set", fate, keys=("train/a", "train/b"))) == {
        "write": Narrowed(begun_ns=at(1.01))
    }
    assert said(past, query(1, 1.01, "multi_set", DROPPED, keys=("train/a", "train/b")))["write"].never_done


def test_a_call_whose_query_never_came_was_not_done() -> None:
    """The first of two came; on one connection the second cannot have come without it."""
    past = call(Past(3), 1, "one", "add", 1, "failed", arguments={"key": "x"})
    call(past, 1, "two", "add", 2, "failed", arguments={"key": "x"})
    found = said(past, query(1, 1.01, "add"))
    assert found == {"one": Narrowed(begun_ns=at(1.01)), "two": Narrowed(never_done=True)}


def test_an_answered_query_was_done_between_query_and_reply() -> None:
    """Also if the reply never reached its rank."""
    past = call(Past(3), 1, "one", "add", 1, "failed", arguments={"key": "x"})
    found = said(past, query(1, 1.01, "add"), reply(2, 1.05, 1, "add"))
    assert found == {"one": Narrowed(begun_ns=at(1.01), done_by_ns=at(1.05))}


def test_the_answer_to_a_later_query_of_the_connection_shows_that_a_write_was_done() -> None:
    """A server handles the queries of one connection in their order; another connection says nothing."""
    past = call(Past(3), 1, "write", "set", 1)
    later = query(2, 1.2, "get", keys=("train/y",))
    assert said(past, query(1, 1.01), later, reply(3, 1.3, 2, "get"))["write"].done_by_ns == at(1.3)
    elsewhere = query(2, 1.2, "get", keys=("train/y",), connection=2)
    assert said(past, query(1, 1.01), elsewhere, reply(3, 1.3, 2, "get"))["write"].done_by_ns is None


def test_a_query_without_a_reply_was_done_after_it_or_never() -> None:
    """Its lower bound is all that is known."""
    past = call(Past(3), 1, "one", "add", 1, "hung", arguments={"key": "x"})
    assert said(past, query(1, 1.05, "add")) == {"one": Narrowed(begun_ns=at(1.05))}


# -- where nothing is known --------------------------------------------------------------------------------------


def test_an_incomplete_log_says_nothing() -> None:
    """The missing message may be the one."""
    past = call(Past(3), 1, "write", "set", 1)
    assert said(past, query(1, 1.01, fate=DROPPED), dropped=1) == {}


def test_a_rank_without_a_link_is_not_in_the_log() -> None:
    """The master's own calls pass no proxy server."""
    past = call(Past(3), 1, "write", "set", 1)
    assert said(past, query(1, 1.01, rank=2, fate=DROPPED)) == {}


def test_more_queries_than_calls_are_of_somebody_else() -> None:
    """Which of them is whose is not known."""
    past = call(Past(3), 1, "write", "set", 1)
    assert said(past, query(1, 1.01), query(2, 1.02, fate=DROPPED)) == {}


def test_queries_of_two_connections_are_not_matched() -> None:
    """The order of the calls is not that of the queries."""
    past = call(call(Past(3), 1, "one", "set", 1), 1, "two", "set", 2)
    assert said(past, query(1, 1.01), query(2, 2.01, connection=2, fate=DROPPED)) == {}


def test_calls_of_two_threads_are_not_matched() -> None:
    """Which of them sent first is not known."""
    past = call(call(Past(3), 1, "one", "set", 1), 1, "two", "set", 1.05, thread="other")
    assert said(past, query(1, 1.06, fate=DROPPED)) == {}


def test_a_query_that_came_before_its_call_began_is_not_its_own() -> None:
    """Then the matching is wrong as a whole."""
    past = call(Past(3), 1, "write", "set", 1)
    assert said(past, query(1, 0.5, fate=DROPPED)) == {}


def test_a_key_that_ends_like_another_is_not_matched() -> None:
    """On the wire `b/x` may be key `x` of prefix `b`, or key `b/x`."""
    past = call(Past(3), 1, "write", "set", 1)
    call(past, 1, "other", "set", 2, arguments={"key": "b/x", "value": "1"})
    assert "write" not in said(past, query(1, 2.01, keys=("train/b/x",)))


def test_calls_before_and_after_a_clone_are_not_matched() -> None:
    """The query of the first one never came to the proxy server, and that of the second came over a connection of its
    own: it is not the first one's."""
    past = call(Past(3), 1, "one", "set", 1)
    call(past, 1, "clone", "clone", 2, arguments={})
    call(past, 1, "two", "set", 3)
    assert said(past, query(1, 3.01, connection=2)) == {}


def test_the_calls_of_a_handler_that_serves_are_not_matched() -> None:
    """Its rank has a link for another handler, but a master's own calls pass none."""
    past = Past(3).join(1, 0.5, 0.6, handler="main", as_rank=0)
    call(past, 1, "write", "set", 1)
    assert said(past, query(1, 0.9, "get", keys=("other/y",))) == {}


def test_a_store_that_sends_another_verb_is_not_matched() -> None:
    """It may set a key by `compare_set`: that no `set` came does not say that nothing was done."""
    past = call(Past(3), 1, "write", "set", 1)
    assert said(past, query(1, 1.01, "compare_set")) == {}


def test_a_multi_set_that_never_came_whole_may_be_done_in_part() -> None:
    """Its sender may have died in the middle of it; then the proxy server sends on what it has."""
    past = call(Past(3), 1, "write", "multi_set", 1, "died", arguments={"values": {"a": "1", "b": "2"}})
    assert said(past, query(1, 1.01, "get", keys=("train/y",))) == {}


def test_a_set_of_bytes_is_matched_to_a_set() -> None:
    """On the wire it is one."""
    past = call(Past(3), 1, "bytes", "set_bytes", 1, arguments={"key": "x", "hex": "62"})
    call(past, 1, "write", "set", 2)
    found = said(past, query(1, 1.01), query(2, 2.01, fate=DROPPED))
    assert found == {"bytes": Narrowed(begun_ns=at(1.01)), "write": Narrowed(never_done=True)}
