"""Who waits for whom in histories made by hand: the log of the wire, and histories drawn at random."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasts import SECOND, TIMEOUT, Past, at, scenario, step

from harness.history.keys import keys_of
from harness.history.waiting import Edge, Waits, who_waits
from harness.history.waiting.edges import Cause
from harness.scenario.scenario import Fault, Scenario
from harness.values.history import History
from harness.values.ops import CONTROLLER, NEVER_START, OK, REAP, RELEASE, RESUME, SUSPEND, Op, Process
from harness.values.wire import DROPPED, KEPT, PASSED, QUERY, REPLY, Wire, WireMessage

KEYS = ("a", "b")


def message(number: int, seconds: float, rank: int, side: str, kind: str, **rest: Any) -> WireMessage:
    return WireMessage(number, at(seconds), rank, rank, side, kind, ("/train/ready",), **rest)


def with_wire(past: Past, *messages: WireMessage) -> History:
    return History.of(past.so_far().ops, Wire(messages))


def reads(set_by: int = 0) -> Scenario:
    return scenario(
        step("join"),
        step("set", set_by, do="set", arguments={"key": "ready", "value": "1"}),
        step("get", 1, do="get", arguments={"key": "ready"}),
        faults=(Fault("lost", "x_drop_reply", (1,), {"reply": "get"}),),
    )


def set_then_hung_get() -> Past:
    past = Past().all_join().fault("lost", 0.1, 12.0, kind="x_drop_reply")
    past.call(0, "set", 0.2, 0.21, arguments={"key": "ready", "value": "1"}, run_id="train")
    return past.call(1, "get", 1.0, 10.0, "hung", arguments={"key": "ready"}, run_id="train")


def test_a_lost_reply_is_certain_where_the_wire_was_logged() -> None:
    """The message, the toxic that swallowed it, and the proxy as the one that is waited for."""
    history = with_wire(
        set_then_hung_get(),
        message(1, 1.01, 1, QUERY, "get"),
        message(2, 1.02, 1, REPLY, "get", fate=DROPPED, by="lost"),
    )
    (edge,) = who_waits(reads(), history).edges
    assert (edge.cause.why, edge.cause.sure, edge.cause.whom) == ("reply swallowed", "certain", "proxy")
    assert edge.text == (
        'rank 1 waits in get("ready"): its reply get at +1.02 s was swallowed by the fault lost (x_drop_reply)'
    )


def test_a_lost_reply_is_only_likely_without_a_log_of_the_wire() -> None:
    """The fault was there and did something; which message it was, nobody has seen."""
    (edge,) = who_waits(reads(), set_then_hung_get().so_far()).edges
    assert (edge.cause.why, edge.cause.sure) == ("reply swallowed", "likely")


def test_a_lost_message_may_be_that_of_another_call_at_the_same_time() -> None:
    """Two threads of one rank read the same key: which of them lost its reply is not certain."""
    past = set_then_hung_get().call(
        1, "also", 1.0, 1.5, f="get", arguments={"key": "ready"}, thread="second", run_id="train", value="1"
    )
    history = with_wire(past, message(1, 1.02, 1, REPLY, "get", fate=DROPPED, by="lost"))
    assert [edge.cause.sure for edge in who_waits(reads(), history).edges] == ["likely"]


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ({"fate": DROPPED, "by": "gone"}, "query dropped"),
        ({"fate": KEPT}, "message held"),
        ({"fate": PASSED, "sent_ns": at(11), "held_ns": 10 * SECOND}, "message held"),
    ],
)
def test_a_write_that_did_not_arrive_is_seen_on_the_wire(rest: dict[str, Any], why: str) -> None:
    """Its rank is named: the call waits for that rank's set."""
    past = Past().all_join()
    past.call(0, "set", 0.2, 0.21, arguments={"key": "ready", "value": "1"}, run_id="train")
    past.call(1, "get", 1.0, 3.0, "failed", arguments={"key": "ready"}, run_id="train", error=TIMEOUT)
    (edge,) = who_waits(reads(), with_wire(past, message(1, 0.2, 0, QUERY, "set", **rest))).edges
    assert (edge.cause.why, edge.cause.by, edge.cause.sure) == (why, (0,), "certain")


