"""Nothing left behind: histories it accepts, and histories it rejects."""

from __future__ import annotations

from pasts import Past, scenario

from harness.checkers.nothing_left_behind import NothingLeftBehind
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, PASSED, Verdict

RULE = NothingLeftBehind.declaration.summary


def judged(history: History) -> Verdict:
    return NothingLeftBehind().check(scenario(), history, {})


def test_nothing_left_is_accepted() -> None:
    """The harness looked and saw nothing."""
    past = Past().left(processes=[], sockets=[], proxies=[])
    assert judged(past.whole()) == Verdict("nothing_left_behind", PASSED, "nothing was left after 1.00 s", RULE)


def test_kinds_that_were_not_looked_for_are_not_left() -> None:
    """A world without a proxy lists none."""
    assert judged(Past().left(processes=[]).whole()).status == PASSED


def test_a_stray_process_is_rejected() -> None:
    """It is named."""
    verdict = judged(Past().left(processes=["4711 python train.py"], sockets=[]).whole())
    assert verdict == Verdict(
        "nothing_left_behind",
        FAILED,
        "1.00 s after the play there were still processes: 4711 python train.py",
        RULE,
        "processes: 4711 python train.py",
        (6,),
    )


def test_sockets_and_proxies_are_rejected() -> None:
    """All kinds come in one sentence."""
    verdict = judged(Past().left(sockets=["127.0.0.1:29500"], proxies=["rank-1"]).whole())
    assert verdict.happened == "sockets: 127.0.0.1:29500 and proxies: rank-1"


def test_a_look_that_was_not_taken_is_no_pass() -> None:
    """It is an error of the harness."""
    assert judged(Past().all_join().so_far()).status == ERROR
