"""The guard without processes: operations go in; the calls recorded as hung and the processes ended come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from played import BEGIN, Played, S

from harness.machine.process.stack_reader import STACKS_WITHIN_NS
from harness.play.hang_guard import HangGuard
from harness.play.rank_group import CallOwner
from harness.scenario.moment import START
from harness.scenario.scenario import EXIT, HandlerConfig, RankSpec, Scenario, Step, World
from harness.schedule import torchrun
from harness.schedule.progress import CallKey
from harness.schedule.schedule import lives_of

GUARD = 9 * S
JOIN_0, JOIN_1 = ("join", 0, 1, 1), ("join", 1, 1, 1)


def plan(under_torchrun: bool = False) -> Scenario:
    """Two ranks that join, sleep for 3 s and set a key; each call may last 9 s, the sleep 12 s."""
    ranks = tuple(
        RankSpec(START, {}, False, {"main": HandlerConfig(rank, 2, "train", 2 * S)}, GUARD) for rank in range(2)
    )
    settings = {"max_restarts": 0} if under_torchrun else None
    world = World(size=2, timeout_ns=2 * S, ranks=ranks, torchrun=settings)
    steps = (
        Step("join", "rendezvous", (0, 1), {}),
        Step("nap", "sleep", (0, 1), {"for": 3 * S}),
        Step("set", "set", (0, 1), {}),
    )
    return Scenario(Path("x.rdzv.yaml"), "x", world, steps)


@dataclass
class FakeRanks:
    """Notes what a guard does to ranks; `drained` is what a rank has written when its file is read once more."""

    played: Played
    drained: dict[int, tuple[str, int]] = field(default_factory=dict)
    ended: list[Any] = field(default_factory=list)
    hung_calls: list[tuple[CallKey, str, str]] = field(default_factory=list)
    processes: dict[int, Any] = field(default_factory=lambda: {0: "process 0", 1: "process 1"})

    def owner(self, key: CallKey) -> CallOwner | None:
        process = self.processes.get(key[1])
        return None if process is None else CallOwner(process, 1000 + key[1])

    def drain(self, rank: int) -> None:
        if rank in self.drained:
            name, at = self.drained.pop(rank)
            self.played.end(name, rank, at=at)

    def hung(self, key: CallKey, because: str, stacks: str) -> None:
        self.hung_calls.append((key, because, stacks))
        self.played.end(key[0], key[1], "hung", at=self.now, life=key[2], number=key[3])

    def end(self, process: Any) -> None:
        self.ended.append(process)

    now = 0.0


@dataclass
class FakeReading:
    """Stacks whose reading ends when the test says so."""

    pid: int
    path: Path
    deadline_ns: int
    done: bool = False

    def is_over(self, now_ns: int) -> bool:
        return self.done or now_ns >= self.deadline_ns


class Guarded:
    """A guard over a play without processes."""

    def __init__(self, scenario: Scenario) -> None:
        self.played = Played(scenario).begun()
        self.ranks = FakeRanks(self.played)
        self.readings: list[FakeReading] = []
        self._guard = HangGuard(
            scenario,
            lives_of(scenario),
            self.played.progress,
            self.ranks,
            self._read,
            Path("/run"),  # type: ignore[arg-type]
        )

    def _read(self, pid: int, path: Path, deadline_ns: int) -> FakeReading:
        self.readings.append(FakeReading(pid, path, deadline_ns))
        return self.readings[-1]

    def enforce(self, at: float) -> float | None:
        """Look at that second; when to look again, in seconds."""
        self.ranks.now = at
        again = self._guard.enforce(BEGIN + int(at * S))
        return None if again is None else (again - BEGIN) / S

    @property
    def hung(self) -> list[CallKey]:
        return [key for key, _, _ in self.ranks.hung_calls]


def test_nothing_is_looked_for_while_no_call_runs() -> None:
    """The guard gives no time for its next look."""
    assert Guarded(plan()).enforce(at=100) is None


def test_a_call_that_ends_in_time_is_left_alone() -> None:
    """Until then the guard says when it will look next."""
    guarded = Guarded(plan())
    guarded.played.call("join", 0, None, at=1)
    assert guarded.enforce(at=2) == 10
    guarded.played.end("join", 0, at=9)
    assert guarded.enforce(at=20) is None
    assert guarded.hung == []


def test_a_call_that_outlasts_its_guard_is_hung_and_its_process_ends_when_its_stacks_were_read() -> None:
    """The record comes first, then the stacks, then the end."""
    guarded = Guarded(plan())
    guarded.played.call("join", 0, None, at=1)
    assert guarded.enforce(at=10) == 10 + STACKS_WITHIN_NS / S
    (key, because, stacks), (reading,) = guarded.ranks.hung_calls[0], guarded.readings
    assert (key, stacks) == (JOIN_0, "stacks/rank-0.life-1.txt")
    assert because == "join of rank 0 lasted longer than its guard of 9.00 s"
    assert (reading.pid, reading.path) == (1000, Path("/run/stacks/rank-0.life-1.txt"))
    assert guarded.ranks.ended == []
    reading.done = True
    guarded.enforce(at=11)
    assert guarded.ranks.ended == ["process 0"]
    assert guarded.enforce(at=12) is None


def test_stacks_that_cannot_be_read_do_not_keep_a_process_alive() -> None:
    """Reading them has a time limit."""
    guarded = Guarded(plan())
    guarded.played.call("join", 0, None, at=1)
    again = guarded.enforce(at=10)
    assert again is not None
    guarded.enforce(at=again)
    assert guarded.ranks.ended == ["process 0"]


def test_what_a_rank_wrote_without_ringing_counts() -> None:
    """Its file is read once more before its call is called hung."""
    guarded = Guarded(plan())
    guarded.ranks.drained = {0: ("join", 9)}
    guarded.played.call("join", 0, None, at=1)
    guarded.enforce(at=10)
    assert (guarded.hung, guarded.readings) == ([], [])


def test_a_sleep_may_last_as_long_as_it_says_on_top() -> None:
    """The guard of a sleep of 3 s is 12 s."""
    guarded = Guarded(plan())
    guarded.played.call("nap", 0, None, at=1)
    assert guarded.enforce(at=12) == 13


def test_the_time_that_a_rank_stood_still_does_not_count() -> None:
    """Neither while it is paused nor afterwards."""
    guarded = Guarded(plan())
    guarded.played.call("join", 0, None, at=1).suspend(0, at=2)
    assert guarded.enforce(at=50) is None
    guarded.played.resume(0, at=60)
    assert guarded.enforce(at=60) == 68
    guarded.enforce(at=68)
    assert guarded.hung == [JOIN_0]


def test_several_overdue_calls_are_ended_at_one_look_each_process_once() -> None:
    """Two hung calls of one process end it once; its stacks are read once."""
    guarded = Guarded(plan())
    guarded.played.call("join", 0, None, at=1).call("set", 0, None, at=1).call("join", 1, None, at=1)
    guarded.enforce(at=10)
    assert guarded.hung == [JOIN_0, JOIN_1]
    assert [reading.pid for reading in guarded.readings] == [1000, 1001]


def test_a_call_whose_process_is_gone_is_not_hung() -> None:
    """The end of the call is about to be recorded."""
    guarded = Guarded(plan())
    guarded.ranks.processes = {}
    guarded.played.call("join", 0, None, at=1)
    assert guarded.enforce(at=10) is None
    assert guarded.hung == []


def test_a_process_that_hangs_at_its_exit_is_ended_too() -> None:
    """`exit` has the rank's guard."""
    guarded = Guarded(plan())
    guarded.played.call(EXIT, 0, None, at=1)
    guarded.enforce(at=10)
    assert guarded.hung == [(EXIT, 0, 1, 1)]