def test_a_write_that_arrived_leaves_the_cause_unknown() -> None:
    """The edge says so, and the run has no sentence."""
    past = Past().all_join()
    past.call(0, "set", 0.2, 0.21, arguments={"key": "ready", "value": "1"}, run_id="train")
    past.call(1, "get", 1.0, 3.0, "failed", arguments={"key": "ready"}, run_id="train", error=TIMEOUT)
    found = who_waits(reads(), with_wire(past, message(1, 0.2, 0, QUERY, "set", sent_ns=at(0.21))))
    assert [edge.cause.sure for edge in found.edges] == ["unknown"]
    assert found.sentence == ""


def test_a_key_that_somebody_else_wrote_on_the_wire_is_not_called_never_set() -> None:
    """A write on the wire that no call explains: another program, or a step of another package."""
    past = Past().all_join().call(
        1, "get", 1.0, 3.0, "failed", arguments={"key": "ready"}, run_id="train", error=TIMEOUT
    )  # fmt: skip
    assert who_waits(reads(), with_wire(past, message(1, 0.5, 0, QUERY, "set"))).edges == ()
    assert [edge.cause.why for edge in who_waits(reads(), past.so_far()).edges] == ["key never set"]


def test_a_write_that_arrived_is_not_taken_for_a_later_one_that_was_lost() -> None:
    """The same rank sets the key twice, and the second message is swallowed: the key was there."""
    past = Past().all_join()
    for number, seconds in enumerate((0.2, 0.5), 1):
        arguments = {"key": "ready", "value": "1"}
        past.call(0, "set", seconds, seconds + 0.01, arguments=arguments, run_id="train", number=number)
    past.call(1, "get", 1.0, 3.0, "failed", arguments={"key": "ready"}, run_id="train", error=TIMEOUT)
    arrived, lost = message(1, 0.2, 0, QUERY, "set", sent_ns=at(0.21)), message(2, 0.5, 0, QUERY, "set", fate=DROPPED)
    assert [edge.cause.sure for edge in who_waits(reads(), with_wire(past, arrived, lost)).edges] == ["unknown"]


QUEUE = scenario(
    step("join"),
    step("push", 0, do="queue_push", arguments={"key": "ready", "value": "1"}),
    step("pop", 1, do="queue_pop", arguments={"key": "ready"}),
)


def queue(pushes: int, *pops: tuple[int, float, str]) -> History:
    """Pushes of rank 0 by +0.5 s, then pops by rank, begin and outcome, and at last one of rank 1 that times out."""
    past = Past(4).all_join()
    about: dict[str, Any] = {"arguments": {"key": "ready"}, "run_id": "train"}
    for number in range(pushes):
        past.call(0, "push", 0.1 + number / 10, 0.15 + number / 10, f="queue_push", number=number + 1, **about)
    for rank, begin, outcome in pops:
        value = "1" if outcome == "ok" else None
        past.call(rank, "pop", begin, begin + 0.1, outcome, f="queue_pop", value=value, **about)
    return past.call(1, "pop", 2.0, 4.0, "failed", f="queue_pop", number=2, error=TIMEOUT, **about).so_far()


def test_a_queue_is_empty_when_each_of_its_texts_was_taken() -> None:
    """Then the rank that took the last one is named, and not one whose pop may have taken nothing."""
    history = queue(1, (2, 1.0, "ok"), (3, 1.5, "died"))
    (edge,) = who_waits(QUEUE, history).edges
    assert (edge.cause.why, edge.cause.by, edge.cause.sure) == ("key deleted", (2,), "certain")


def test_a_queue_that_has_a_text_left_was_not_taken_away() -> None:
    """Two pushes and one pop: nothing shows why the second text did not come."""
    assert who_waits(QUEUE, queue(2, (2, 1.0, "ok"))).edges == ()
    (edge,) = who_waits(QUEUE, queue(2, (2, 1.0, "ok"), (3, 1.5, "died"))).edges
    assert edge.cause.sure == "likely", "the process that died may have taken it"


