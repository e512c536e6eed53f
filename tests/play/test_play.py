"""A whole play without processes: what is done in which order, and that every act is undone whatever fails."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedFault, ScriptedPlay, ScriptedRank, joins, scripted_play

from harness.archive import read_history
from harness.loader import load_mapping
from harness.machine.process.stalls import CONTROLLER
from harness.play import needs, nemesis
from harness.play import play as play_module
from harness.play.play import Interrupted, play
from harness.scenario.moment import START, FaultMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import Fault, Scenario
from harness.values.history import History
from harness.values.ops import GATE, LAUNCH, RELEASE
from harness.values.stall import STOPPED, WAITED, Stall

JOIN = {"id": "join", "do": "rendezvous"}
SEEN = WireMoment("query", "add", (1,), None, 1)
CUT = Fault("cut", "scripted", (1,), {})
SLOW = Fault("slow", "scripted", (1,), {}, after=StepMoment("join"))

ACTS = ["leave wire", "heal slow", "heal cut", "remove links", "close world"]
"""How a play is undone; the acts in the order of their undoing."""


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind of fault, which notes what it does."""
    for module in (nemesis, needs):
        monkeypatch.setattr(module, "FAULTS", {"scripted": ScriptedFault})


def scenario(*faults: Fault, steps: Any = (JOIN,), **world: Any) -> Scenario:
    """Two ranks that join."""
    keys = {"world": {"size": 2, **world}, "workload": list(steps), "expect": [{"step": "join", "is": "ok"}]}
    (cell,) = load_mapping({"schema": "rdzv-scenario/v1", "title": "A claim", **keys}, "x")
    return replace(cell, faults=faults)


def wired(*faults: Fault) -> Scenario:
    """The same scenario, with a step of rank 0 that waits for a message."""
    seen = {"id": "seen", "do": "num_keys", "ranks": 0, "after": {"wire": {"query": "add", "ranks": 1}}}
    return scenario(*faults, steps=(JOIN, seen))


def see(scripted: ScriptedPlay) -> Any:
    """Ranks join; then the message passes, and rank 0 takes its next step when its gate opens."""

    def script(rank: ScriptedRank) -> None:
        joins(rank)
        if rank.rank == 1:
            assert scripted.proxies.watching is not None
            scripted.proxies.watching.passes(SEEN, rank.session.clock())

    return script


def history(scripted: ScriptedPlay) -> History:
    return read_history(scripted.order.run_dir)


def played(scripted: ScriptedPlay) -> History:
    play(scripted.order, scripted.resources)
    return history(scripted)


def test_a_play_that_goes_well_leaves_a_whole_history_and_undoes_everything(tmp_path: Path) -> None:
    """Resources are acquired in order and released in reverse; every rank leaves by itself."""
    with scripted_play(scenario(CUT, SLOW), tmp_path) as scripted:
        done = played(scripted)
        assert done.ended == {}
        assert scripted.undone.log == [
            "open world", "make links", "inject cut", "inject slow", "heal slow", "heal cut", "remove links",
            "close world",
        ]  # fmt: skip
        assert [call.outcome for call in done.calls] == ["ok"] * 4
        assert scripted.session.killed == []


def test_ranks_begin_together_the_master_first(tmp_path: Path) -> None:
    """The master has begun a call before the others are released."""
    with scripted_play(scenario(), tmp_path) as scripted:
        done = played(scripted)
    released = [op.value["ranks"] for op in done if op.f == RELEASE]
    assert released == [[0], [1]]
    assert [op.value for op in done if op.f == LAUNCH] == [{"ranks": [0, 1], "life": 1}]
    assert [message for _, message in scripted.session.sent] == [{"begin": True}] * 2 + [{"leave": True}] * 2


