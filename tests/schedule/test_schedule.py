"""What may begin when: every rule of `Order and time` in the format, without processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from played import BEGIN, Played, S

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
from harness.scenario.scenario import EXIT, Fault, HandlerConfig, Job, RankSpec, Scenario, Step, World
from harness.schedule.answers import Impossible, Pending, Reached
from harness.schedule.schedule import UNDER_WAY_NS, Schedule


def scenario(
    steps: list[Step], faults: list[Fault] | None = None, size: int = 2, starts: dict[int, Moment | None] | None = None
) -> Scenario:
    ranks = tuple(
        RankSpec((starts or {}).get(rank, START), {}, False, {"main": HandlerConfig(rank, size, "train", 2 * S)}, 9 * S)
        for rank in range(size)
    )
    world = World(size=size, timeout_ns=2 * S, ranks=ranks)
    return Scenario(Path("x.rdzv.yaml"), "x", world, tuple(steps), tuple(faults or ()))


def step(name: str, *ranks: int, after: Moment | None = None, **more: object) -> Step:
    return Step(name, "rendezvous", ranks or (0, 1), {}, after=after, **more)  # type: ignore[arg-type]


def fault(name: str, kind: str = "latency", after: Moment = START, until: Moment | None = None, *ranks: int) -> Fault:
    flags = {"restarts_ranks": kind == "kill", "suspends_ranks": kind == "pause"}
    return Fault(name, kind, ranks or (1,), {}, after=after, until=until, **flags)


def begun(plan: Scenario) -> Played:
    """All ranks were released at the start."""
    return Played(plan).begun()


def test_a_step_moment_waits_for_every_call_it_names() -> None:
    """Without a count all calls must match; the moment has the time of the last."""
    plan = scenario([step("join")])
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0, at=1)
    assert schedule.when(StepMoment("join"), played.progress, BEGIN + 3 * S) == Pending()
    played.call("join", 1, at=2)
    assert schedule.when(StepMoment("join"), played.progress, BEGIN + 3 * S) == Reached(BEGIN + 2 * S)


def test_a_count_takes_the_time_of_that_call() -> None:
    """The second `ok` has the time at which the second call was ok, whichever rank made it."""
    plan = scenario([step("join", 0, 1, 2)], size=3)
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 2, at=4)
    played.call("join", 0, at=1)
    assert schedule.when(StepMoment("join", state=("ok",), count=2), played.progress, BEGIN + 9 * S) == Reached(
        BEGIN + 4 * S
    )


@pytest.mark.parametrize(
    ("state", "answer"), [("ok", Impossible()), ("failed", Reached(BEGIN + S)), ("ended", Reached(BEGIN + S))]
)
def test_a_call_that_ended_otherwise_makes_the_moment_impossible(state: str, answer: object) -> None:
    """A join that failed can no longer be ok."""
    plan = scenario([step("join", 1)])
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 1, "failed")
    assert schedule.when(StepMoment("join", state=(state,)), played.progress, BEGIN + 2 * S) == answer


def test_plus_is_counted_from_the_call_and_wakes_the_schedule() -> None:
    """Once the moment has come, the time after its `plus` is known."""
    plan = scenario([step("join", 0), step("late", 1, after=StepMoment("join", state=("begun",), plus_ns=2 * S))])
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0, None, at=1)
    decisions = schedule.decide(played.progress, BEGIN + 2 * S)
    assert (decisions.go, decisions.wake_ns, decisions.over) == ((), BEGIN + 3 * S, False)
    assert schedule.decide(played.progress, BEGIN + 3 * S).go == ((1, 1, 1),)


def test_a_step_whose_moment_can_no_longer_come_is_skipped_at_once() -> None:
    """Waiting for a success that failed would wait forever."""
    plan = scenario([step("join", 0), step("then", 1, after=StepMoment("join", state=("ok",)))])
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0, "failed")
    ((rank, life, index, because),) = schedule.decide(played.progress, BEGIN + S).skip
    assert (rank, life, index) == (1, 1, 1)
    assert "can no longer come" in because


def test_a_rank_that_never_comes_is_told_so_once_it_cannot() -> None:
    """`start: never` is known from the beginning."""
    plan = scenario([step("join")], starts={1: None})
    played = Played(plan)
    assert Schedule(plan).decide(played.progress, BEGIN).never_start == (1,)


def test_ranks_of_the_start_go_off_together_and_a_late_one_at_its_time() -> None:
    """A late rank begins when its moment has come, not before."""
    plan = scenario([step("join")], starts={1: TimeMoment(3 * S)})
    schedule, played = Schedule(plan), Played(plan)
    decisions = schedule.decide(played.progress, BEGIN)
    assert (decisions.begin, decisions.wake_ns) == ((0,), BEGIN + 3 * S)
    played.release(0)
    assert schedule.decide(played.progress, BEGIN + 3 * S).begin == (1,)


def test_faults_are_injected_in_the_order_of_their_moments() -> None:
    """Of two that are due, the one whose moment came first is injected first."""
    late, early = fault("late", after=TimeMoment(2 * S)), fault("early", after=TimeMoment(S))
    plan = scenario([step("join")], [late, early])
    assert Schedule(plan).decide(begun(plan).progress, BEGIN + 3 * S).inject == ("early", "late")


def test_a_fault_is_healed_so_long_after_its_injection() -> None:
    """`for: 2s` counts from the injection."""
    plan = scenario([step("join")], [fault("cut", until=FaultMoment("cut", "injected", 2 * S))])
    schedule, played = Schedule(plan), begun(plan)
    played.inject("cut", at=1)
    assert schedule.decide(played.progress, BEGIN + 2 * S).heal == ()
    assert schedule.decide(played.progress, BEGIN + 3 * S).heal == ("cut",)


def test_the_play_is_over_when_nothing_runs_and_nothing_can_begin() -> None:
    """All calls have ended, and nothing waits."""
    plan = scenario([step("join")])
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0)
    assert not schedule.decide(played.progress, BEGIN + S).over
    played.call("join", 1)
    assert schedule.decide(played.progress, BEGIN + S).over


def test_the_play_does_not_wait_for_a_fault_that_nobody_waits_for() -> None:
    """A fault with `after: 60s` does not prolong a finished play."""
    plan = scenario([step("join", 0)], [fault("late", after=TimeMoment(60 * S))], size=1)
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0)
    assert schedule.decide(played.progress, BEGIN + S).over


def test_the_play_waits_for_an_injection_that_a_step_waits_for() -> None:
    """A step after a fault that comes by time can still begin."""
    late = fault("late", after=TimeMoment(60 * S))
    plan = scenario([step("join", 0), step("under", 0, after=FaultMoment("late"))], [late], size=1)
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0)
    decisions = schedule.decide(played.progress, BEGIN + S)
    assert (decisions.over, decisions.wake_ns) == (False, BEGIN + 60 * S)


def test_a_healing_that_only_the_end_brings_does_not_keep_the_play_going() -> None:
    """A step that waits for the healing of a fault without `for` or `until` never begins."""
    plan = scenario([step("join", 0), step("then", 0, after=FaultMoment("cut", "healed"))], [fault("cut")], size=1)
    schedule, played = Schedule(plan), begun(plan)
    played.inject("cut")
    played.call("join", 0)
    assert schedule.decide(played.progress, BEGIN + S).skip[0][:3] == (0, 1, 1)


def test_the_play_waits_for_the_next_life_that_a_healed_kill_gives() -> None:
    """A killed rank that will be started again still has steps to take."""
    kill = fault("kill", "kill", START, FaultMoment("kill", "injected", 5 * S), 0)
    plan = scenario([step("join", 0)], [kill], size=1)
    schedule, played = Schedule(plan), begun(plan)
    played.inject("kill", at=1)
    played.call("join", 0, "died")
    played.reap(0)
    decisions = schedule.decide(played.progress, BEGIN + 2 * S)
    assert (decisions.over, decisions.wake_ns) == (False, BEGIN + 6 * S)


def test_a_kill_that_was_healed_gives_no_further_life() -> None:
    """After its last life the rank has no steps left, and the play ends."""
    kill = fault("kill", "kill", START, FaultMoment("kill", "injected", S), 0)
    plan = scenario([step("join", 0)], [kill], size=1)
    schedule, played = Schedule(plan), begun(plan)
    played.inject("kill", at=1).launch(0, life=2).release(0).heal("kill", at=2)
    played.call("join", 0, "died")
    played.call("join", 0, "ok", at=3, life=2)
    assert schedule.decide(played.progress, BEGIN + 4 * S).over


def test_a_moment_of_a_later_life_is_pending_while_a_kill_may_give_it() -> None:
    """Without a kill that heals, a second life can never come."""
    kill = fault("kill", "kill", START, FaultMoment("kill", "injected", S), 0)
    with_kill, without = scenario([step("join", 0)], [kill], size=1), scenario([step("join", 0)], size=1)
    moment = StepMoment("join", life=2)
    assert Schedule(with_kill).when(moment, begun(with_kill).progress, BEGIN) == Pending()
    assert Schedule(without).when(moment, begun(without).progress, BEGIN) == Impossible()


def test_a_rank_paused_with_no_end_in_sight_has_no_running_step() -> None:
    """The play ends although the call of the paused rank has not ended."""
    plan = scenario([step("join")], [fault("freeze", "pause")])
    schedule, played = Schedule(plan), begun(plan)
    played.inject("freeze")
    played.call("join", 0)
    played.call("join", 1, None)
    assert schedule.decide(played.progress, BEGIN + S).over


def test_a_pause_that_ends_by_itself_keeps_the_play_going() -> None:
    """A paused rank that will continue still has its call to finish."""
    plan = scenario([step("join")], [fault("freeze", "pause", START, FaultMoment("freeze", "injected", 5 * S))])
    schedule, played = Schedule(plan), begun(plan)
    played.inject("freeze")
    played.call("join", 0)
    played.call("join", 1, None)
    assert not schedule.decide(played.progress, BEGIN + S).over


def test_all_moments_come_with_the_last_and_never_if_one_cannot() -> None:
    """A list of moments means all of them."""
    plan = scenario([step("join")])
    schedule, played = Schedule(plan), begun(plan)
    played.call("join", 0, at=1)
    both = AllMoments((StepMoment("join", (0,)), TimeMoment(4 * S)))
    assert schedule.when(both, played.progress, BEGIN + 2 * S) == Pending(BEGIN + 4 * S)
    assert schedule.when(both, played.progress, BEGIN + 5 * S) == Reached(BEGIN + 4 * S)
    impossible = AllMoments((StepMoment("join", (0,), state=("failed",)), TimeMoment(4 * S)))
    assert schedule.when(impossible, played.progress, BEGIN + 5 * S) == Impossible()


def test_exit_is_a_step_of_every_rank() -> None:
    """`exit` has one call for each rank and life, although it is not written in the file."""
    plan = scenario([step("join")])
    schedule, played = Schedule(plan), begun(plan)
    played.call(EXIT, 0, at=2)
    assert schedule.when(StepMoment(EXIT, (0,)), played.progress, BEGIN + 3 * S) == Reached(BEGIN + 2 * S)
    assert schedule.when(StepMoment(EXIT), played.progress, BEGIN + 3 * S) == Pending()


def test_a_fault_that_could_not_be_injected_is_never_healed() -> None:
    """Steps that wait for its injection or healing are skipped."""
    plan = scenario([step("join")], [fault("cut", until=FaultMoment("cut", "injected", S))])
    schedule, played = Schedule(plan), begun(plan)
    played.inject("cut", failed=True)
    assert schedule.when(FaultMoment("cut"), played.progress, BEGIN) == Impossible()
    assert schedule.when(FaultMoment("cut", "healed"), played.progress, BEGIN) == Impossible()


SEEN = WireMoment("query", "add", (1,), "n", 3)


def test_a_message_on_the_wire_is_a_moment() -> None:
    """It is pending until the message has passed; then it has come, or comes after its `plus`."""
    plan = scenario([step("join")])
    schedule, played = Schedule(plan), begun(plan)
    assert schedule.when(SEEN, played.progress, BEGIN) == Pending()
    played.passed(SEEN, at=1)
    assert schedule.when(SEEN, played.progress, BEGIN + S) == Reached(BEGIN + S)
    later = WireMoment("query", "add", (1,), "n", 3, plus_ns=S)
    assert schedule.when(later, played.progress, BEGIN + S) == Pending(BEGIN + 2 * S)


def test_no_message_comes_from_ranks_that_have_ended() -> None:
    """A step that waits for one can no longer begin; a rank that a kill starts again may still send it."""
    plan = scenario([step("join")], [fault("gone", "kill", START, TimeMoment(9 * S), 1)])
    schedule, played = Schedule(plan), begun(plan)
    played.reap(1)
    assert schedule.when(SEEN, played.progress, BEGIN) == Pending()
    played.inject("gone").heal("gone")
    assert schedule.when(SEEN, played.progress, BEGIN) == Impossible()


def test_a_message_may_be_under_way_when_its_call_has_ended() -> None:
    """A set expects no reply: the play is not over before its message has had time to pass."""
    plan = scenario([step("set"), step("seen", 0, after=SEEN)])
    schedule, played = Schedule(plan), begun(plan)
    for rank in (0, 1):
        played.call("set", rank)
    assert not schedule.decide(played.progress, BEGIN + S + UNDER_WAY_NS - 1).over
    assert schedule.decide(played.progress, BEGIN + S + UNDER_WAY_NS).over


def test_a_sign_of_a_job_is_a_moment() -> None:
    """It is pending while a program lives that may give it, has come when it was seen, and stays so."""
    sign = SeenMoment("file", "/sign", plus_ns=S)
    plan = replace(scenario([]), job=Job())
    schedule, played = Schedule(plan), begun(plan)
    assert schedule.when(sign, played.progress, BEGIN) == Pending()
    played.seen(sign, at=1)
    assert schedule.when(sign, played.progress, BEGIN + S) == Pending(BEGIN + 2 * S)
    for rank in range(plan.world.size):
        played.reap(rank)
    assert schedule.when(sign, played.progress, BEGIN + 2 * S) == Reached(BEGIN + 2 * S)
    assert schedule.when(SeenMoment("port", "1"), played.progress, BEGIN) == Impossible()


def test_the_play_of_a_job_goes_on_until_its_programs_have_ended() -> None:
    """A program that was released has not begun its call yet: the play is not over for that."""
    plan = replace(scenario([]), job=Job())
    schedule, played = Schedule(plan), begun(plan)
    assert not schedule.decide(played.progress, BEGIN).over
    for rank in range(plan.world.size):
        played.reap(rank)
    assert schedule.decide(played.progress, BEGIN).over
