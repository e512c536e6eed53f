"""When moments came, read from finished histories."""

from __future__ import annotations

from pasts import SECOND, Past, at, scenario, step

from harness.history.moments import came_within_ns, moment_time
from harness.scenario.moment import (
    START,
    AllMoments,
    FaultMoment,
    Moment,
    SeenMoment,
    StepMoment,
    TimeMoment,
    WireMoment,
)
from harness.values.history import History

PLAN = scenario(step("join"), step("five", 1, do="get", times=5), step("second", 1, life=2))


def time(history: History, moment: Moment) -> int | None:
    return moment_time(history, PLAN, moment)


def test_a_duration_counts_from_the_start_of_the_clock() -> None:
    """Not from the first operation."""
    assert time(Past().whole(), TimeMoment(2 * SECOND)) == at(2)
    assert time(Past().whole(), START) == at(0)


def test_a_step_has_come_when_all_its_calls_have() -> None:
    """The last of them tells when; one that is missing, and it never came."""
    assert time(Past().join(0, 0, 1).join(1, 0, 3).whole(), StepMoment("join")) == at(3)
    assert time(Past().join(0, 0, 1).whole(), StepMoment("join")) is None
    assert time(Past().join(0, 0, 1).whole(), StepMoment("join", ranks=(0,))) == at(1)


def test_begun_is_the_begin() -> None:
    """A skipped call never began, but it has ended."""
    history = Past().join(0, 0.5, 1).join(1, None, 2, "skipped").whole()
    assert time(history, StepMoment("join", ranks=(0,), state=("begun",))) == at(0.5)
    assert time(history, StepMoment("join", state=("begun",))) is None
    assert time(history, StepMoment("join")) == at(2)


def test_a_state_must_be_so_for_every_call() -> None:
    """One failed, so `join is ok` never came; `ok or failed` did."""
    history = Past().join(0, 0, 1).join(1, 0, 2, "failed").whole()
    assert time(history, StepMoment("join", state=("ok",))) is None
    assert time(history, StepMoment("join", state=("ok", "failed"))) == at(2)
    assert time(history, StepMoment("join", state=("failed",), count=1)) == at(2)


def test_a_count_is_the_count_th_such_call() -> None:
    """In the order of time, whichever rank's it is."""
    past = Past()
    for number, outcome in enumerate(("ok", "failed", "ok"), 1):
        past.call(1, "five", number, number + 0.5, outcome, number=number)
    history = past.whole()
    assert time(history, StepMoment("five", state=("ok",), count=2)) == at(3.5)
    assert time(history, StepMoment("five", state=("ok",), count=3)) is None
    assert time(history, StepMoment("five")) is None


def test_a_moment_means_the_first_life_unless_it_says() -> None:
    """And a step of one life only is meant in that."""
    history = (
        Past().join(0, 0, 1).join(1, 0, 2, "died").join(1, 3, 4, life=2).join(1, 5, 6, step="second", life=2).whole()
    )
    assert time(history, StepMoment("join")) == at(2)
    assert time(history, StepMoment("join", ranks=(1,), life=2)) == at(4)
    assert time(history, StepMoment("second")) == at(6)


def test_the_end_of_a_process_is_a_step_of_every_rank() -> None:
    """`exit` is not written, but can be waited for."""
    history = Past().ends(0, 1, 1.5).ends(1, 2, 2.5, status=1).whole()
    assert time(history, StepMoment("exit")) == at(2.5)
    assert time(history, StepMoment("exit", ranks=(1,), state=("failed",))) == at(2.5)


def test_a_fault_is_in_place_or_healed() -> None:
    """Plus a duration; one that was refused never was in place."""
    history = Past().fault("cut", 1, 2).fault("refused", None, None).whole()
    assert time(history, FaultMoment("cut")) == at(1)
    assert time(history, FaultMoment("cut", "healed", SECOND)) == at(3)
    assert time(history, FaultMoment("refused")) is None
    assert time(history, FaultMoment("other")) is None


def test_all_of_several_moments_have_come_with_the_last() -> None:
    """And never, if one never comes."""
    history = Past().all_join(0, 1).fault("cut", 2, None).whole()
    both = AllMoments((StepMoment("join", plus_ns=SECOND // 2), FaultMoment("cut")))
    assert time(history, both) == at(2)
    assert time(history, AllMoments((both, FaultMoment("cut", "healed")))) is None


def test_a_message_on_the_wire_came_when_it_passed() -> None:
    """The very one: another count, kind or key is another moment."""
    moment = WireMoment("query", "add", (1,), "n", 2, plus_ns=SECOND)
    history = Past().wire(3, moment).whole()
    assert time(history, moment) == at(4)
    assert time(history, WireMoment("query", "add", (1,), "n", 1)) is None
    assert time(Past().whole(), moment) is None


def test_a_sign_of_a_job_came_between_two_looks() -> None:
    """The record is the later one, and the other is known; another text or number is another moment."""
    moment = SeenMoment("log", "loss=", (1,), 2, plus_ns=SECOND)
    history = Past().seen(3, moment, before=2.75).whole()
    assert time(history, moment) == at(4)
    assert came_within_ns(history, moment) == SECOND // 4
    assert time(history, SeenMoment("log", "loss=", (1,), 1)) is None
    assert came_within_ns(Past().whole(), moment) == 0
