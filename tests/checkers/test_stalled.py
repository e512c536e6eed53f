"""A part of the harness stood still: what that can explain is an error, and what it cannot stays failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pasts import RUNTIME, SECOND, Past, at, scenario, step

from harness.checkers.base import CHECKERS, Finding, late, unless_stalled
from harness.checkers.claims import judge_claim
from harness.history.stalls import STARVED_NS
from harness.scenario.moment import StepMoment
from harness.scenario.scenario import AnyClaim, CheckClaim, Claim, StepClaim
from harness.values.stall import WAITED
from harness.values.verdict import ERROR, FAILED, PASSED, Verdict

PLAN = scenario(
    step("join"), step("get", 1, do="get"), step("add", 1, do="add"), step("five", 1, do="get", times=5)
)  # fmt: skip
(CALL,) = Past().call(0, "get", 0, 9).so_far().calls
OK = StepClaim("ok", ("join",), outcomes=("ok",))


def claim(*steps: str, **keys: Any) -> StepClaim:
    return StepClaim("claimed", steps, **keys)


def check(kind: str, **parameters: Any) -> CheckClaim:
    return CheckClaim(kind, kind, parameters)


def judged(past: Past, claimed: Claim) -> Verdict:
    return judge_claim(PLAN, past.whole(), claimed)


def joined() -> Past:
    return Past(2).all_join()


EXPLAINED: Mapping[str, tuple[Any, Claim]] = {
    "raised": (lambda: Past(2).join(0, 0, 9).join(1, 0, 9, "failed"), OK),
    "hung": (lambda: Past(2).join(0, 0, 9).join(1, 0, 9, "hung"), OK),
    "skipped": (lambda: Past(2).join(0, 0, 9).join(1, None, 9, "skipped"), OK),
    "returned where it should raise": (lambda: Past(2).all_join(0, 9), claim("join", outcomes=("failed",))),
    "never began": (joined, claim("get", outcomes=("ok",))),
    "called too seldom": (lambda: joined().call(1, "five", 1, 9, f="get"), claim("five", outcomes=("ok",))),
    "raised another class": (
        lambda: joined().call(1, "get", 2, 9, "failed", error=RUNTIME),
        claim("get", outcomes=("failed",), errors=("DistStoreError",)),
    ),
    "raised without the text": (
        lambda: joined().call(1, "get", 2, 9, "failed", error=RUNTIME),
        claim("get", outcomes=("failed",), messages=("timed out",)),
    ),
    "late": (lambda: joined().call(1, "get", 2, 9), claim("get", within=(None, SECOND // 2))),
    "early": (lambda: joined().call(1, "get", 6, 6.1), claim("get", within=(SECOND, 2 * SECOND))),
    "since a moment that never came": (
        lambda: joined().call(1, "get", 2, 9),
        claim("get", within=(None, SECOND), since=StepMoment("five")),
    ),
    "too few as claimed": (
        lambda: joined().call(1, "get", 2, 9, "failed"),
        claim("get", outcomes=("ok",), count=(1, 1)),
    ),
    "too many as claimed": (
        lambda: joined().call(1, "get", 2, 9, "failed"),
        claim("get", outcomes=("failed",), count=(0, 0)),
    ),
    "a value that depends on the order of calls": (
        lambda: joined().call(1, "add", 2, 9, value=1),
        claim("add", outcomes=("ok",), value=2),
    ),
    "none of several claims": (
        lambda: joined().call(1, "get", 2, 9, "failed"),
        AnyClaim("any", (claim("get", outcomes=("ok",)), claim("get", outcomes=("died",)))),
    ),
    "deadline": (lambda: Past(2).all_join(0, 9), check("deadline", slack=0)),
    "no_hang": (lambda: Past(2).all_join(0, 9, outcome="hung"), check("no_hang")),
    "no_hang, between calls": (
        lambda: joined().ends(1, 1.0, 10.0, signal=9, by="guard"),
        check("no_hang"),
    ),
    "recovery, failed": (
        lambda: joined().fault("cut", 1, 2).call(1, "get", 7, 9, "failed"),
        check("recovery", within=SECOND),
    ),
    "recovery, late": (
        lambda: joined().fault("cut", 1, 2).call(1, "get", 2, 9),
        check("recovery", within=SECOND // 2),
    ),
    "together": (lambda: Past(2).join(0, 0, 9).join(1, 0, 9, "failed"), check("together")),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_a_stall_explains_is_an_error_that_names_the_part(name: str) -> None:
    """Without it, and with one that came afterwards, the same history is failed."""
    past, claimed = EXPLAINED[name]
    assert judged(past(), claimed).status == FAILED
    verdict = judged(past().stall(2, 8), claimed)
    assert verdict.status == ERROR
    assert "the proxy server stood still for 6.00 s, from 2.00 s on, which can explain it" in verdict.because
    assert judged(past().stall(-8, -2), claimed).status == FAILED


def _overtaken(past: Past) -> Past:
    return past.join(1, 0, 7).join(0, 8, 9)


CERTAIN: Mapping[str, tuple[Any, Claim]] = {
    "a wrong value": (lambda: joined().call(1, "get", 2, 9, value="x"), claim("get", outcomes=("ok",), value="y")),
    "a wrong rank": (lambda: Past(2).all_join(0, 9), claim("join", outcomes=("ok",), value={"world_size": 3})),
    "agreement": (lambda: Past(2).join(0, 0, 9).join(1, 0, 9, as_rank=0), check("agreement")),
    "no_crash": (lambda: Past(2).join(0, 0, 9).ends(1, None, 9, signal=11), check("no_crash")),
    "together, early": (lambda: _overtaken(Past(2)), check("together")),
    "error_contract": (
        lambda: Past(2).all_join(0, 9, outcome="failed", error=RUNTIME),
        check("error_contract"),
    ),
    "store_reuse": (
        lambda: Past(2).join(0, 0, 1, returned=_listens(1)).join(0, 8, 9, step="again", returned=_listens(2)),
        check("store_reuse", handlers=None),
    ),
    "nothing_left_behind": (lambda: joined().left(processes=["7 python"]), check("nothing_left_behind")),
    "prefix_isolation": (
        lambda: (
            Past(2)
            .join(0, 0, 1, run_id="a")
            .join(1, 0, 1, run_id="b")
            .call(0, "set", 1, 2, f="set", arguments={"key": "k", "value": "v"}, run_id="a")
            .call(1, "get", 7, 9, f="get", arguments={"key": "k"}, value="v", run_id="b")
        ),
        check("prefix_isolation"),
    ),
}


def _listens(inode: int) -> dict[str, Any]:
    return {"listeners": [{"inode": inode, "address": "127.0.0.1", "port": 29500}]}


@pytest.mark.parametrize("name", CERTAIN)
def test_what_no_stall_explains_stays_failed(name: str) -> None:
    """The verdict is the same with it and without."""
    past, claimed = CERTAIN[name]
    verdict = judged(past(), claimed)
    assert verdict.status == FAILED
    after = judged(past().stall(2, 8), claimed)
    assert (after.status, after.because) == (FAILED, verdict.because)


@pytest.mark.parametrize("name", ["deadline", "no_hang", "agreement", "no_crash", "together"])
def test_a_green_stays_green(name: str) -> None:
    """However long a part stood still."""
    assert judged(joined().stall(0, 20), check(name, slack=SECOND)).status == PASSED
    assert judged(joined().stall(0, 20), OK).status == PASSED


def test_a_certain_finding_decides_beside_one_that_a_stall_explains() -> None:
    """Rank 0's call failed before the part stood still, rank 1's while it did."""
    past = Past(2).join(0, 0, 1, "failed").join(1, 0, 9, "failed").stall(2, 8)
    assert judged(past, OK).status == FAILED


def test_a_short_wait_for_a_processor_explains_no_failure() -> None:
    """A busy machine must not turn certain reds into errors; a wait of half a second is not everyday."""
    failing = Past(2).join(0, 0, 9).join(1, 0, 9, "failed")
    assert judged(failing.stall(2, 2.4, how=WAITED), OK).status == FAILED
    assert judged(failing.stall(2, 2 + STARVED_NS / SECOND, how=WAITED), OK).status == ERROR


def test_a_bound_missed_by_more_than_a_part_stood_still_may_be_its_fault() -> None:
    """A back-off that it causes takes longer than itself."""
    history = Past().stall(1, 1.1).so_far()
    missed = late(history, CALL, (at(0), at(9)), 5 * SECOND, "it was late", happened="late")
    assert (missed.busy, missed.happened) == (True, "late")
    assert missed.because.startswith("it was late; the proxy server stood still for 100 ms, from 1.00 s on")


def test_a_finding_without_a_stall_is_a_plain_one() -> None:
    """With what it was given."""
    plain = Finding("it failed", "failed", (1,))
    assert unless_stalled(Past().so_far(), (at(0), at(9)), "it failed", happened="failed", evidence=(1,)) == plain


def test_the_safety_checkers_are_those_that_time_cannot_break() -> None:
    """What they find is proof, however long anything took."""
    safe = {kind for kind, member in CHECKERS.items() if member.safety}
    assert safe == {
        *("add_once", "agreement", "join_identity", "linearizable", "no_crash", "prefix_isolation", "store_reuse")
    }
