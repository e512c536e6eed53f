"""The steady state: a red verdict stays red unless the machine may be its cause."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import SECOND, Past, scenario, step

from harness.judge.judge import judge
from harness.judge.steady import needs_echo, needs_steady_state
from harness.scenario.scenario import Fault, Known, Scenario, StepClaim
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED

JOINS = StepClaim("joins", ("join",), outcomes=("ok",), line=9)
REFUSED = StepClaim("refused", ("join",), outcomes=("failed",), line=10)
CUT = Fault("cut", "blackhole", (1,), {}, "downstream", line=7)
KNOWN_ENTRY = Known("static", ">=2.6", {}, ("joins",), (REFUSED,), "one lock per client", ("F17",), line=14)
STALL = "the proxy server stood still for 6.00 s, from 1.00 s on"


def plan(*claims: Any, **keys: Any) -> Scenario:
    """A cell with a fault."""
    return scenario(step("join"), expect=claims or (JOINS,), **{"faults": (CUT,), **keys})


def past(outcome: str) -> History:
    """Both joins, with the fault."""
    return Past(2).all_join(0, 2, outcome=outcome).fault("cut", 0.5, 1).whole()


RED = past("failed")


def steady(outcome: str = "ok", subject: str = "static") -> Past:
    """The world without faults; rank 1 joins, and rank 0 like this."""
    return (
        Past(2, subject)
        .join(0, 0, 2, outcome, step="rendezvous")
        .join(1, 0, 1, step="rendezvous")
    )  # fmt: skip


LONELY = "the same world without faults does not join (rank 0's rendezvous raised DistNetworkError after 2.00 s"


def test_only_what_is_red_and_had_faults_needs_a_steady_state() -> None:
    """Not passed, vacuous, known; nor a strict `known` that passed; a scenario without faults is its own."""

    def needs(cell: Scenario, history: History) -> bool:
        return needs_steady_state(cell, judge(cell, history))

    assert needs(plan(), RED)
    assert not needs(plan(faults=()), RED)
    assert not needs(plan(), past("ok"))
    assert not needs(plan(), Past(2).all_join().whole())
    assert not needs(plan(known=(KNOWN_ENTRY,)), past("ok"))
    assert not needs(plan(known=(KNOWN_ENTRY,)), RED)


def test_a_world_that_joins_without_faults_leaves_the_verdict_red() -> None:
    """The subject is to blame, and the sentence is that of the red run."""
    assert judge(plan(), RED, steady().whole()) == judge(plan(), RED)
    assert not needs_echo(plan(), steady().whole())


def test_a_subject_that_never_joins_where_echo_does_is_failed() -> None:
    """It is not the machine; the judgement says where both histories are."""
    alone, echo = steady("failed").whole(), steady(subject="echo").whole()
    assert needs_echo(plan(), alone)
    red, judgement = judge(plan(), RED), judge(plan(), RED, alone, echo)
    assert (judgement.status, judgement.verdicts) == (FAILED, red.verdicts)
    assert judgement.because == (
        f"{red.because}; {LONELY}), and it joins with the subject echo, so the cause is static and not the machine"
    )
    assert judgement.notes == (
        *red.notes, "steady/ has the history of static without faults, steady-echo/ that of echo"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("echo", "because"),
    [
        (steady("failed", "echo").whole(), "rank 0's rendezvous raised DistNetworkError after 2.00 s"),
        (steady(subject="echo").so_far(), "the run was cut short: its history has no end"),
        (steady(subject="echo").whole(error="no proxy"), "no proxy"),
    ],
    ids=["raised", "cut short", "error"],
)
def test_a_world_that_does_not_join_with_echo_either_is_an_error(echo: History, because: str) -> None:
    """Then it may be the machine; so it may where that could not be found out."""
    judgement = judge(plan(), RED, steady("failed").whole(), echo)
    assert judgement.status == ERROR
    assert judgement.because.startswith(
        f"steady state: {LONELY}), and neither does it with the subject echo ({because}), so the red verdict says"
        " nothing; it was: joins: "
    )


def test_a_stored_run_without_a_play_of_echo_is_judged_as_it_was() -> None:
    """Older releases never played it: a world that does not join was an error."""
    judgement = judge(plan(), RED, steady("failed").whole())
    assert judgement.status == ERROR
    assert judgement.because.startswith(f"steady state: {LONELY}), so the red verdict says nothing; it was: joins: ")
    assert judge(plan(faults=()), RED, steady("failed").whole()).status == ERROR


def test_echo_itself_is_not_tried_twice() -> None:
    """There is no simpler subject."""
    alone = steady("failed", "echo").whole()
    assert not needs_echo(plan(), alone)
    assert judge(plan(), RED, alone).status == ERROR


@pytest.mark.parametrize(
    ("alone", "because"),
    [
        (steady().so_far(), "the run was cut short: its history has no end"),
        (steady().whole(error="no proxy"), "no proxy"),
    ],
)
def test_a_steady_state_that_was_cut_short_is_an_error(alone: History, because: str) -> None:
    """The harness is at fault, so no other subject is tried."""
    assert not needs_echo(plan(), alone)
    judgement = judge(plan(), RED, alone)
    assert judgement.status == ERROR
    assert f"({because})" in judgement.because


def test_a_rank_that_never_called_did_not_join() -> None:
    """A missing rank is no join of the world."""
    alone = Past(2).join(0, 0, 1, step="rendezvous").whole()
    assert needs_echo(plan(), alone)
    assert "(rank 1 made no call)" in judge(plan(), RED, alone).because


def test_a_steady_state_in_which_a_part_stood_still_says_so() -> None:
    """The red verdict says nothing then, and neither does the world without faults, so echo is not tried."""
    alone = Past(2).all_join(0, 9, outcome="failed").stall(1, 7).whole()
    assert not needs_echo(plan(), alone)
    judgement = judge(plan(), RED, alone)
    assert judgement.status == ERROR
    assert f", and {STALL}), so the red verdict says nothing" in judgement.because


def test_a_command_s_steady_state_is_that_it_ends_well() -> None:
    """It makes no rendezvous that could be seen; one that fails where echo joins is failed like any subject."""
    ended = Past(2, subject="command", torch=None).fault("cut", 0.5, 1)
    cell = plan(StepClaim("ends", ("exit",), outcomes=("failed",)))
    red = ended.whole()
    assert judge(cell, red, red).status == FAILED
    alone = Past(2, subject="command", torch=None).ends(0, 0, 1, status=2).whole()
    assert needs_echo(cell, alone)
    assert judge(cell, red, alone, steady(subject="echo").whole()).status == FAILED


def test_what_is_not_red_is_judged_without_its_steady_state() -> None:
    """Whatever was stored beside it."""
    green = past("ok")
    alone = steady("failed").whole()
    assert judge(plan(), green, alone, alone) == judge(plan(), green)
    late = plan(StepClaim("timely", ("join",), within=(None, SECOND)))
    busy = Past(2).all_join(0, 9).fault("cut", 0.5, 1).stall(1, 7).whole()
    assert judge(late, busy, alone).status == ERROR
    assert judge(late, busy, alone) == judge(late, busy)


def test_a_judgement_that_became_red_without_a_broken_verdict_stays() -> None:
    """A strict `known` that passed is no statement about a join."""
    cell = plan(known=(KNOWN_ENTRY,))
    gone = judge(cell, past("ok"))
    assert gone.status == FAILED
    assert judge(cell, past("ok"), steady("failed").whole()) == gone
