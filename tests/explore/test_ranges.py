"""Drawn values: within what each member declares, for every member there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as any_of

from harness.explore.draws import Draws
from harness.explore.ranges import Scope, fault_attributes, faults_for, steps_for, value_of
from harness.faults.base import FAULTS
from harness.values.attribute import ATTRIBUTE_KINDS, REQUIRED, Attribute
from harness.values.quantity import parse_duration, parse_rate, parse_size

SECOND = 1_000_000_000
SCOPE = Scope(2 * SECOND, 3, ("a", "b"), ("main", "second"), words=frozenset({"wait", "query get"}), texts=("a",))
SEEDS = any_of.integers(0, 2**48)
PARSED = {"duration": lambda text: parse_duration(text).resolve(2 * SECOND), "size": parse_size, "rate": parse_rate}


@pytest.mark.parametrize("kind", ATTRIBUTE_KINDS)
def test_every_kind_of_attribute_can_be_drawn(kind: str) -> None:
    """A kind of attribute that is declared somewhere has a way to be drawn: none is left out."""
    attribute = Attribute("any", kind, "anything", choices=("one", "wait"), minimum=None)
    drawn = [value_of(Draws(seed), attribute, SCOPE) for seed in range(200)]
    assert len({str(one.written) for one in drawn}) > 1
    if kind in PARSED:
        assert all(PARSED[kind](one.written) == one.meant for one in drawn)


@given(SEEDS)
@settings(max_examples=200, deadline=None)
def test_values_are_within_their_bounds(seed: int) -> None:
    """Of every fault's attributes, what is drawn lies between the least and the most that is declared."""
    for member in FAULTS.items():
        for one in member[1].declaration.attributes:
            meant = value_of(Draws(seed), one, SCOPE).meant
            assert one.minimum is None or meant >= one.minimum, one
            assert one.maximum is None or meant <= one.maximum, one


def test_durations_meet_the_deadlines() -> None:
    """Zero, the timeout and just over it are drawn often; the rest spreads over the orders of magnitude below it."""
    attribute = Attribute("timeout", "duration", "how long")
    drawn = [value_of(Draws(seed), attribute, SCOPE) for seed in range(300)]
    written = [one.written for one in drawn]
    assert min(written.count(edge) for edge in ("0s", "timeout", "timeout + 100ms")) >= 10
    magnitudes = [
        sum(low <= one.meant < 10 * low for one in drawn) for low in (SECOND // 1000, SECOND // 100, SECOND // 10)
    ]
    assert min(magnitudes) >= 30


def test_choices_prefer_what_was_seen() -> None:
    """A kind of message that no run has shown is drawn seldom, since a fault on it would meet nothing; so is one
    of which only the other side was seen."""
    attribute = Attribute("query", "choice", "which", choices=("set", "get", "wait", "ping"))
    drawn = [value_of(Draws(seed), attribute, SCOPE).written for seed in range(600)]
    assert drawn.count("wait") + drawn.count("get") > 450
    assert {*drawn} == {"set", "get", "wait", "ping"}


def test_faults_are_left_out_by_their_own_declarations() -> None:
    """What needs hosts, an engine of containers or a direct route is not drawn for processes behind links."""
    drawn = faults_for("processes")
    assert {"kill", "blackhole", "x_cut", "occupy_port"} <= {*drawn}
    assert not {"unplug", "memory_limit", "address_change", "delay"} & {*drawn}
    assert "unplug" in faults_for("namespaces")


def test_no_fault_is_undrawable() -> None:
    """For each fault of a world of processes, attributes are found that its own check accepts, whatever the seed."""
    for kind, member in faults_for("processes").items():
        required = {one.name for one in member.declaration.attributes if one.default is REQUIRED}
        for seed in range(30):
            attributes = fault_attributes(Draws(seed), kind, "processes", (1,), SCOPE)
            assert attributes is not None, kind
            assert required <= {*attributes}
            assert "pairs" not in attributes  # these need hosts


def test_verbs_are_found_by_what_they_need() -> None:
    """Store verbs, handler verbs and those that need nothing are told apart; what makes a handler is none of them."""
    assert {"set", "get", "multi_set", "mix"} <= {*steps_for("store")}
    assert {"drop", "shutdown"} <= {*steps_for("handler")}
    assert "rendezvous" not in steps_for("")