def agents() -> Guarded:
    """Two agents that joined at 1 s; both workers have started."""
    guarded = Guarded(plan(under_torchrun=True))
    for rank in (0, 1):
        guarded.played.call(EXIT, rank, None, at=0).call("join", rank, at=1).worker(rank, at=1)
    return guarded


def test_the_end_of_an_agent_waits_while_any_worker_works() -> None:
    """The calls of workers have their own guards."""
    guarded = agents()
    assert guarded.enforce(at=500) is None
    guarded.played.call("set", 0, None, at=500)
    assert guarded.enforce(at=500) == 509


def test_agents_that_are_silent_for_longer_than_their_guard_are_hung() -> None:
    """The time counts from the last activity in the whole world."""
    guarded = agents()
    for rank in (0, 1):
        guarded.played.worker_ended(rank, at=5)
    assert guarded.enforce(at=6) == 14
    guarded.enforce(at=14)
    assert guarded.hung == [(EXIT, 0, 1, 1), (EXIT, 1, 1, 1)]


def test_a_worker_that_starts_gives_its_agent_longer() -> None:
    """A new interpreter takes its time to import torch."""
    guarded = agents()
    for rank in (0, 1):
        guarded.played.worker_ended(rank, at=5)
    guarded.played.call("join", 0, at=5, life=2)
    assert guarded.enforce(at=6) == 14 + torchrun.WORKER_START_NS / S


@pytest.mark.parametrize(("call", "hung"), [("set", True), ("join", False)])
def test_a_pause_stops_the_guard_of_an_agent_and_not_of_its_worker(call: str, hung: bool) -> None:
    """SIGSTOP stops the agent only."""
    guarded = agents()
    guarded.played.suspend(0, at=1).call(call, 0, None, at=2, life=2 if call == "join" else 1)
    guarded.enforce(at=11)
    assert bool(guarded.hung) is hung
