"""Histories recorded with torch 2.15.0 and a real toxiproxy-server, judged again without either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.archive import read_ops
from harness.checkers.linearizable import Linearizable
from harness.judge.judge import judge
from harness.loader import load_text
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.verdict import FAILED, KNOWN, PASSED, VACUOUS, Judgement

RECORDED = Path(__file__).parent / "recorded"
NAMES = sorted(path.stem for path in RECORDED.glob("*.jsonl"))


def history(name: str) -> History:
    return History.of(read_ops(RECORDED / f"{name}.jsonl"))


def plan(name: str) -> Scenario:
    """The scenario that was played; not named *.rdzv.yaml, so that nobody plays it again."""
    (scenario,) = load_text((RECORDED / f"{name}.yaml").read_text(), Path(f"{name}.rdzv.yaml"))
    return scenario


def judged(name: str) -> Judgement:
    return judge(plan(name), history(name))


def broken(judgement: Judgement) -> dict[str, str]:
    return {verdict.name: verdict.because for verdict in judgement.verdicts if verdict.status == FAILED}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_history_survives_being_written_again(name: str) -> None:
    """Line by line what was read."""
    lines = (RECORDED / f"{name}.jsonl").read_text().splitlines()
    assert [op.to_json() for op in history(name)] == [json.loads(line) for line in lines]


def test_a_clean_join_passed() -> None:
    """Three ranks, a key, and nothing broken."""
    judgement = judged("clean-join")
    assert (judgement.status, judgement.broken, judgement.unnamed_calls) == (PASSED, (), 1)


def test_a_retried_join_is_the_known_failure() -> None:
    """F05: the second try stood in for rank 2."""
    judgement = judged("retried-join")
    assert (judgement.status, judgement.known_refs) == (KNOWN, ("F05",))
    assert broken(judgement)["agreement"] == (
        "rank 0, the master of run train, returned a world of 3 before rank 2 had begun to join"
    )


def test_two_jobs_on_one_port_are_the_known_failure() -> None:
    """F07: job a's master was completed by job b's worker."""
    judgement = judged("two-jobs-on-one-port")
    assert (judgement.status, set(broken(judgement))) == (KNOWN, {"a-alone", "b-told", "agreement"})


def test_a_second_round_that_sees_the_first_is_rejected() -> None:
    """F25, for the same reason as the claim."""
    assert broken(judged("second-round")) == {
        "peek": "rank 1's peek returned True, expected False",
        "prefix_isolation": (
            "rank 1's peek (run train, round 2) saw key 'x', which is not its own: rank 0's put (run train, round 1)"
            " wrote it"
        ),
    }


def test_a_second_tenant_that_does_not_wait_is_rejected() -> None:
    """F08; but it did share the socket."""
    judgement = judged("second-tenant")
    assert set(broken(judgement)) == {"agreement", "waits"}
    assert judgement.verdicts[0].because == "one listening socket served every join"


def test_a_muted_link_hangs_for_good() -> None:
    """F02: the guard ended it, and the report says where the stacks are."""
    judgement = judged("muted-link")
    assert (
        judgement.because
        == "no_hang: rank 1's stuck hung: its guard ended it after 3.00 s; stacks: stacks/rank-1.life-1.txt"
    )
    assert set(broken(judgement)) == {"no_hang", "in-time", "deadline"}


def test_a_fault_that_touched_nothing_proved_nothing() -> None:
    """Its link carried nothing while it was in place."""
    judgement = judged("untouched-fault")
    assert (judgement.status, judgement.verdicts[0].name) == (VACUOUS, "late")


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_history_that_is_cut_short_is_an_error(name: str) -> None:
    """Without its last line nobody knows whether it was whole."""
    ops = history(name).ops
    assert judge(plan(name), History.of(ops[:-1])).status == "error"


@pytest.mark.parametrize(
    ("key", "model", "impossible"),
    [
        ("register", "a register", "rank 2's seen found 'register' missing"),
        ("log", "an append", "rank 2's read-log got '2' from 'log'"),
        ("queue", "a queue", "rank 2's pop took '2' from 'queue'"),
        ("leader", "a compare_set", "rank 2's lead compared 'leader' with '' to set '2' and returned '2'"),
        ("counter", "a counter", "rank 2's count added 1 to 'counter' and returned 1"),
        ("b", "a multi_set", "rank 2's delete deleted 'b' and returned False"),
    ],
)
def test_writes_that_came_late_are_rejected_by_each_model(key: str, model: str, impossible: str) -> None:
    """F10: each kind of write had returned before another rank looked; without `strict` torch promises no more."""
    played, past = plan("slow-writes"), history("slow-writes")
    verdict = Linearizable().check(played, past, {"keys": [key], "strict": True})
    assert (verdict.status, verdict.happened) == (FAILED, impossible), model
    assert Linearizable().check(played, past, {"keys": [key]}).status == PASSED


def test_a_play_with_writes_that_came_late_is_the_known_failure() -> None:
    """All six models are broken in one verdict."""
    judgement = judged("slow-writes")
    assert (judgement.status, judgement.known_refs) == (KNOWN, ("F10",))
    assert broken(judgement)["linearizable"].endswith("(and 5 more)")
