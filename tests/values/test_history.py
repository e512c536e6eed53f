"""Histories: calls and faults that their operations make up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import NETWORK, SECOND, Past, at

from harness.values.history import History
from harness.values.ops import INFO, INVOKE, NEMESIS, OK, Op, Process
from harness.values.wire import Wire


def test_operations_are_sorted_by_time_and_numbered() -> None:
    """Those of one time keep their order."""
    ops = [Op(2, Process(0), INVOKE, "b"), Op(1, Process(0), INVOKE, "a"), Op(2, Process(1), INVOKE, "c")]
    assert [(op.f, op.index) for op in History.of(ops)] == [("a", 0), ("b", 1), ("c", 2)]


def test_a_call_is_its_begin_and_its_end() -> None:
    """With its times, its arguments and its evidence."""
    history = Past().call(1, "get", 1, 2.5, arguments={"key": "x"}, value="1", number=2, life=3).so_far()
    (call,) = history.calls
    assert (call.rank, call.step, call.f, call.number, call.life) == (1, "get", "get", 2, 3)
    assert (call.begun_ns, call.ended_ns, call.elapsed_ns) == (at(1), at(2.5), 1.5 * SECOND)
    assert (call.arguments, call.returned, call.error, call.evidence) == ({"key": "x"}, "1", None, (2, 3))
    assert history.calls_of("get") == (call,)
    assert history.seconds(at(1)) == 1


def test_calls_are_ordered_by_their_begins() -> None:
    """A skipped call by when it was skipped; calls of two ranks may overlap."""
    history = Past().join(0, 1, 9).call(1, "get", None, 3, "skipped").join(1, 2, 4).so_far()
    assert [(call.rank, call.step) for call in history.calls] == [(0, "join"), (1, "join"), (1, "get")]
    assert [call.rank for call in history.rendezvous_calls] == [0, 1]


@pytest.mark.parametrize("outcome", ["failed", "died", "hung", "skipped"])
def test_only_a_call_that_is_ok_returned_something(outcome: str) -> None:
    """Its completion may still record facts."""
    past = Past().call(0, "get", None if outcome == "skipped" else 1, 2, outcome, value={"because": "so"})
    (call,) = past.so_far().calls
    assert (call.outcome, call.returned) == (outcome, None)
    assert call.error == (NETWORK if outcome == "failed" else None)
    assert call.end_facts.get("because") == (None if outcome == "failed" else "so")


def test_a_call_without_an_end_is_running() -> None:
    """Its history was cut short."""
    (call,) = Past().join(0, 1, None).so_far().calls
    assert (call.outcome, call.end, call.elapsed_ns, call.ended_ns) == ("running", None, None, None)
    assert call.end_facts == {}


@pytest.mark.parametrize("outcome", ["died", "hung"])
def test_a_drawn_call_that_was_ended_from_outside_keeps_its_verb(outcome: str) -> None:
    """The controller ends the call of a process that hung or died as one of its step, which drew an `add`."""
    value = {"key": "n", "amount": 1}
    begun = Op(at(1), Process(1), INVOKE, "add", "many", value=value)
    ended = Op(at(2), Process(1), INFO, "mix", "many", value={"outcome": outcome})
    (call,) = History.of([begun, ended]).calls
    assert (call.f, call.step, call.outcome, call.arguments) == ("add", "many", outcome, value)


def test_facts_that_are_no_mapping_read_as_none() -> None:
    """What a step returned may be anything."""
    (call,) = Past().call(0, "get", 1, 2, value=[1]).so_far().calls
    assert (call.returned, call.end_facts) == ([1], {})


def test_a_fault_has_the_times_of_its_injection_and_its_healing() -> None:
    """Also when each of them began."""
    about = {"kind": "blackhole", "ranks": [1]}
    ops = [
        Op(1, Process(None, NEMESIS), INVOKE, "inject", "cut", value=about),
        Op(2, Process(None, NEMESIS), OK, "inject", "cut", value=about),
        Op(3, Process(None, NEMESIS), INVOKE, "heal", "cut", value=about),
        Op(4, Process(None, NEMESIS), OK, "heal", "cut", value={**about, "touched": True, "facts": {"bytes": 3}}),
    ]
    (fault,) = History.of(ops).injections
    assert (fault.fault, fault.kind, fault.ranks, fault.failed) == ("cut", "blackhole", (1,), None)
    assert (fault.tried_ns, fault.injected_ns, fault.healing_ns, fault.healed_ns) == (1, 2, 3, 4)
    assert (fault.touched, fault.facts, fault.evidence) == (True, {"bytes": 3}, (0, 1, 2, 3))


def test_a_fault_that_was_refused_was_never_in_place() -> None:
    """With the reason."""
    (fault,) = Past().fault("cut", None, None, because="no link").so_far().injections
    assert (fault.injected_ns, fault.healed_ns, fault.touched, fault.failed) == (None, None, None, "no link")


def test_a_history_says_how_it_began_and_ended() -> None:
    """A history without these operations has neither."""
    history = Past(subject="echo").whole(error="ProxyLost")
    assert (history.begin["subject"], history.start_ns, history.ended) == ("echo", at(0), {"error": "ProxyLost"})
    assert (History().begin, History().start_ns, History().ended) == ({}, 0, None)


def test_the_end_of_a_process_has_facts() -> None:
    """Its signal, and who sent it."""
    (end,) = Past().ends(1, None, 2, signal=9, by="guard").so_far().calls
    assert (end.outcome, end.end.type if end.end else "", dict(end.end_facts)) == (
        "died",
        INFO,
        {"outcome": "died", "signal": 9, "by": "guard"},
    )


def test_what_is_found_once_belongs_to_one_history() -> None:
    """A copy with something else in it, such as the messages on the wire, finds its own."""
    past, about = Past().so_far(), object()
    assert [past.once("question", about, lambda: 1), past.once("question", about, lambda: 2)] == [1, 1]
    assert replace(past, wire=Wire()).once("question", about, lambda: 3) == 3
