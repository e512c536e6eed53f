"""What store calls wrote, deleted and saw, and what explains a value."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import Past

from harness.history.keys import (
    STORE,
    Count,
    Sighting,
    Write,
    deletes_of,
    explained,
    keys_of,
    names_on_wire,
    possible_counts,
    sightings_of,
    wire_keys,
    writes_of,
)
from harness.linearizability.calls import STORE_VERBS
from harness.steps import STEP_MEMBERS
from harness.values.history import Call


def call(verb: str, returned: Any = None, outcome: str = "ok", begin: float | None = 0, **arguments: Any) -> Call:
    (made,) = Past().call(0, verb, begin, 1, outcome, arguments=arguments, value=returned).so_far().calls
    return made


@pytest.mark.parametrize(
    ("arguments", "keys"), [({"key": "x"}, ("x",)), ({"keys": ["x", "y"]}, ("x", "y")), ({}, ()), ({"key": 3}, ())]
)
def test_a_call_names_its_keys(arguments: dict[str, Any], keys: tuple[str, ...]) -> None:
    """One, several or none."""
    assert keys_of(call("get", **arguments)) == keys


@pytest.mark.parametrize(
    ("made", "writes"),
    [
        (call("set", key="x", value="1"), [Write("x", "set", "1")]),
        (call("set", outcome="failed", key="x", value="1"), [Write("x", "set", "1")]),
        (call("set_bytes", key="x", hex="31ff", repeat=2), [Write("x", "set", r"1\xff1\xff")]),
        (call("set_bytes", key="x", hex="3", repeat=1), [Write("x", "set", None)]),
        (call("set_bytes", key="x", hex="31", repeat=10**12), [Write("x", "set", None)]),
        (call("append", key="x", value="1"), [Write("x", "append", "1")]),
        (call("queue_push", key="x", value="1"), [Write("x", "append", "1")]),
        (call("add", 3, key="x", amount=2), [Write("x", "add", 2)]),
        (call("multi_set", values={"x": "1", "y": "2"}), [Write("x", "set", "1"), Write("y", "set", "2")]),
        (call("compare_set", "2", key="x", expected="1", desired="2"), [Write("x", "set", "2")]),
        (call("compare_set", "9", key="x", expected="1", desired="2"), []),
        (call("compare_set", outcome="hung", key="x", expected="1", desired="2"), [Write("x", "set", "2")]),
        (call("get", "1", key="x"), []),
        (call("set", outcome="skipped", begin=None, key="x", value="1"), []),
    ],
)
def test_a_call_may_have_written(made: Call, writes: list[Write]) -> None:
    """Also if it failed after it began; not if it never began, or returned that it did not swap."""
    assert list(writes_of(made)) == writes


@pytest.mark.parametrize(
    ("made", "deleted"),
    [
        (call("delete_key", True, key="x"), ("x",)),
        (call("delete_key", False, key="x"), ()),
        (call("delete_key", outcome="failed", key="x"), ("x",)),
        (call("queue_pop", "1", key="x"), ("x",)),
        (call("get", "1", key="x"), ()),
    ],
)
def test_a_call_may_have_deleted(made: Call, deleted: tuple[str, ...]) -> None:
    """Unless it returned that there was nothing to delete."""
    assert deletes_of(made) == deleted


@pytest.mark.parametrize(
    ("made", "seen"),
    [
        (call("get", "1", key="x"), [Sighting("x", "1")]),
        (call("get", outcome="failed", key="x"), []),
        (call("multi_get", ["1", "2"], keys=["x", "y"]), [Sighting("x", "1"), Sighting("y", "2")]),
        (call("wait", None, keys=["x"]), [Sighting("x", None)]),
        (call("check", True, key="x"), [Sighting("x", None)]),
        (call("check", False, key="x"), []),
        (call("delete_key", True, key="x"), [Sighting("x", None)]),
        (call("add", 3, key="x", amount=2), [Sighting("x", Count(3, 2))]),
        (call("compare_set", "9", key="x", expected="1", desired="2"), [Sighting("x", "9")]),
        (call("compare_set", "2", key="x", expected="1", desired="2"), [Sighting("x", "1")]),
        (call("compare_set", "1", key="x", expected="1", desired="2"), []),
        (call("compare_set", "2", key="x", expected="", desired="2"), []),
        (call("compare_set", "2", key="x", expected="2", desired="2"), []),
        (call("set", None, key="x", value="1"), []),
    ],
)
def test_a_call_that_returned_saw(made: Call, seen: list[Sighting]) -> None:
    """Only what could not have been returned without the key."""
    assert list(sightings_of(made)) == seen


@pytest.mark.parametrize(
    ("value", "writes", "is_explained"),
    [
        ("1", [("set", "1")], True),
        ("2", [("set", "1")], False),
        ("-12", [("add", 5)], True),
        ("x", [("add", 5)], False),
        ("aba", [("append", "a"), ("append", "b")], True),
        ("abc", [("append", "a"), ("append", "b")], False),
        ("ab", [("set", "a"), ("append", "b")], True),
        ("ab", [("set", "a"), ("set", "b")], False),
        ("aab", [("append", "a"), ("append", "aa"), ("append", "b")], True),
        ("", [("append", "a")], True),
        ("1", [], False),
    ],
)
def test_a_value_is_explained_by_writes(value: str, writes: list[tuple[str, Any]], is_explained: bool) -> None:
    """In some order, some of them not done; only appends are put one after another."""
    assert explained(value, [Write("x", kind, written) for kind, written in writes]) == is_explained


def test_a_count_lies_between_the_least_and_the_greatest_sum() -> None:
    """An add with an unknown outcome may have been done or not; it may also subtract."""
    assert possible_counts([]) == (0, 0)
    assert possible_counts([(2, True), (3, False), (-4, False), (-1, True)]) == (-3, 4)


def test_every_verb_of_the_store_is_known() -> None:
    """Else waits for it, its timeout and its order are not judged. Steps that make other calls are named here."""
    verbs = {kind for kind in STEP_MEMBERS if STEP_MEMBERS[kind].needs == "store"}
    assert verbs - {"mix", "clone", "init_process_group", "set_timeout", "uses_libuv"} == set(STORE)
    assert set(STORE) == set(STORE_VERBS)


def test_the_keys_on_the_wire_are_those_of_the_links() -> None:
    """Each with the queries that named it; a query that only reads does not write."""
    keys, *rest = wire_keys(Past().link(1, {"/a/x": ["get", "set"], "/a/y": ["get"]}).whole())
    assert (keys.rank, rest) == (1, [])
    assert [keys.writes(key) for key in ("/a/x", "/a/y", "/a/z")] == [True, False, False]


def test_a_key_on_the_wire_has_prefixes_before_it() -> None:
    """But its own name is whole."""
    assert names_on_wire("/train/x", ["x"])
    assert names_on_wire("x", ["x"])
    assert not names_on_wire("/train/ax", ["x"])