def test_bytes_are_a_value_too() -> None:
    """A key that a step sets as bytes has a writer, and a step that compares bytes waits for its key."""
    about: dict[str, Any] = {"key": "ready", "hex": "31"}
    both = scenario(
        step("join"), step("put", 0, do="set_bytes", arguments=about), step("same", 1, do="same_bytes", arguments=about)
    )
    past = Past().all_join()
    past.call(1, "same", 1.0, 3.0, "failed", f="same_bytes", arguments=about, run_id="train", error=TIMEOUT)
    (edge,) = who_waits(both, past.so_far()).edges
    assert (edge.cause.why, edge.cause.by, edge.cause.sure) == ("key never set", (0,), "certain")
    past.call(0, "put", 0.2, 0.21, f="set_bytes", arguments=about, run_id="train")
    assert [edge.cause.why for edge in who_waits(both, past.so_far()).edges] == ["no cause in the history"]


def test_a_likely_cause_is_not_told_as_a_certain_one() -> None:
    """Two ranks wait for the same reason, and of one of them it is not certain."""
    sure = Cause("frozen", "certain", ": rank 0 was frozen from +1.00 s on", (0,))
    past = Past(3).call(1, "get", 1.0, 9.0, "hung").call(2, "get", 1.0, 9.0, "hung").so_far()
    first, second = past.calls
    edges = (Edge(first, sure, "get"), Edge(second, replace(sure, sure="likely"), "get"))
    assert Waits(edges).sentence == "rank 1 waits in get: rank 0 was frozen from +1.00 s on (and 1 more wait)"


def test_a_step_of_another_package_may_have_set_the_key() -> None:
    """What it writes is not known, so that nobody did is only likely."""
    unknown = scenario(step("join"), step("odd", 0, do="their_verb"), step("get", 1, do="get", arguments={"key": "x"}))
    past = Past().all_join().call(1, "get", 1.0, 3.0, "failed", arguments={"key": "x"}, run_id="train", error=TIMEOUT)
    assert [edge.cause.sure for edge in who_waits(unknown, past.so_far()).edges] == ["likely"]


def test_a_proxy_server_that_stood_still_is_a_likely_cause() -> None:
    """Where the history shows nothing better."""
    past = Past().all_join().stall(1.0, 4.0)
    past.call(1, "check", 1.0, 3.5, "failed", arguments={"key": "ready"}, run_id="train", error=TIMEOUT)
    (edge,) = who_waits(reads(), past.so_far()).edges
    assert (edge.cause.why, edge.cause.sure, edge.cause.whom) == ("frozen", "likely", "proxy")


def test_an_error_that_comes_at_once_is_no_wait() -> None:
    """Also if it names a timeout; and so is a call that died with its process."""
    past = Past().all_join().call(1, "get", 1.0, 1.01, "failed", arguments={"key": "ready"}, error=TIMEOUT)
    past.call(0, "set", 1.0, 5.0, "died", arguments={"key": "ready", "value": "1"})
    assert who_waits(reads(), past.so_far()).edges == ()


def test_what_does_not_fit_together_gives_no_error() -> None:
    """Operations of the harness with values that it does not write."""
    odd: Sequence[Any] = (None, 3, {"ranks": 3}, {"ranks": [[1]]}, {"go": [3]}, {"rank": "x"}, {"rank": 70000})
    for verb in (RELEASE, REAP, NEVER_START, SUSPEND, RESUME, "gate"):
        for value in odd:
            ops = [*set_then_hung_get().so_far().ops, Op(at(0.5), Process(None, CONTROLLER), OK, verb, value=value)]
            assert who_waits(reads(), History.of(ops)).edges


def test_of_many_calls_the_first_are_explained_and_the_others_counted() -> None:
    """A large world that lacks its master waits 99 times for the same reason."""
    past = Past(100)
    for rank in range(1, 100):
        past.join(rank, 0.1, 2.2, "failed", error=TIMEOUT)
    found = who_waits(scenario(size=100), past.so_far())
    assert (len(found.edges), found.left_out, found.to_json()["left_out"]) == (64, 35, 35)
    assert found.sentence == ("64 ranks wait in their joins for rank 0, which never began to join (and 35 more waits)")


# -- drawn at random ---------------------------------------------------------------------------------------------

WORKLOAD = scenario(
    step("join", 0, 1, 2),
    *(step(f"set-{key}", 0, 1, 2, do="set", arguments={"key": key, "value": "1"}) for key in KEYS),
    *(step(f"get-{key}", 0, 1, 2, do="get", arguments={"key": key}) for key in KEYS),
    *(step(f"gone-{key}", 0, 1, 2, do="delete_key", arguments={"key": key}) for key in KEYS),
    size=3,
    faults=(Fault("mute", "blackhole", (1,), {}, "both"), Fault("frozen", "pause", (0,), {}, suspends_ranks=True)),
)
TIMES = st.integers(1, 80).map(lambda tenths: tenths / 10)
OUTCOMES = st.sampled_from(("ok", "ok", "failed", "failed", "hung", "died"))