def test_a_step_that_waits_for_a_message_begins_before_the_next_byte_passes(tmp_path: Path) -> None:
    """Its gate is recorded before the links carry on."""
    with scripted_play(wired(), tmp_path) as scripted:
        scripted.session.script = see(scripted)

        def tell(rank: ScriptedRank, message: dict[str, Any], before: Any = ScriptedRank.tell) -> None:
            before(rank, message)
            if "go" in message:
                rank.calls("seen", "num_keys", 1)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ScriptedRank, "tell", tell)
            done = played(scripted)
        assert scripted.proxies.watching is not None
        assert scripted.proxies.watching.went_on >= 1
    assert [op.value for op in done if op.f == GATE] == [{"go": [[0, 1, 1]], "skip": []}]
    assert {call.step: call.outcome for call in done.calls if call.rank == 0}["seen"] == "ok"


@pytest.mark.parametrize("failing", [*([act] for act in ACTS), ACTS], ids=lambda acts: " and ".join(acts))
def test_what_cannot_be_undone_keeps_nothing_else_from_being_undone(failing: list[str], tmp_path: Path) -> None:
    """Every act is tried in its turn, and the end of the history names all that failed."""
    with scripted_play(wired(CUT, SLOW), tmp_path, fails=frozenset(failing)) as scripted:

        def script(rank: ScriptedRank) -> None:
            joins(rank)

        scripted.session.script = script
        with pytest.MonkeyPatch.context() as patched:
            # The message never comes, so the play ends with rank 0's last step undone: nothing runs any more.
            patched.setattr("harness.schedule.schedule.UNDER_WAY_NS", 0)
            done = played(scripted)
        undone = [act for act in scripted.undone.log if act in ACTS]
        assert undone == ACTS
        error = (done.ended or {}).get("error", "")
        named = [act for act in failing if act.startswith("heal")][:1] + [a for a in failing if "heal" not in a]
        assert all(f"{act} failed" in error for act in named), error
        assert {op.step for op in done if op.f == "heal"} == {"cut", "slow"}


@pytest.mark.parametrize("act", ["open world", "make links"])
def test_what_cannot_be_acquired_undoes_what_was_before_it(act: str, tmp_path: Path) -> None:
    """No rank was launched, and the history says why."""
    with scripted_play(scenario(CUT), tmp_path, fails=frozenset([act])) as scripted:
        done = played(scripted)
        assert (
            scripted.undone.log
            == {
                "open world": ["open world"],
                "make links": ["open world", "make links", "close world"],
            }[act]
        )
        assert f"{act} failed" in (done.ended or {})["error"]
        assert scripted.session.ranks == []


def test_a_bug_in_the_middle_of_a_play_ends_every_rank_and_keeps_its_traceback(tmp_path: Path) -> None:
    """Faults are healed first; ranks are killed, not waited for."""

    def breaks(rank: ScriptedRank) -> None:
        joins(rank)
        if rank.rank == 1:
            raise ZeroDivisionError("a bug")

    with scripted_play(scenario(CUT), tmp_path, breaks) as scripted:
        done = played(scripted)
        assert scripted.undone.log[-3:] == ["heal cut", "remove links", "close world"]
        assert sorted(scripted.session.killed) == [1000, 1001]
        assert (done.ended or {})["error"] == "ZeroDivisionError: a bug"
        text = (scripted.order.run_dir / "logs" / "harness-error.txt").read_text()
        assert "ZeroDivisionError" in text
        assert "in breaks" in text
        assert {call.outcome for call in done.calls if call.step == "exit"} == {"died"}


def test_a_failed_healing_ends_ranks_instead_of_waiting_for_them(tmp_path: Path) -> None:
    """The fault may still keep them from leaving."""
    with scripted_play(scenario(CUT), tmp_path, fails=frozenset({"heal cut"})) as scripted:
        for rank in (0, 1):
            assert rank not in scripted.session.killed
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ScriptedRank, "stays", True)
            done = played(scripted)
        assert sorted(set(scripted.session.killed)) == [1000, 1001]
        assert "heal cut failed" in (done.ended or {})["error"]
        assert not [op for op in done if op.f == "left_behind"]


