"""What may begin when in a world of torchrun agents: lives that come by themselves, ends that wait for others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.scenario.moment import START, FaultMoment, Moment, StepMoment, TimeMoment
from harness.scenario.scenario import EXIT, Fault, HandlerConfig, RankSpec, Scenario, Step, World
from harness.schedule import torchrun
from harness.schedule.answers import Impossible, Pending, Reached
from harness.schedule.progress import Progress
from harness.schedule.schedule import Schedule

S = 1_000_000_000
BEGIN = 100 * S
GUARD = 9 * S
EVERYBODY = (0, 1)


def scenario(*steps: Step, faults: tuple[Fault, ...] = (), max_restarts: int = 1) -> Scenario:
    """Two agents that join; then their workers take these steps."""
    ranks = tuple(
        RankSpec(START, {}, False, {"main": HandlerConfig(rank, 2, "train", 2 * S)}, GUARD) for rank in EVERYBODY
    )
    world = World(size=2, timeout_ns=2 * S, ranks=ranks, torchrun={"max_restarts": max_restarts})
    join = Step("join", "rendezvous", EVERYBODY, {})
    return Scenario(Path("x.rdzv.yaml"), "x", world, (join, *steps), faults)


def work(name: str, *ranks: int, after: Moment | None = None, life: int | None = None) -> Step:
    return Step(name, "set", ranks or EVERYBODY, {}, after=after, life=life)


def joined() -> Progress:
    """Both agents have joined at 1 s, and their workers are there."""
    progress = Progress(start_ns=BEGIN)
    for rank in EVERYBODY:
        progress.rank(rank).begun = progress.rank(rank).worker = True
        progress.begun((EXIT, rank, 1, 1), BEGIN)
        call(progress, "join", rank, at=1)
    return progress


def call(progress: Progress, name: str, rank: int, outcome: str | None = "ok", at: int = 1, life: int = 1) -> None:
    key = (name, rank, life, 1)
    progress.begun(key, BEGIN + at * S)
    if outcome is not None:
        progress.ended(key, BEGIN + at * S, outcome)


def without_worker(progress: Progress, *ranks: int) -> Progress:
    for rank in ranks:
        progress.rank(rank).worker = False
    return progress


def test_a_worker_that_is_not_there_yet_is_told_nothing() -> None:
    """What its agent has joined for is a new interpreter, which takes a while to come."""
    schedule = Schedule(scenario(work("set", 0, after=StepMoment("join"))))
    assert schedule.decide(without_worker(joined(), 0), BEGIN + 2 * S).go == ()
    assert schedule.decide(joined(), BEGIN + 2 * S).go == ((0, 1, 1),)


def test_a_step_of_a_life_that_the_agent_can_still_give_is_waited_for() -> None:
    """Whether it restarts its worker is for the agent to say, as often as it may."""
    plan, progress = scenario(work("again", 1, life=2)), joined()
    for rank in EVERYBODY:
        assert Schedule(plan).when(StepMoment("again", (1,), 2), progress, BEGIN + 2 * S) == Pending(), rank
    never = Schedule(replace(plan, world=replace(plan.world, torchrun={"max_restarts": 0})))
    assert never.when(StepMoment("again", (1,), 2), progress, BEGIN + 2 * S) == Impossible()


def test_an_agent_that_has_ended_gives_no_further_life() -> None:
    """Then what waits for one is skipped."""
    plan, progress = scenario(work("again", 1, life=2)), joined()
    progress.rank(1).agent_ended = True
    assert Schedule(plan).when(StepMoment("again", (1,), 2), progress, BEGIN + 2 * S) == Impossible()


def test_a_life_that_is_over_does_not_come_back() -> None:
    """A call that its life did not make can be made no more, by nobody."""
    plan, progress = scenario(work("set", 1)), joined()
    progress.rank(1).life = 2
    assert Schedule(plan).when(StepMoment("set", (1,), 1), progress, BEGIN + 2 * S) == Impossible()


def test_the_end_of_an_agent_is_in_the_life_in_which_it_began() -> None:
    """However many workers it had."""
    plan, progress = scenario(), joined()
    progress.rank(1).life = 2
    exit_of_one = StepMoment(EXIT, (1,))
    assert Schedule(plan).when(exit_of_one, progress, BEGIN + 2 * S) == Pending()
    progress.ended((EXIT, 1, 1, 1), BEGIN + 3 * S, "ok")
    assert Schedule(plan).when(exit_of_one, progress, BEGIN + 4 * S) == Reached(BEGIN + 3 * S)


def test_the_play_waits_for_agents_whose_workers_have_left() -> None:
    """They look after a worker ten times a second and wait for each other; then they end, or start another worker."""
    plan, progress = scenario(), without_worker(joined(), 0, 1)
    assert not Schedule(plan).decide(progress, BEGIN + 2 * S).over


def test_the_play_is_over_when_agents_have_done_nothing_for_their_guard() -> None:
    """Silence is counted from what progress last in the whole world."""
    plan, progress = scenario(), without_worker(joined(), 0, 1)
    progress.mark_activity(BEGIN + 5 * S)
    assert not Schedule(plan).decide(progress, BEGIN + 5 * S + GUARD - 1).over
    assert Schedule(plan).decide(progress, BEGIN + 5 * S + GUARD).over


def test_a_worker_that_starts_has_longer() -> None:
    """A new interpreter that imports torch is silent for some seconds, and that is nobody's fault."""
    plan, progress = scenario(work("set")), without_worker(joined(), 0, 1)
    progress.rank(0).starts_worker = True
    silent_ns = BEGIN + S + GUARD + torchrun.WORKER_START_NS
    assert not Schedule(plan).decide(progress, silent_ns - 1).over
    assert Schedule(plan).decide(progress, silent_ns).over


