"""Scenarios and moments as values: how they are named, what their steps are, and their steady state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import SECOND, scenario, step

from harness.scenario.moment import AllMoments, FaultMoment, Moment, StepMoment, TimeMoment, WireMoment, parts
from harness.scenario.needs import required
from harness.scenario.scenario import EXIT, Fault
from harness.values.errors import UsageError

CELL = scenario(step("join"), step("get", 1, do="get", thread="second"), step("late", 1, life=2), size=3)
STEP, FAULT = (
    StepMoment("join", (1,), state=("ok", "failed"), count=2, plus_ns=SECOND),
    FaultMoment("cut", "healed", SECOND),
)
MESSAGE = WireMoment("query", "add", (1,), "n", 2, plus_ns=SECOND)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (TimeMoment(1_500_000_000), "1.5s"),
        (STEP, "join of rank 1 ok or failed (call 2) + 1s"),
        (StepMoment("join"), "join ended"),
        (FAULT, "cut healed + 1s"),
        (MESSAGE, "query add of n number 2 on the wire of rank 1 + 1s"),
        (AllMoments((StepMoment("join"), FaultMoment("cut"))), "join ended and cut injected"),
    ],
)
def test_a_moment_is_shown_in_a_few_words(moment: Moment, text: str) -> None:
    """As messages and reports have it."""
    assert str(moment) == text


def test_a_moment_has_simple_parts() -> None:
    """However deep they are nested."""
    assert parts(STEP) == (STEP,)
    assert parts(AllMoments((STEP, AllMoments((FAULT, MESSAGE))))) == (STEP, FAULT, MESSAGE)


def test_a_message_is_recorded_without_the_time_after_it() -> None:
    """Several moments may wait for the same one."""
    assert MESSAGE.message == replace(MESSAGE, plus_ns=0)
    assert MESSAGE.to_json() == MESSAGE.message.to_json() == {"query": "add", "key": "n", "ranks": [1], "count": 2}


def test_a_cell_is_named_after_its_file_and_its_labels() -> None:
    """The last part of each path of the matrix."""
    assert (CELL.name, CELL.cell_id, CELL.id) == ("a-claim", "", "a-claim")
    cell = replace(CELL, cell=(("world.timeout", "3s"), ("faults.broken", "cut")))
    assert cell.id == "a-claim[timeout=3s,broken=cut]"


def test_steps_are_found_by_name_rank_life_and_thread() -> None:
    """The end of a process is a step of every rank, which no file has."""
    assert (CELL.step("get").do, CELL.step(EXIT).name) == ("get", EXIT)
    assert (CELL.ranks_of("get"), CELL.ranks_of(EXIT)) == ((1,), (0, 1, 2))
    assert [one.name for one in CELL.steps_of(1, life=1)] == ["join", "get"]
    assert [one.name for one in CELL.steps_of(1, life=2)] == ["join", "get", "late"]
    assert [one.name for one in CELL.steps_of(1, life=2, thread="second")] == ["get"]
    assert CELL.steps_of(2, life=1) == ()
    with pytest.raises(KeyError, match="nowhere"):
        CELL.step("nowhere")


def test_a_fault_has_the_directions_of_its_stream() -> None:
    """`both` is two; a fault without a stream has none."""
    fault = Fault("cut", "blackhole", (1,), {}, "both")
    assert fault.streams == ("upstream", "downstream")
    assert [replace(fault, stream=stream).streams for stream in ("upstream", None)] == [("upstream",), ()]


def test_the_steady_state_is_the_same_world_without_faults() -> None:
    """Every rank starts at once, under its own number, and joins."""
    cell = replace(CELL, faults=(Fault("cut", "blackhole", (1,), {}),), waived={"no_crash": "it is cut"})
    steady = cell.steady_state()
    assert (steady.faults, steady.waived, steady.known, steady.cell) == ((), {}, (), ())
    assert [rank.handlers["main"].rank for rank in steady.world.ranks] == [0, 1, 2]
    assert {rank.handlers["main"].world_size for rank in steady.world.ranks} == {3}
    assert [(one.do, one.ranks) for one in steady.steps] == [("rendezvous", (0, 1, 2))]


@pytest.mark.parametrize("word", ["Torch", "gpu"])
def test_a_need_that_does_not_exist_is_refused(word: str) -> None:
    """With the option that has it, and the nearest need or all of them."""
    with pytest.raises(UsageError, match=f"--require {word}: there is no such need; .*torch"):
        required([word, "world"], "--require")
    assert required([" torch", "", "world "], "--require") == {"torch", "world"}
