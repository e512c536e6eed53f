"""Which messages a scenario waits for."""

from __future__ import annotations

from dataclasses import replace

from pasts import SECOND, scenario, step

from harness.scenario.messages import messages_of
from harness.scenario.moment import AllMoments, FaultMoment, TimeMoment, WireMoment
from harness.scenario.scenario import AnyClaim, CheckClaim, Fault, Known, StepClaim

SLOW = Fault("slow", "latency", (1,), {})


def message(kind: str) -> WireMoment:
    return WireMoment("query", kind)


def since(kind: str) -> StepClaim:
    """A claim whose time counts from a message."""
    return StepClaim("quick", ("join",), within=(None, SECOND), since=message(kind))


def test_a_scenario_without_messages_waits_for_none() -> None:
    """Times, steps and faults are moments of another kind."""
    cell = scenario(step("join", after=FaultMoment("slow")), faults=(replace(SLOW, until=TimeMoment(SECOND)),))
    assert messages_of(cell) == {}


def test_messages_are_gathered_from_every_place_that_has_a_moment() -> None:
    """Starts of ranks, steps, faults, claims, claims inside `any`, and `instead` of known failures."""
    cell = scenario(
        step("join", after=message("get")),
        faults=(replace(SLOW, after=message("set"), until=message("add")),),
        expect=(since("wait"), AnyClaim("either", (since("check"), CheckClaim("all", "together", {})))),
        known=(Known("static", "", {}, ("quick",), (since("append"),), "it is slow", ()),),
    )
    first, *rest = cell.world.ranks
    cell = replace(cell, world=replace(cell.world, ranks=(replace(first, start=message("ping")), *rest)))
    assert {found.kind for found in messages_of(cell)} == {"ping", "get", "set", "add", "wait", "check", "append"}


def test_a_message_at_which_a_fault_acts_without_delay_is_marked() -> None:
    """Only there does the next byte have to wait; a step and a fault with a duration on top can come later."""
    cell = scenario(
        step("join", after=message("get")),
        faults=(replace(SLOW, after=message("set"), until=replace(message("add"), plus_ns=1)),),
    )
    assert messages_of(cell) == {message("get"): False, message("set"): True, message("add"): False}


def test_one_use_without_delay_marks_the_message_for_all() -> None:
    """The same message may be waited for in several places, also as a part of several moments."""
    both = AllMoments((message("get"), TimeMoment(SECOND)))
    cell = scenario(
        step("join", after=replace(message("get"), plus_ns=SECOND)), step("get"), faults=(replace(SLOW, after=both),)
    )
    assert messages_of(cell) == {message("get"): True}
