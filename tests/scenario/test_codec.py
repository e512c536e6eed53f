"""Scenarios as JSON: what comes out is what went in, types included, and nothing else is taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pasts import scenario

from harness.loader import load
from harness.loader.finding import discover
from harness.scenario.codec import decode, encode
from harness.scenario.moment import AllMoments, FaultMoment, Moment, SeenMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import ABSENT, HandlerConfig, Scenario, StepClaim
from harness.values.errors import HarnessError

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FILES = discover([SCENARIOS])


def through_json(value: Any, kind: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value, kind), allow_nan=False)), kind)


def assert_same(one: Any, other: Any) -> None:
    """Equal and of the same types, all the way down: a tuple is no list, 1 is no 1.0, an order of keys is kept."""
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, Mapping):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for inner, outer in zip(one, other, strict=True):
            assert_same(inner, outer)
    else:
        assert one == other


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_cell_comes_out_as_it_went_in(path: Path) -> None:
    """And so does its world without faults, which has no file."""
    for cell in load(path):
        for one in (cell, cell.steady_state()):
            out = through_json(one, Scenario)
            assert out == one
            assert_same(out, one)


VALUES = [
    None, True, 0, -5, 1 << 60, -(1 << 60), 16**5000, 1.0, 0.1, "", "\ud800", "\x00 é\n", [], (), {}, [1, (2, [3])],
    ((0,), (1, 2)), {"a": {"tuple": [1]}}, {"tuple": 1}, {"absent": True}, {"mapping": {}}, (None, {"": ()}), ABSENT,
    float("inf"), float("-inf"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_any_value_of_an_attribute_keeps_its_type(value: Any) -> None:
    """A mapping that looks like the form of a tuple stays a mapping; the absent value is itself."""
    out = through_json(value, Any)
    assert_same(out, value)
    assert out is value or value is not ABSENT


def test_a_number_that_is_none_keeps_its_type() -> None:
    """It equals nothing, so the others' test cannot hold it."""
    out = through_json(float("nan"), Any)
    assert (type(out), out == out) == (float, False)


@pytest.mark.parametrize(
    "moment",
    [
        TimeMoment(5),
        StepMoment("join", (1,), 2, ("ok", "failed"), 3, 4),
        FaultMoment("cut", "healed", 7),
        WireMoment("query", "set", (0, 1), "key", 2, 9),
        SeenMoment("log", "loss=", (0, 1), 2, 9),
        AllMoments((TimeMoment(1), AllMoments((FaultMoment("cut"),)))),
        None,
    ],
    ids=lambda moment: type(moment).__name__,
)
def test_every_moment_says_which_it_is(moment: Moment | None) -> None:
    """Also one within another, and none at all."""
    assert_same(through_json(moment, Moment | None), moment)


@dataclass(frozen=True)
class Odd:
    """Nothing that JSON knows."""


@pytest.mark.parametrize("value", [Odd(), {1: 2}, b"bytes", frozenset({1}), (Odd(),)], ids=repr)
def test_what_json_cannot_hold_is_refused_with_what_can(value: Any) -> None:
    """The default of an attribute of another package may be anything."""
    with pytest.raises(HarnessError, match="cannot be sent to a controller; attributes are text, numbers"):
        encode(value, Any)


def broken(**changes: Any) -> Any:
    """The JSON of a scenario with other values at these keys; a key whose value is `...` is left out."""
    row = {**encode(scenario(), Scenario), **changes}
    return {key: value for key, value in row.items() if value is not ...}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, "it: NoneType in place of dict"),
        ([], "it: list in place of dict"),
        (broken(title=...), "Scenario: missing or unknown: title"),
        (broken(more=1), "Scenario: missing or unknown: more"),
        (broken(title=5), ".title: int in place of str"),
        (broken(title={"tuple": []}), ".title: dict in place of str"),
        (broken(steps={}), ".steps: dict in place of list"),
        (broken(cell=[["a"]]), ".cell[0]: 1 items in place of 2"),
        (broken(needs={"torch": None}), ".needs.torch: NoneType in place of str"),
        (broken(expect=[{}]), ".expect[0]: an object with one key is wanted"),
        (broken(expect=[{"Scenario": {}}]), ".expect[0]: none of StepClaim, CheckClaim, AnyClaim"),
        (broken(expect=[{"CheckClaim": {}}]), "CheckClaim.expect[0]: missing or unknown: check, line, name"),
    ],
)
def test_anything_else_is_refused_with_its_place(row: Any, message: str) -> None:
    """No value of another type is ever made, nor one with a field that is missing or unknown."""
    with pytest.raises(ValueError, match=r"^") as refused:
        decode(row, Scenario)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "row",
    [{"os.system": "true"}, {"tuple": 1}, {"mapping": []}, {"int": 5}, {"int": "x"}, {"float": "x"}, {"absent": 1}, {}],
    ids=repr,
)
def test_an_attribute_of_no_known_form_is_refused(row: Any) -> None:
    """There are tuples, mappings, large and odd numbers, and the absent value."""
    with pytest.raises(ValueError, match=r"^"):
        decode(row, Any)


def test_what_is_nested_without_end_is_refused() -> None:
    """As any other value that was not written here."""
    row: Any = 1
    for _ in range(100_000):
        row = [row]
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(row, Any)
    while isinstance(row, list):  # freed from the outside in, which needs no stack
        row = row.pop()


def test_whole_numbers_may_stand_for_fractions_but_flags_for_neither() -> None:
    """A field says which it wants."""
    claim = StepClaim("joins", ("join",), line=3)
    assert decode(encode(claim, StepClaim), StepClaim) == claim
    with pytest.raises(ValueError, match=r"\.line: bool in place of int"):
        decode({**encode(claim, StepClaim), "line": True}, StepClaim)
    config = HandlerConfig(0, 2, "train", 1 << 60)
    assert through_json(replace(config, port=1), HandlerConfig) == replace(config, port=1)