def test_a_worker_that_waits_for_what_only_the_end_brings_is_let_go_after_that_silence() -> None:
    """The other agent waits for it at its end, so nothing else would ever come."""
    healed_at_the_end = Fault("slow", "latency", (1,), {}, until=StepMoment("again", (1,), 2))
    plan = scenario(
        work("again", 1, life=2), work("set", 0, after=FaultMoment("slow", "healed")), faults=(healed_at_the_end,)
    )
    schedule, progress = Schedule(plan), without_worker(joined(), 1)
    progress.fault("slow").injected_ns = BEGIN
    assert not schedule.decide(progress, BEGIN + 2 * S).over
    assert schedule.decide(progress, BEGIN + S + GUARD).over


def test_a_running_call_of_a_worker_keeps_the_play_going_though_its_agent_is_paused() -> None:
    """A pause hits the agent alone."""
    pause = Fault("pause", "pause", (0,), {}, suspends_ranks=True)
    plan, progress = scenario(work("set", 0), faults=(pause,)), joined()
    progress.fault("pause").injected_ns = BEGIN
    without_worker(progress, 1)
    call(progress, "set", 0, None, at=2)
    assert not Schedule(plan).decide(progress, BEGIN + 90 * S).over


def test_a_rank_has_ended_when_agent_and_worker_have() -> None:
    """Then nobody is waited for."""
    plan, progress = scenario(), without_worker(joined(), 0, 1)
    for rank in EVERYBODY:
        progress.ended((EXIT, rank, 1, 1), BEGIN + 2 * S, "ok")
        progress.rank(rank).ended = progress.rank(rank).agent_ended = True
    assert Schedule(plan).decide(progress, BEGIN + 2 * S).over


def test_an_orphan_is_still_told_what_may_begin() -> None:
    """A worker whose agent was killed goes on."""
    plan, progress = scenario(work("set", 0, after=TimeMoment(3 * S))), joined()
    progress.ended((EXIT, 0, 1, 1), BEGIN + 2 * S, "died")
    progress.rank(0).agent_ended = True
    assert Schedule(plan).decide(progress, BEGIN + 3 * S).go == ((0, 1, 1),)


@pytest.mark.parametrize(
    ("key", "is_workers"), [(("join", 0, 1, 1), False), ((EXIT, 0, 1, 1), False), (("set", 0, 1, 1), True)]
)
def test_the_rendezvous_and_the_end_are_the_agents(key: tuple[str, int, int, int], is_workers: bool) -> None:
    """Everything between is its worker's."""
    assert torchrun.is_workers(scenario(work("set")), key) is is_workers


def test_somebody_works_while_a_call_runs_or_a_worker_waits_for_its_turn() -> None:
    """As long as that is so, agents may wait for each other."""
    plan, progress = scenario(work("set", 0)), joined()
    assert torchrun.somebody_works(plan, progress)
    call(progress, "set", 0, None, at=2)
    assert torchrun.somebody_works(plan, without_worker(progress, 0))
    call(progress, "set", 0, at=3)
    assert not torchrun.somebody_works(plan, progress)
