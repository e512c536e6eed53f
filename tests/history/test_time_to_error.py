"""How long calls took to their errors, and in which phase they were: from words of the error, else from the wire."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.time_to_error import (
    CONNECT,
    GREETING,
    HUNG,
    JOIN,
    KEY,
    OTHER,
    TIMED_OUT,
    UNKNOWN,
    TimeToError,
    times_to_error,
)
from harness.loader import load_text
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op, Process
from harness.values.wire import DROPPED, PASSED, Wire, WireMessage

MS = 1_000_000
JOINS = """\
schema: rdzv-scenario/v1
title: A join
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {do: wait, ranks: 1, key: ready, timeout: 500ms}
expect:
  - {step: join, is: ok}
"""
CONNECTING = "The client socket has timed out after 2000ms while trying to connect to (127.0.0.1, 29500)."
CLIENTS = "Timed out after 3 seconds waiting for clients. 1/2 clients joined."
STRICT = "rank 1 of run 'train' at 127.0.0.1:29500: "


def scenario() -> Scenario:
    return load_text(JOINS, Path("a.rdzv.yaml"))[0]


def a_call(
    f: str = "rendezvous",
    rank: int = 1,
    message: str = "",
    outcome: str = "failed",
    took_ms: int = 2_100,
    **value: object,
) -> list[Op]:
    """A call that begins after a second."""
    ends = "fail" if outcome == "failed" else "info"
    error = ErrorInfo("DistStoreError", ("DistStoreError",), message) if outcome == "failed" else None
    return [
        Op(1_000 * MS, Process(rank), "invoke", f, "join", value={"rank": rank, **value}),
        Op((1_000 + took_ms) * MS, Process(rank), ends, f, "join", value={"outcome": outcome}, error=error),
    ]


def message(number: int, side: str, kind: str, answers: int | None = None, fate: str = PASSED) -> WireMessage:
    """A message of rank 1's link, while the call lasts."""
    sent = (1_500 * MS + number) if fate == PASSED else None
    return WireMessage(number, 1_500 * MS, 1, 1, side, kind, (), fate, sent, answers=answers)


def the_phase(ops: list[Op], wire: Wire | None = None) -> str:
    (found,) = times_to_error(scenario(), History.of(ops, wire))
    return found.phase


@pytest.mark.parametrize(
    ("text", "phase", "end"),
    [
        (CONNECTING, CONNECT, TIMED_OUT),
        (CLIENTS, JOIN, TIMED_OUT),
        (STRICT + "gave up waiting for rank 0 to join (2.0 s elapsed, timeout 2 s)", JOIN, TIMED_OUT),
        (STRICT + "gave up waiting for an answer (2.0 s elapsed, timeout 2 s)", UNKNOWN, TIMED_OUT),
        (STRICT + "no connection: Connection reset by peer (2.0 s elapsed, timeout 2 s)", CONNECT, OTHER),
        (STRICT + "had joined round 1; then no connection: Broken pipe", JOIN, OTHER),
        ("Broken pipe\n#3 waiting for clients, in a stack", UNKNOWN, OTHER),
    ],
)
def test_the_words_of_an_error_say_its_phase(text: str, phase: str, end: str) -> None:
    """Torch's and static-strict's errors name what they waited for in their first line."""
    (found,) = times_to_error(scenario(), History.of(a_call(message=text)))
    assert (found.phase, found.end) == (phase, end)


QUERIES = (message(1, "query", "validate"), message(2, "query", "ping"))


@pytest.mark.parametrize(
    ("messages", "phase"),
    [
        ((), CONNECT),
        (QUERIES, GREETING),
        ((*QUERIES, message(3, "reply", "ping", 2, DROPPED)), GREETING),
        ((*QUERIES, message(3, "reply", "ping", 2)), JOIN),
        ((*QUERIES, message(3, "query", "add")), JOIN),
    ],
)
def test_the_wire_says_the_phase_where_the_error_does_not(messages: tuple[WireMessage, ...], phase: str) -> None:
    """What was asked and what was answered tells how far a worker had come."""
    assert the_phase(a_call(message="Broken pipe"), Wire(messages)) == phase


@pytest.mark.parametrize("wire", [None, Wire((), dropped=1)], ids=["no proxy server decoded", "messages are missing"])
def test_without_a_whole_wire_nothing_is_concluded(wire: Wire | None) -> None:
    """Missing messages are no proof that none was sent."""
    assert the_phase(a_call(message="Broken pipe"), wire) == UNKNOWN


def test_nothing_is_concluded_of_a_master() -> None:
    """A master serves the store itself and has no link."""
    assert the_phase(a_call(rank=0, message="Broken pipe"), Wire()) == UNKNOWN


def test_nothing_is_concluded_of_two_calls_on_one_link() -> None:
    """The messages of two threads cannot be told apart."""
    other = [replace(op, process=Process(1, "second"), step="again") for op in a_call(message=CLIENTS)]
    found = times_to_error(scenario(), History.of([*a_call(message="Broken pipe"), *other], Wire()))
    assert [one.phase for one in found] == [UNKNOWN, JOIN]


def test_a_call_of_a_store_has_its_own_timeout() -> None:
    """A `wait` that was given one is measured against it; its phase is that of a key."""
    (found,) = times_to_error(
        scenario(), History.of(a_call("wait", timeout=500 * MS, message="wait timeout after 500ms"))
    )
    assert (found.phase, found.end, found.asked_ns, found.took_ns) == (KEY, TIMED_OUT, 500 * MS, 2_100 * MS)


def test_a_call_that_hung_is_counted_until_its_guard() -> None:
    """No error came at all; that is told apart from a late one."""
    (found,) = times_to_error(scenario(), History.of(a_call(outcome="hung", took_ms=9_000)))
    assert (found.end, found.took_ns) == (HUNG, 9_000 * MS)


@pytest.mark.parametrize(
    ("raw", "asked_ns"),
    [("inf", 9 * 10**18), ("-1e300", -9 * 10**18), ("1e10", 9 * 10**18), ("nan", 2_000 * MS), ("-1", -1_000 * MS)],
)
def test_any_raw_timeout_gives_a_time_that_json_can_carry(raw: str, asked_ns: int) -> None:
    """A user may hand on any number; what is not a number counts as not given."""
    text = JOINS.replace("timeout: 2s}", f'timeout: 2s, config: {{timeout: "{raw}"}}}}')
    (found,) = times_to_error(load_text(text, Path("a.rdzv.yaml"))[0], History.of(a_call()))
    assert (found.asked_ns, TimeToError.from_json(found.to_json())) == (asked_ns, found)


def test_calls_that_returned_or_died_are_left_out() -> None:
    """Neither ended in an error."""
    returned = [replace(op, type="ok", error=None) if op.type == "fail" else op for op in a_call()]
    assert times_to_error(scenario(), History.of(returned)) == ()
    assert times_to_error(scenario(), History.of(a_call(outcome="died"))) == ()


def test_a_time_survives_json() -> None:
    """Also for a timeout below zero, which a user may give."""
    time = TimeToError(1, "join", "rendezvous", CONNECT, TIMED_OUT, -1, 24 * MS)
    assert TimeToError.from_json(time.to_json()) == time