@st.composite
def pasts(draw: st.DrawFn, outcomes: st.SearchStrategy[str] = OUTCOMES) -> History:
    """Joins and store calls of three ranks at any times, with faults, ends and starts of processes anywhere."""
    past = Past(3, subject=draw(st.sampled_from(("static", "static-strict", "echo", "other"))))
    for rank in range(3):
        if draw(st.booleans()):
            past.join(rank, begin := draw(TIMES), begin + draw(TIMES) / 2, draw(outcomes), error=TIMEOUT)
    for number in range(draw(st.integers(0, 8))):
        verb, key = draw(st.sampled_from(("set", "get", "gone"))), draw(st.sampled_from(KEYS))
        f = {"gone": "delete_key"}.get(verb, verb)
        begin, outcome = draw(TIMES), draw(outcomes)
        arguments = {"key": key, **({"value": "1"} if verb == "set" else {})}
        value = True if (f, outcome) == ("delete_key", "ok") else None
        past.call(
            draw(st.integers(0, 2)), f"{verb}-{key}", begin, begin + draw(TIMES) / 2, outcome, f=f, number=number + 1,
            arguments=arguments, value=value, error=TIMEOUT, run_id="train",
        )  # fmt: skip
    if draw(st.booleans()):
        past.fault(
            "mute", begin := draw(TIMES), begin + draw(TIMES), touched=draw(st.sampled_from((True, False, None)))
        )
    ops = list(past.so_far().ops)
    for _ in range(draw(st.integers(0, 6))):
        verb, rank = draw(st.sampled_from((RELEASE, REAP, NEVER_START, SUSPEND, RESUME))), draw(st.integers(0, 2))
        value = {"ranks": [rank]} if verb == RELEASE else {"rank": rank, "life": 1, "signal": 9, "by": "fault x"}
        ops.append(Op(at(draw(TIMES)), Process(None, CONTROLLER), OK, verb, value=value))
    return History.of(ops)


@settings(max_examples=300, deadline=None)
@given(pasts())
def test_no_edge_names_what_cannot_be(history: History) -> None:
    """No rank that the world does not have, no key that was there, no rank that had returned as missing."""
    found = who_waits(WORKLOAD, history)
    json.dumps(found.to_json())
    assert bool(found.sentence) == any(edge.cause.sure != "unknown" for edge in found.edges)
    for edge in found.edges:
        cause, begun = edge.cause, edge.call.begun_ns or 0
        assert edge.call.outcome in ("failed", "hung", "running")
        assert set(cause.by) <= {0, 1, 2}, edge.text
        if cause.why in ("key never set", "key set too late"):
            assert not _sets(history, cause.key, begun), edge.text
        if cause.why == "rank never began":
            assert not any(call.rank in cause.by and (call.begun_ns or 0) <= begun for call in history.calls), edge.text
        if cause.why == "key deleted":
            assert any(call.f == "delete_key" and keys_of(call) == (cause.key,) for call in history.calls), edge.text
        if edge.call.f == "rendezvous" and cause.whom == "ranks":
            returned = {call.rank for call in history.rendezvous_calls if call.outcome == "ok"}
            ended = {
                call.rank for call in history.rendezvous_calls if (call.ended_ns or 0) <= (edge.call.ended_ns or 0)
            }
            missing = cause.why not in ("link torn", "frozen")
            assert not (missing and returned.intersection(ended, cause.by)), edge.text


def _sets(history: History, key: str, before_ns: int) -> bool:
    """Whether a set of that key had begun by then."""
    return any(
        call.f == "set" and keys_of(call) == (key,) and call.begun_ns is not None and call.begun_ns <= before_ns
        for call in history.calls
    )


@settings(max_examples=100, deadline=None)
@given(pasts(st.just("ok")))
def test_where_every_call_returned_nobody_waits(history: History) -> None:
    """Whatever faults, ends and starts there were."""
    assert who_waits(WORKLOAD, history).edges == ()
