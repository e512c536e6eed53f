"""Invariants: what it asks, and how it puts the answers together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pasts import Past, scenario

from harness.checkers.base import CHECKERS, explored_invariants
from harness.checkers.invariants import Invariants
from harness.checkers.linearizable import Linearizable
from harness.loader import load_text
from harness.values.errors import ScenarioError
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

PLAN = scenario(size=3)
RULE = Invariants.declaration.summary


def judged(history: History, **parameters: Any) -> Verdict:
    return Invariants().check(PLAN, history, parameters)


def broken() -> Past:
    """Rank 2's set hangs, and an add counts twice."""
    past = Past(3).all_join().call(2, "set", 1, 9, "hung")
    return past.call(1, "add", 2, 2.1, arguments={"key": "k", "amount": 1}, value=2)


def test_a_run_in_which_everything_holds_passes() -> None:
    """Those that had nothing to judge are not named."""
    past = Past(3).all_join().call(2, "set", 1, 1.1)
    held = "3 checks held: deadline, fresh_join and unaffected"
    assert judged(past.whole()) == Verdict("invariants", PASSED, held, RULE)


def test_each_violation_keeps_the_name_of_its_check() -> None:
    """The sentence begins with that of the first."""
    verdict = judged(broken().whole())
    assert [one.check for one in verdict.violations] == ["add_once", "deadline", "linearizable", "unaffected"]
    assert verdict.status == FAILED
    assert verdict.because.startswith("add_once: rank 1's add returned 2, while 1 add had been done")
    assert verdict.because.endswith("(and 3 more)")
    assert set(verdict.evidence) == {index for one in verdict.violations for index in one.evidence}


def test_what_is_left_out_is_not_asked() -> None:
    """By its kind."""
    verdict = judged(broken().whole(), without=("add_once", "linearizable", "unaffected"))
    assert [one.check for one in verdict.violations] == ["deadline"]
    assert judged(broken().whole(), without=explored_invariants()).status == VACUOUS


def test_nothing_to_judge_is_vacuous() -> None:
    """Nobody called anything."""
    assert judged(Past().whole()) == Verdict("invariants", VACUOUS, "no check had anything to judge", RULE)


def test_what_cannot_be_decided_is_an_error_unless_something_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the harness stood still; a checker does not know."""
    past = Past(3).all_join().stall(0.5, 0.9).call(2, "set", 1, 1.1, "failed")
    verdict = judged(past.whole())
    assert verdict.status == ERROR
    assert verdict.because.startswith("unaffected: rank 2's set raised DistNetworkError")
    unknown = Verdict("linearizable", ERROR, "unknown: too long")
    monkeypatch.setattr(Linearizable, "explore", lambda *_: unknown)
    assert judged(Past(3).all_join().whole()).because == "linearizable: unknown: too long"
    assert [one.check for one in judged(broken().whole()).violations] == ["add_once", "deadline", "unaffected"]


def test_a_bound_that_holds_with_the_lateness_measured_is_told() -> None:
    """The verdict says by how much."""
    verdict = judged(Past(3).all_join().call(2, "set", 1, 2.2, lag=0.3).whole())
    assert (verdict.status, verdict.granted_ns) == (PASSED, 200_000_000)
    assert "missed by 200 ms" in verdict.because


FILE = """\
schema: rdzv-scenario/v1
title: Everybody joins, and everything holds
world: {{size: 2, timeout: 1s}}
workload:
  - {{do: rendezvous}}
expect:
  - {{check: invariants, without: {kinds}}}
"""


def test_a_kind_that_it_does_not_ask_is_an_error_of_the_file() -> None:
    """A misspelled kind would silently leave nothing out; standing ones are waived in another way."""
    for kind in ("deadlines", "recovery", "no_hang"):
        with pytest.raises(ScenarioError) as raised:
            load_text(FILE.format(kinds=f"[{kind}]"), Path("a.rdzv.yaml"))
        assert f"a.rdzv.yaml:7:5: `without` has '{kind}', which `invariants` does not ask" in str(raised.value)
        assert "it asks add_once, closing, deadline, " in str(raised.value)
    assert judged(Past(3).all_join().whole(), without=("no_hang",)).status == ERROR


def test_kinds_are_written_as_one_text_or_as_a_list() -> None:
    """As other lists of keys are."""
    for kinds in ("deadline", "[deadline, together]"):
        (loaded,) = load_text(FILE.format(kinds=kinds), Path("a.rdzv.yaml"))
        assert judged(Past(3).all_join().whole(), **loaded.expect[0].parameters).status == PASSED  # type: ignore[union-attr]


def test_it_does_not_ask_itself_or_what_judges_every_run() -> None:
    """Else each run would be judged twice, or for ever."""
    assert not any(CHECKERS[kind].standing for kind in explored_invariants())
    assert "invariants" not in explored_invariants()
