"""The real cause first: what failed before a moment came, and not that the moment did not come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pasts import SECOND, Past, scenario, step

from harness.archive import read_ops
from harness.history.cause import first_failure, why_never
from harness.judge.judge import judge
from harness.loader import load_text
from harness.scenario.moment import AllMoments, FaultMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import CheckClaim, Fault, Scenario, StepClaim
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Judgement

RECORDED = Path(__file__).parent / "recorded"
SAID = "ValueError: no such data set"
JOINS = StepClaim("joins", ("join",), outcomes=("ok",), line=9)
CUT = Fault("cut", "blackhole", (1,), {}, "downstream", line=7, after=StepMoment("join", state=("ok",)))
FAILED_JOIN = "rank 0's join raised DistNetworkError after 2.00 s: reset by peer"
DEAD = f"rank 0's process ended with status 1; its log ends: {SAID}"


def judged(name: str) -> Judgement:
    (cell,) = load_text((RECORDED / f"{name}.yaml").read_text(), Path(f"{name}.rdzv.yaml"))
    return judge(cell, History.of(read_ops(RECORDED / f"{name}.jsonl")))


@pytest.mark.parametrize(
    ("name", "status", "because"),
    [
        ("job-dies-before-the-fault", VACUOUS, f"kill: the fault kill was never injected: {DEAD}"),
        (
            "step-waits-for-a-call-that-fails",
            FAILED,
            "sleep: rank 0's look raised DistStoreError after 399 us: rank 0 of run 'train': invalid literal for int() "
            "with base 10: 'x', so rank 1's sleep was skipped, expected ok",
        ),
        (
            "rank-waits-for-a-join-that-fails",
            VACUOUS,
            "pause: the fault pause was never injected: rank 1's rendezvous raised RendezvousConnectionError after "
            "1.00 s: rank 1 of run 'train' lost its connection to 127.0.0.1:29500: [Errno 111] Connection refused",
        ),
        ("join-before-the-fault", PASSED, "1 claim and the standing invariants hold"),
    ],
)
def test_a_recorded_run_is_judged_by_what_came_first(name: str, status: str, because: str) -> None:
    """A job that died, a call that raised, a join that failed two moments earlier; and a run in which all came."""
    judgement = judged(name)
    assert (judgement.status, judgement.because) == (status, because)


def plan(**keys: Any) -> Scenario:
    return scenario(step("join"), expect=(JOINS,), **keys)


def never(past: Past, moment: Any, cell: Scenario | None = None) -> str:
    return why_never(past.whole(), cell or plan(faults=(CUT,)), moment)


def failing(outcome: str = "failed") -> Past:
    return Past(2).join(0, 0, 2, outcome).join(1, 0, 3)


def dead() -> Past:
    """Rank 0 dies in its join, and says why."""
    return Past(2).join(0, 0, 1, "died").ends(0, None, 1, status=1, log=SAID).join(1, 0, 3, "failed")


def test_of_a_call_that_died_the_process_and_its_log_are_named() -> None:
    """The call ended because the process did."""
    assert never(dead(), CUT.after) == DEAD


def test_a_moment_that_came_has_no_cause() -> None:
    """However many calls failed beside it."""
    assert never(failing(), StepMoment("join", (1,), state=("ok",))) == ""
    assert never(failing(), StepMoment("join", (0,), state=("failed",))) == ""


@pytest.mark.parametrize(
    "moment",
    [
        StepMoment("join", state=("ok",)),
        StepMoment("join", (0,), state=("ok",)),
        FaultMoment("cut"),
        AllMoments((StepMoment("join", (1,), state=("ok",)), FaultMoment("cut"))),
        WireMoment("query", "get"),
    ],
    ids=str,
)
def test_every_kind_of_moment_leads_to_the_call_that_failed(moment: Any) -> None:
    """Through faults and lists of moments; of a message, the first failure of the run."""
    assert never(failing(), moment) == FAILED_JOIN


def test_a_time_that_never_came_says_when_the_play_was_over() -> None:
    """Or what failed before."""
    late = plan(faults=(replace(CUT, after=TimeMoment(60 * SECOND)),))
    assert judge(late, Past(2).all_join().whole()).because == (
        "cut: the fault cut (blackhole) was never injected: the play was over after 31.00 s"
    )
    assert never(dead(), TimeMoment(60 * SECOND)) == DEAD
    assert never(dead(), TimeMoment(SECOND)) == ""


def test_steps_that_wait_for_steps_are_followed_to_the_first() -> None:
    """Two skipped calls stand between the failure and the fault."""
    second = step("second", 1, do="get", after=StepMoment("join", (0,), state=("ok",)))
    third = step("third", 0, do="get", after=StepMoment("second", state=("ok",)))
    cell = scenario(step("join"), second, third, expect=(JOINS,))
    past = failing().call(1, "second", None, 2.1, "skipped", f="get").call(0, "third", None, 2.2, "skipped", f="get")
    assert never(past, StepMoment("third", state=("begun",)), cell) == FAILED_JOIN


def test_a_process_that_a_fault_or_a_step_ended_is_no_failure() -> None:
    """It was to end; a process that its guard ended was not."""
    killed = Past(2).join(0, 0, 1, "died").ends(0, None, 1, signal=9, by="fault kill").join(1, 0, 3)
    assert first_failure(killed.whole()) == ""
    left = Past(2).all_join().call(0, "leave", 1, None, f="exit").ends(0, 1.1, 1.2, status=3)
    assert first_failure(left.whole()) == ""
    guarded = Past(2).join(0, 0, 9, "hung").ends(0, None, 9, signal=9, by="guard").join(1, 0, 3)
    assert first_failure(guarded.whole()) == "rank 0's join hung after 9.00 s"


def test_a_fault_that_met_nobody_names_what_had_failed_before_it() -> None:
    """What failed afterwards is not its cause."""
    cell = plan(faults=(replace(CUT, ranks=(1,)),))
    before = Past(2).join(0, 0, 3).join(1, 0, 1, "failed").fault("cut", 2, 2.5, touched=False)
    assert judge(cell, before.whole()).because == (
        "cut: the fault cut (blackhole) touched nothing; before, rank 1's join raised DistNetworkError after 1.00 s: "
        "reset by peer"
    )
    after = Past(2).join(0, 0, 3).join(1, 0, 2.2, "failed").fault("cut", 2, 2.5, touched=False)
    assert judge(cell, after.whole()).because == "cut: the fault cut (blackhole) touched nothing"


def test_a_check_that_had_nothing_to_judge_names_the_first_failure() -> None:
    """Nobody called anything after the healing, because the job was dead."""
    cell = scenario(step("join"), expect=(CheckClaim("recovers", "recovery", {"within": SECOND}),), faults=(CUT,))
    past = Past(2, subject="command").fault("cut", 0.5, 1).ends(0, 0, 0.4, status=1, log=SAID)
    judgement = judge(cell, past.whole())
    assert (judgement.status, judgement.because) == (
        VACUOUS,
        f"recovers: no rank that a fault touched called anything after the healing; the first failure: {DEAD}",
    )


def test_a_claim_since_a_moment_that_never_came_names_its_cause() -> None:
    """The claim is about rank 1, and rank 0 failed."""
    claim = StepClaim("quick", ("join",), (1,), outcomes=("ok",), within=(None, SECOND), since=CUT.after, line=9)
    cell = scenario(step("join"), expect=(claim,))
    assert judge(cell, failing().whole()).because == (
        f"quick: rank 1's join returned after 3.00 s, but the moment join ok never came: {FAILED_JOIN}"
    )


def test_a_process_that_ends_otherwise_than_claimed_is_told_with_its_last_words() -> None:
    """Of a process that a fault ended nothing is recorded, so nothing is told."""
    claim = StepClaim("leaves", ("exit",), (0,), outcomes=("ok",), line=9)
    cell = scenario(step("join"), expect=(claim,))
    past = Past(2, subject="command").all_join().ends(0, 0, 1, status=1, log=SAID)
    assert judge(cell, past.whole()).because == (
        f"leaves: rank 0's exit ended with status 1, expected ok; its log ends: {SAID}"
    )


def test_a_crash_is_told_with_its_last_words() -> None:
    """What libuv or glibc writes before an abort is the only hint there is."""
    past = Past(2).all_join().ends(0, None, 1, signal=6, by="", log="out of memory")
    assert judge(plan(), past.whole()).because == (
        "no_crash: rank 0 was ended by SIGABRT (signal 6), which the harness did not send; its log ends: out of memory"
    )
