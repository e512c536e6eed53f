"""No crash: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pasts import Past, scenario, step

from harness.checkers.no_crash import NoCrash
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = NoCrash.declaration.summary
CRASH = step("crash", 1, do="exit", arguments={"code": 3})


def judged(history: History) -> Verdict:
    return NoCrash().check(scenario(step("join"), CRASH), history, {})


def rejected(because: str, *evidence: int) -> Verdict:
    return Verdict("no_crash", FAILED, f"rank 1 {because}", RULE, because, evidence)


def test_processes_that_left_when_asked_did_not_crash() -> None:
    """The plain end of a play."""
    assert judged(Past(2).all_join().whole()) == Verdict("no_crash", PASSED, "2 processes ended as asked", RULE)


def test_a_written_exit_may_have_any_code() -> None:
    """The code of the step is the status that was asked for."""
    past = Past(2).all_join().call(1, "crash", 1.0, 1.0, f="exit", arguments={"code": 3}).ends(1, 1.0, 1.1, status=3)
    assert judged(past.whole()).status == PASSED


def test_the_code_is_taken_from_the_scenario_where_the_history_lacks_it() -> None:
    """An invoke without arguments is no excuse to reject."""
    past = Past(2).all_join().call(1, "crash", 1.0, 1.0, f="exit").ends(1, 1.0, 1.1, status=3)
    assert judged(past.whole()).status == PASSED


def test_a_kill_is_no_crash() -> None:
    """A fault sent the signal."""
    past = Past(2).all_join().ends(1, None, 1.0, signal=9, by="fault kill")
    assert judged(past.whole()).status == PASSED


def test_a_guard_is_no_crash() -> None:
    """That is what `no_hang` is for."""
    past = Past(2).join(1, 0.001, 9.0, "hung").ends(1, None, 9.1, signal=9, by="guard")
    assert judged(past.whole()).status == PASSED


def test_of_a_command_any_status_is_an_exit() -> None:
    """What a command says by its status is for claims to judge."""
    past = Past(2, subject="command", torch=None).ends(0, 0.0, 1.0, status=1).ends(1, 0.0, 1.0)
    assert judged(past.whole()).status == PASSED


def test_a_rank_that_never_came_did_not_crash() -> None:
    """Its end was skipped."""
    past = Past(1).call(1, "exit", None, 3.0, "skipped", value={"because": "the rank never comes"})
    assert judged(past.whole()).because == "1 process ended as asked"


def test_no_end_is_nothing_to_judge() -> None:
    """A history in which no process has ended."""
    assert judged(Past(2).all_join().so_far()).status == VACUOUS


def test_a_signal_that_no_fault_sent_is_rejected() -> None:
    """A segmentation fault in a join."""
    past = Past(2).join(1, 0.001, 0.5, "died").ends(1, None, 0.5, signal=11, by="")
    assert judged(past.whole()) == rejected(
        "was ended by SIGSEGV (signal 11) in join, which the harness did not send", 4
    )


def test_a_signal_to_a_command_is_rejected() -> None:
    """Any status is an exit, a signal is not."""
    past = Past(2, subject="command", torch=None).ends(1, 0.0, 1.0, signal=6)
    assert judged(past.whole()).because == "rank 1 was ended by SIGABRT (signal 6), which the harness did not send"


def test_a_status_that_nobody_asked_for_is_rejected() -> None:
    """An interpreter that broke while it left."""
    past = Past(2).all_join().ends(1, 1.0, 1.1, status=1)
    assert judged(past.whole()) == rejected("ended with status 1, expected 0", 6, 7)


def test_an_end_before_it_was_asked_for_is_rejected() -> None:
    """Something called sys.exit inside a call, with status 0 at that."""
    past = Past(2).join(1, 0.001, 0.5, "died").ends(1, None, 0.5)
    assert judged(past.whole()) == rejected("ended with status 0 in join, and was not asked to end", 4)


def test_another_code_than_the_written_one_is_rejected() -> None:
    """The step said 3."""
    past = Past(2).call(1, "crash", 1.0, 1.0, f="exit", arguments={"code": 3}).ends(1, 1.0, 1.1, status=1)
    assert judged(past.whole()).because == "rank 1 ended with status 1, expected 3"


def test_a_crash_of_a_second_life_names_it() -> None:
    """Each life ends for itself."""
    past = Past(2).ends(1, None, 1.0, signal=9, by="fault kill").ends(1, None, 2.0, life=2, signal=11)
    assert (
        judged(past.whole()).because
        == "rank 1 (life 2) was ended by SIGSEGV (signal 11), which the harness did not send"
    )


AGENTS = replace(scenario(step("join")), world=replace(scenario().world, torchrun={"max_restarts": 1}))


def worker_ended(**how: object) -> Past:
    """Two agents that ended well, and how a worker of rank 1 ended."""
    return Past(2).all_join().worker_ends(1, 1.0, life=2, **how)


@pytest.mark.parametrize("how", [{"status": 1, "by": ""}, {"signal": 15, "by": "agent"}, {"by": "agent"}])
def test_a_worker_ends_with_any_status_and_by_its_agent(how: dict[str, object]) -> None:
    """An agent restarts a worker that failed, and ends one that it no longer wants."""
    assert NoCrash().check(AGENTS, worker_ended(**how).whole(), {}).status == PASSED


@pytest.mark.parametrize("number", [9, 11])
def test_a_worker_that_ended_by_a_signal_of_nobody_crashed(number: int) -> None:
    """Out of memory, or a segmentation fault: a crash, even if the agent continues."""
    verdict = NoCrash().check(AGENTS, worker_ended(signal=number, by="").whole(), {})
    assert (verdict.status, verdict.because) == (
        FAILED,
        f"the worker of rank 1 life 2 was ended by signal {number}, and neither its agent nor a fault sent it",
    )


def test_an_agent_may_end_with_any_status() -> None:
    """It says how its worker did."""
    assert NoCrash().check(AGENTS, Past(2).all_join().ends(1, 0.1, 2.0, status=1).whole(), {}).status == PASSED