def test_what_stood_still_is_recorded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the time at which it went on, during the play and at its end."""
    stalls = [Stall("the zygote", STOPPED, 5, 10, 5), Stall("the proxy server", WAITED, 20, 40, 15)]

    class Watch:
        """Sees one stall at a time."""

        def __enter__(self) -> Watch:
            return self

        def __exit__(self, *_: object) -> None:
            stalls.append(Stall("the name server", STOPPED, 50, 60, 10))

        def take(self) -> list[Stall]:
            return [stalls.pop(0)] if stalls else []

    seen = list(stalls)
    monkeypatch.setattr(play_module, "StallWatch", Watch)
    with scripted_play(scenario(CUT), tmp_path) as scripted:
        done = played(scripted)
    assert [stall for stall in done.stalls if stall.part != CONTROLLER] == [
        *seen,
        Stall("the name server", STOPPED, 50, 60, 10),
    ]
    assert [op.f for op in done][-1] == "end"


def test_an_interrupt_heals_and_ends_everything_and_is_raised(tmp_path: Path) -> None:
    """The parent asked for an end, or is gone."""

    def interrupted(rank: ScriptedRank) -> None:
        joins(rank)
        if rank.rank == 1:
            os.write(write, b"\0")

    late = {"id": "late", "do": "num_keys", "ranks": 0, "after": "3600s"}
    with scripted_play(scenario(CUT, steps=(JOIN, late)), tmp_path, interrupted) as scripted:
        read, write = os.pipe()
        try:
            with pytest.raises(Interrupted):
                play(scripted.order, replace(scripted.resources, interrupt_fd=read))
        finally:
            os.close(read)
            os.close(write)
        assert scripted.undone.log[-3:] == ["heal cut", "remove links", "close world"]
        assert sorted(scripted.session.killed) == [1000, 1001]
        assert history(scripted).ended == {"error": "interrupted"}


def test_a_rank_that_a_fault_has_ended_starts_again_when_it_is_healed(tmp_path: Path) -> None:
    """The healing is recorded after its next life was released."""
    kill = replace(
        CUT, after=StepMoment("join"), until=FaultMoment("cut", "injected", 1), restarts_ranks=True
    )  # fmt: skip
    with scripted_play(scenario(kill), tmp_path) as scripted:
        ScriptedFault.ends = (1,)
        done = played(scripted)
    lives = [op.value for op in done if op.f == LAUNCH]
    assert lives == [{"ranks": [0, 1], "life": 1}, {"ranks": [1], "life": 2}]
    order = [op.f if op.f != "heal" else f"heal {op.type}" for op in done if op.f in ("heal", LAUNCH, RELEASE)]
    assert order[-4:] == ["heal invoke", LAUNCH, RELEASE, "heal ok"]
    assert [(call.rank, call.life, call.outcome) for call in done.calls if call.step == "join"][-1] == (1, 2, "ok")


def test_a_rank_whose_moment_never_comes_is_skipped_at_the_end(tmp_path: Path) -> None:
    """Its process was made and never released."""
    late = scenario(ranks={1: {"start": "3600s"}}, steps=({**JOIN, "ranks": 0},))
    with scripted_play(late, tmp_path) as scripted:
        done = played(scripted)
    assert late.world.ranks[1].start == TimeMoment(3600 * 10**9)
    assert [call.outcome for call in done.calls if (call.rank, call.step) == (1, "exit")] == ["skipped"]
    assert [op.value["ranks"] for op in done if op.f == RELEASE] == [[0]]


def test_faults_of_the_start_are_in_place_before_the_clock_starts(tmp_path: Path) -> None:
    """Later faults come after their moment."""
    with scripted_play(scenario(CUT, SLOW), tmp_path) as scripted:
        done = played(scripted)
    start_ns = done.start_ns
    placed = {op.step: op.time_ns for op in done if (op.f, op.type) == ("inject", "ok")}
    assert CUT.after == START
    assert placed["cut"] <= start_ns < placed["slow"]
