"""How operations fold into progress: calls, faults, lives, gates, messages, and the time that a rank was paused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from played import BEGIN, Played, S

from harness.scenario.moment import START, WireMoment
from harness.scenario.scenario import EXIT, HandlerConfig, RankSpec, Scenario, Step, World
from harness.schedule.progress import CallState, FaultState, LifeState
from harness.schedule.torchrun import AgentState
from harness.values.ops import INFO, READY, Op, Process


def plan(torchrun: bool = False) -> Scenario:
    """Two ranks that join and set a key."""
    ranks = tuple(
        RankSpec(START, {}, False, {"main": HandlerConfig(rank, 2, "train", 2 * S)}, 9 * S) for rank in range(2)
    )
    settings = {"max_restarts": 1} if torchrun else None
    world = World(size=2, timeout_ns=2 * S, ranks=ranks, torchrun=settings)
    steps = (Step("join", "rendezvous", (0, 1), {}), Step("set", "set", (0, 1), {}))
    return Scenario(Path("x.rdzv.yaml"), "x", world, steps)


def test_a_call_runs_from_its_begin_to_its_end() -> None:
    """Both times are those of the operations, and so is the last activity."""
    played = Played(plan()).begun().call("join", 0, None, at=1)
    key = ("join", 0, 1, 1)
    assert (set(played.progress.running), played.progress.has_ended(key)) == ({key}, False)
    played.end("join", 0, "failed", at=2)
    assert (set(played.progress.running), played.progress.has_ended(key)) == (set(), True)
    assert played.progress.call(key) == CallState(BEGIN + S, BEGIN + 2 * S, "failed")
    assert played.progress.last_ns == BEGIN + 2 * S


def test_the_first_end_of_a_call_counts() -> None:
    """A call that a guard has ended stays hung, whatever its rank writes later."""
    played = Played(plan()).begun().call("join", 0, "hung", at=1).end("join", 0, "ok", at=2)
    assert played.progress.call(("join", 0, 1, 1)).outcome == "hung"
    assert played.progress.call(("join", 0, 1, 1)).ended_ns == BEGIN + S


def test_nobody_but_the_fold_changes_progress() -> None:
    """States are frozen, and mappings are read-only views."""
    progress = Played(plan()).begun().call("join", 0).progress
    with pytest.raises(FrozenInstanceError):
        progress.rank(0).ended = True  # type: ignore[misc]
    with pytest.raises(TypeError):
        progress.calls[("join", 0, 1, 1)] = CallState()  # type: ignore[index]


def test_a_fault_is_in_place_healed_or_was_refused() -> None:
    """An invocation alone changes nothing."""
    played = Played(plan())
    assert played.progress.fault("cut") == FaultState()
    played.inject("cut", at=1)
    assert played.progress.fault("cut") == FaultState(BEGIN + S)
    assert played.progress.fault("cut").is_active
    played.heal("cut", at=2)
    assert played.progress.fault("cut") == FaultState(BEGIN + S, BEGIN + 2 * S)
    played.inject("refused", failed=True)
    assert not played.progress.fault("refused").may_be_injected


def test_a_rank_begins_when_it_is_released_and_ends_when_its_process_is_reaped() -> None:
    """Its `exit` alone does not end it: a rank that hangs at its exit still runs."""
    played = Played(plan()).launch(0, 1)
    assert played.progress.rank(0) == LifeState()
    played.release(0)
    assert played.progress.rank(0) == LifeState(begun=True)
    played.call(EXIT, 0, "hung", at=1)
    assert played.progress.rank(0) == LifeState(begun=True)
    played.reap(0, at=2)
    assert played.progress.rank(0) == LifeState(begun=True, ended=True)
    assert played.progress.rank(1) == LifeState()


def test_a_new_life_starts_over_and_an_end_of_the_old_one_does_not_end_it() -> None:
    """A process that was reaped late belongs to the earlier life."""
    played = Played(plan()).begun().launch(0, life=2).release(0).reap(0, life=1)
    assert played.progress.rank(0) == LifeState(2, 2, begun=True)


def test_a_rank_that_never_starts_has_ended() -> None:
    """Nothing waits for it."""
    assert Played(plan()).never_start(1).progress.rank(1).ended


def test_gates_are_decided_once_whether_their_steps_go_or_are_skipped() -> None:
    """A gate is known by rank, life and step."""
    played = Played(plan()).gate(go=[(0, 1, 1)], skip=[(1, 1, 1)])
    assert played.progress.decided == {(0, 1, 1), (1, 1, 1)}


def test_a_message_has_the_time_at_which_it_passed() -> None:
    """It does not matter what is awaited after it."""
    message = WireMoment("reply", "get", (1,), "ready", 2)
    played = Played(plan())
    assert played.progress.passed_ns(message) is None
    played.passed(message, at=3)
    assert played.progress.passed_ns(message) == BEGIN + 3 * S


def test_the_time_that_a_rank_stood_still_is_added_to_its_running_calls() -> None:
    """Not before the call began; a call that has ended gets none, and a second suspension adds to the first."""
    played = Played(plan()).begun().call("join", 0, "ok", at=1).suspend(0, at=2).call("set", 0, None, at=3)
    assert set(played.progress.suspended) == {0}
    played.resume(0, at=5)
    assert played.progress.call(("set", 0, 1, 1)).suspended_ns == 2 * S
    assert played.progress.call(("join", 0, 1, 1)).suspended_ns == 0
    played.suspend(0, at=6).resume(0, at=7)
    assert played.progress.call(("set", 0, 1, 1)).suspended_ns == 3 * S
    assert not played.progress.suspended


def test_a_resumption_of_a_rank_that_stood_not_still_changes_nothing() -> None:
    """A pause whose process was gone is resumed too."""
    played = Played(plan()).begun().call("join", 0, None, at=1).resume(0, at=2)
    assert played.progress.call(("join", 0, 1, 1)).suspended_ns == 0


def test_that_a_rank_is_ready_is_no_call() -> None:
    """Readiness has no step."""
    played = Played(plan()).launch(0)
    played.record(Op(BEGIN, Process(0), INFO, READY, value={"pid": 7}))
    assert not played.progress.calls


def test_an_agent_is_followed_through_the_lives_of_its_workers() -> None:
    """It joins, its worker starts and leaves; joining again is the next life."""
    played = Played(plan(torchrun=True)).begun().call("join", 0)
    assert played.progress.rank(0) == AgentState(begun=True, starts_worker=True)
    played.worker(0)
    assert played.progress.rank(0) == AgentState(begun=True, has_worker=True)
    played.worker_ended(0)
    assert played.progress.rank(0) == AgentState(begun=True)
    played.call("join", 0, None, at=2, life=2)
    assert played.progress.rank(0) == AgentState(life=2, begun=True)


def test_a_rank_under_torchrun_has_ended_when_its_agent_and_its_worker_have() -> None:
    """In either order."""
    agent_first = Played(plan(torchrun=True)).begun().call("join", 0).worker(0).reap(0)
    assert not agent_first.progress.rank(0).ended
    assert agent_first.worker_ended(0).progress.rank(0).ended
    assert Played(plan(torchrun=True)).begun().call("join", 0).worker(0).worker_ended(0).reap(0).progress.rank(0).ended
