"""What may begin when in a world of torchrun agents: lives that come by themselves, ends that wait for others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from played import BEGIN, Played, S

from harness.scenario.moment import START, FaultMoment, Moment, StepMoment, TimeMoment
from harness.scenario.scenario import EXIT, Fault, HandlerConfig, RankSpec, Scenario, Step, World
from harness.schedule import torchrun
from harness.schedule.answers import Impossible, Pending, Reached
from harness.schedule.schedule import Schedule

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


def joined(plan: Scenario) -> Played:
    """Both agents joined at 1 s, and their workers have started."""
    played = Played(plan).begun()
    for rank in EVERYBODY:
        played.call(EXIT, rank, None, at=0).call("join", rank).worker(rank, at=1)
    return played


def without_worker(played: Played, *ranks: int) -> Played:
    """The workers of these ranks have left."""
    for rank in ranks:
        played.worker_ended(rank, at=1)
    return played


def test_a_worker_that_is_not_there_yet_is_told_nothing() -> None:
    """The new worker is a new interpreter, which takes a while to start."""
    plan = scenario(work("set", 0, after=StepMoment("join")))
    assert Schedule(plan).decide(without_worker(joined(plan), 0).progress, BEGIN + 2 * S).go == ()
    assert Schedule(plan).decide(joined(plan).progress, BEGIN + 2 * S).go == ((0, 1, 1),)


def test_a_step_of_a_life_that_the_agent_can_still_give_is_waited_for() -> None:
    """The agent decides whether it restarts its worker, as often as it may."""
    plan = scenario(work("again", 1, life=2))
    progress = joined(plan).progress
    for rank in EVERYBODY:
        assert Schedule(plan).when(StepMoment("again", (1,), 2), progress, BEGIN + 2 * S) == Pending(), rank
    never = Schedule(replace(plan, world=replace(plan.world, torchrun={"max_restarts": 0})))
    assert never.when(StepMoment("again", (1,), 2), progress, BEGIN + 2 * S) == Impossible()


def test_an_agent_that_has_ended_gives_no_further_life() -> None:
    """Steps that wait for a further life are skipped."""
    plan = scenario(work("again", 1, life=2))
    progress = joined(plan).end(EXIT, 1, at=2).reap(1, at=2).progress
    assert Schedule(plan).when(StepMoment("again", (1,), 2), progress, BEGIN + 2 * S) == Impossible()


def test_a_life_that_is_over_does_not_come_back() -> None:
    """A call that was not made in its life can no longer be made."""
    plan = scenario(work("set", 1))
    progress = joined(plan).call("join", 1, None, at=2, life=2).progress
    assert Schedule(plan).when(StepMoment("set", (1,), 1), progress, BEGIN + 2 * S) == Impossible()


def test_the_end_of_an_agent_is_in_the_life_in_which_it_began() -> None:
    """It does not matter how many workers it had."""
    plan = scenario()
    played = joined(plan).call("join", 1, None, at=2, life=2)
    exit_of_one = StepMoment(EXIT, (1,))
    assert Schedule(plan).when(exit_of_one, played.progress, BEGIN + 2 * S) == Pending()
    played.end(EXIT, 1, at=3)
    assert Schedule(plan).when(exit_of_one, played.progress, BEGIN + 4 * S) == Reached(BEGIN + 3 * S)


def test_the_play_waits_for_agents_whose_workers_have_left() -> None:
    """They check their workers ten times a second and wait for each other; then they end, or start another worker."""
    plan = scenario()
    progress = without_worker(joined(plan), 0, 1).progress
    assert not Schedule(plan).decide(progress, BEGIN + 2 * S).over


def test_the_play_is_over_when_agents_have_done_nothing_for_their_guard() -> None:
    """The time counts from the last activity in the whole world."""
    plan = scenario()
    progress = without_worker(joined(plan), 0).worker_ended(1, at=5).progress
    assert not Schedule(plan).decide(progress, BEGIN + 5 * S + GUARD - 1).over
    assert Schedule(plan).decide(progress, BEGIN + 5 * S + GUARD).over


def test_a_worker_that_starts_has_longer() -> None:
    """A new interpreter that imports torch is silent for some seconds without a fault."""
    plan = scenario(work("set"))
    progress = without_worker(joined(plan), 0, 1).call("join", 0, life=2).progress
    silent_ns = BEGIN + S + GUARD + torchrun.WORKER_START_NS
    assert not Schedule(plan).decide(progress, silent_ns - 1).over
    assert Schedule(plan).decide(progress, silent_ns).over


def test_a_worker_that_waits_for_what_only_the_end_brings_is_let_go_after_that_silence() -> None:
    """The other agent waits for it at its own end, so nothing else would ever happen."""
    healed_at_the_end = Fault("slow", "latency", (1,), {}, until=StepMoment("again", (1,), 2))
    plan = scenario(
        work("again", 1, life=2), work("set", 0, after=FaultMoment("slow", "healed")), faults=(healed_at_the_end,)
    )
    schedule, progress = Schedule(plan), without_worker(joined(plan), 1).inject("slow").progress
    assert not schedule.decide(progress, BEGIN + 2 * S).over
    assert schedule.decide(progress, BEGIN + S + GUARD).over


def test_a_running_call_of_a_worker_keeps_the_play_going_though_its_agent_is_paused() -> None:
    """A pause stops the agent only."""
    pause = Fault("pause", "pause", (0,), {}, suspends_ranks=True)
    plan = scenario(work("set", 0), faults=(pause,))
    progress = without_worker(joined(plan), 1).inject("pause").call("set", 0, None, at=2).progress
    assert not Schedule(plan).decide(progress, BEGIN + 90 * S).over


def test_a_rank_has_ended_when_agent_and_worker_have() -> None:
    """Then nothing waits for it."""
    plan = scenario()
    played = without_worker(joined(plan), 1).end(EXIT, 1, at=2).reap(1, at=2).end(EXIT, 0, at=2).reap(0, at=2)
    assert [played.progress.rank(rank).ended for rank in EVERYBODY] == [False, True]
    without_worker(played, 0)
    assert Schedule(plan).decide(played.progress, BEGIN + 2 * S).over


def test_an_orphan_is_still_told_what_may_begin() -> None:
    """A worker whose agent was killed goes on and gets its gates."""
    plan = scenario(work("set", 0, after=TimeMoment(3 * S)))
    progress = joined(plan).end(EXIT, 0, "died", at=2).reap(0, at=2).progress
    assert Schedule(plan).decide(progress, BEGIN + 3 * S).go == ((0, 1, 1),)


@pytest.mark.parametrize(
    ("key", "is_workers"), [(("join", 0, 1, 1), False), ((EXIT, 0, 1, 1), False), (("set", 0, 1, 1), True)]
)
def test_the_rendezvous_and_the_end_are_the_agents(key: tuple[str, int, int, int], is_workers: bool) -> None:
    """Every step between belongs to its worker."""
    assert torchrun.is_workers(scenario(work("set")), key) is is_workers


def test_somebody_works_while_a_call_runs_or_a_worker_waits_for_its_turn() -> None:
    """While that is so, agents may wait for each other."""
    plan = scenario(work("set", 0))
    played = joined(plan)
    assert torchrun.somebody_works(plan, played.progress)
    without_worker(played.call("set", 0, None, at=2), 0)
    assert torchrun.somebody_works(plan, played.progress)
    played.end("set", 0, at=3)
    assert not torchrun.somebody_works(plan, played.progress)
