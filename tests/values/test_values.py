"""The small values: endpoints, JSON, near words, operations, statuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.values.endpoint import Endpoint
from harness.values.json import mapping, whole
from harness.values.ops import ErrorInfo, Op, Process, outcome_of
from harness.values.suggest import nearest
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, Judgement, Verdict, worst


@pytest.mark.parametrize(("host", "text"), [("127.0.0.1", "127.0.0.1:29500"), ("::1", "[::1]:29500"), ("r", "r:29500")])
def test_an_endpoint_is_read_as_it_is_written(host: str, text: str) -> None:
    """With brackets around an IPv6 address, as torchrun has it."""
    endpoint = Endpoint(host, 29500)
    assert (str(endpoint), Endpoint.parse(text), endpoint.connectable) == (text, endpoint, (host, 29500))


@pytest.mark.parametrize("text", ["", "127.0.0.1", "host:", "host:port", "host:-1"])
def test_text_without_a_port_is_not_an_endpoint(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match=r"is not an endpoint; write host:port or \[host\]:port"):
        Endpoint.parse(text)


def test_a_mapping_that_is_none_reads_as_empty() -> None:
    """So that an odd history never raises."""
    assert [mapping(value) for value in ({"a": 1}, None, [], "a", 1)] == [{"a": 1}, {}, {}, {}, {}]


def test_only_integers_are_whole() -> None:
    """True is 1 in Python, but not in a history."""
    assert [whole(value) for value in (3, 0, -1, True, False, 1.0, "1", None)] == [3, 0, -1, *[None] * 5]


@pytest.mark.parametrize(
    ("word", "near"), [("Processes", "processes"), ("proceses", "processes"), ("NETEM", "netem"), (3, ""), ("gpu", "")]
)
def test_the_nearest_word_is_found_whatever_its_case(word: object, near: str) -> None:
    """Nothing is suggested if nothing is close."""
    assert nearest(word, ["processes", "namespaces", "netem"]) == near


@pytest.mark.parametrize(
    ("process", "text"),
    [
        (Process(None, "nemesis"), "nemesis"),
        (Process(2), "rank 2"),
        (Process(2, "second", 3), "rank 2 second life 3"),
    ],
)
def test_a_process_is_named_by_what_is_not_usual(process: Process, text: str) -> None:
    """Neither the main thread nor the first life is said."""
    assert str(process) == text


@pytest.mark.parametrize(
    "op",
    [
        Op(1, Process(None, "controller"), "ok", "begin"),
        Op(2, Process(1, "second", 2), "invoke", "get", "get", 3, "main", "train", 0, {"key": "x"}, index=4),
        Op(
            3,
            Process(0),
            "fail",
            "get",
            "get",
            error=ErrorInfo("E", ("E", "Exception"), "text", ("Cause: x",)),
            lag_ns=5,
            cpu_ns=7,
        ),
        *(Op(4, Process(0), "ok", "get", "get", value=value) for value in (None, 0, False, "", [], {})),
    ],
)
def test_an_operation_is_read_as_it_was_written(op: Op) -> None:
    """Fields that are left out come back as they were: an empty value is still a value."""
    assert Op.from_json(json.loads(json.dumps(op.to_json()))) == op


@pytest.mark.parametrize(
    ("type", "value", "outcome"), [("ok", 1, "ok"), ("fail", None, "failed"), ("info", {"outcome": "hung"}, "hung")]
)
def test_a_completion_has_an_outcome(type: str, value: Any, outcome: str) -> None:
    """`info` says its own."""
    assert outcome_of(Op(1, Process(0), type, "get", value=value)) == outcome


@pytest.mark.parametrize(("text", "first"), [("", ""), ("\n one\ntwo", "one"), ("one\r\ntwo", "one")])
def test_the_first_line_of_an_error_leaves_out_the_stack(text: str, first: str) -> None:
    """Torch may append the C++ one."""
    assert ErrorInfo("E", ("E",), text).first_line == first


def test_the_worst_status_decides() -> None:
    """An error makes everything else uncertain."""
    order = (ERROR, FAILED, VACUOUS, PASSED, KNOWN, SKIPPED)
    assert [worst(order[place:]) for place in range(len(order))] == list(order)
    assert worst(()) is None


def test_a_judgement_is_read_as_it_was_written() -> None:
    """And the verdicts that are not passed are the broken ones."""
    verdicts = (Verdict("a", PASSED, line=3), Verdict("b", FAILED, "because", "this", "that", (1, 2)))
    judgement = Judgement(FAILED, "b: because", verdicts, ("F1",), 2, ("a note",))
    assert Judgement.from_json(json.loads(json.dumps(judgement.to_json()))) == judgement
    assert judgement.broken == verdicts[1:]
