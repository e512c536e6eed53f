"""The judgement: every status, in its order, and every rule of `known`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pasts import SECOND, Past, scenario, step

from harness.checkers.base import CHECKERS, Checker
from harness.judge.judge import judge, judge_skipped
from harness.judge.known import judge_known
from harness.judge.steady import needs_steady_state
from harness.scenario.scenario import AnyClaim, CheckClaim, Fault, Known, Scenario, StepClaim
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op, Process
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, STATUSES, VACUOUS, Judgement, Verdict

JOINS = StepClaim("joins", ("join",), outcomes=("ok",), line=9)
REFUSED = StepClaim("refused", ("join",), outcomes=("failed",), line=10)
CUT = Fault("cut", "blackhole", (1,), {}, "downstream", line=7)
STANDING = (
    "agreement", "idle_wait", "no_crash", "no_hang", "no_leak", "no_storm", "nothing_left_behind", "prefix_isolation"
)  # fmt: skip


def plan(*claims: Any, **keys: Any) -> Scenario:
    return scenario(step("join"), expect=claims or (JOINS,), **keys)


def names(judgement: Judgement, status: str) -> list[str]:
    return [verdict.name for verdict in judgement.verdicts if verdict.status == status]


def failing() -> Past:
    """Both joins raise: a broken claim, and no broken invariant."""
    return Past(2).all_join(0, 2, outcome="failed")


# -- passed and failed -------------------------------------------------------------------------------------------


def test_a_cell_whose_claims_hold_passed() -> None:
    """The whole judgement: claims in the order of the file, invariants last."""
    judgement = judge(plan(), Past(2).all_join().whole())
    assert (judgement.status, judgement.because) == (PASSED, "1 claim and the standing invariants hold")
    assert [verdict.name for verdict in judgement.verdicts] == ["joins", *STANDING]
    assert judgement.broken == ()
    assert judgement == Judgement.from_json(judgement.to_json())


def test_a_broken_claim_fails_the_cell() -> None:
    """With the claim's name, line and evidence."""
    judgement = judge(plan(), failing().whole())
    assert (judgement.status, judgement.because) == (
        FAILED,
        "joins: rank 0's join raised DistNetworkError after 2.00 s: reset by peer, expected ok (and 1 more)",
    )
    assert judgement.broken == (judgement.verdicts[0],)
    assert (judgement.broken[0].line, judgement.broken[0].evidence) == (9, (2, 4, 3, 5))


def test_a_broken_invariant_fails_the_cell_whatever_else() -> None:
    """Though every claim holds; and also where the premise is missing."""
    hung = Past(2).join(0, 0, 1).join(1, 0, 9, "hung")
    claim = replace(JOINS, ranks=(0,))
    assert judge(plan(claim), hung.whole()).because == "no_hang: rank 1's join hung: its guard ended it after 9.00 s"
    judgement = judge(plan(claim, faults=(CUT,)), Past(2).join(0, 0, 1).join(1, 0, 9, "hung").whole())
    assert (judgement.status, names(judgement, VACUOUS)) == (FAILED, ["cut"])


def test_a_waived_invariant_does_not_count() -> None:
    """But the report says that it was waived, and that it was broken."""
    past = Past(2).all_join().left(sockets=["127.0.0.1:29500"])
    judgement = judge(plan(waived={"nothing_left_behind": "a muted socket lingers"}), past.whole())
    assert judgement.status == PASSED
    assert "nothing_left_behind" not in [verdict.name for verdict in judgement.verdicts]
    assert judgement.notes == (
        "nothing_left_behind is waived: a muted socket lingers; it was broken: 1.00 s after the play there were still"
        " sockets: 127.0.0.1:29500",
    )


def test_an_invariant_with_nothing_to_judge_holds() -> None:
    """Nobody returned, so nobody disagrees."""
    judgement = judge(plan(REFUSED), failing().whole())
    assert judgement.status == PASSED
    assert Verdict("agreement", PASSED, "no rendezvous returned", CHECKERS["agreement"].declaration.summary) in (
        judgement.verdicts
    )


def test_calls_that_no_claim_names_are_counted() -> None:
    """Begun ones; neither the ends of processes nor skipped calls."""
    claims = (replace(JOINS, ranks=(0,)), AnyClaim("either", (replace(JOINS, steps=("get",), ranks=(0,)),)))
    cell = scenario(step("join"), step("get", do="get"), expect=claims)
    past = Past(2).all_join().call(0, "get", 1, 2).call(1, "get", 1, 2).call(1, "get", None, 3, "skipped", number=2)
    assert judge(cell, past.whole()).unnamed_calls == 2


# -- vacuous -----------------------------------------------------------------------------------------------------


def test_a_fault_that_was_never_injected_makes_the_cell_vacuous() -> None:
    """Its moment never came, or there was nobody to hit; claims are not judged then."""
    cell = plan(REFUSED, faults=(CUT,))
    judgement = judge(cell, Past(2).all_join().whole())
    assert (judgement.status, judgement.because) == (
        VACUOUS,
        "cut: the fault cut (blackhole) was never injected: its moment never came",
    )
    assert [verdict.name for verdict in judgement.verdicts] == ["cut", *STANDING]
    refused = judge(cell, Past(2).all_join().fault("cut", None, None).whole())
    assert refused.because == "cut: the fault cut (blackhole) was never injected: no living process"


def test_a_fault_that_touched_nothing_makes_the_cell_vacuous() -> None:
    """With the facts, and the operations that prove it."""
    past = Past(2).all_join().fault("cut", 1, 2, touched=False, facts={"connections": 0, "bytes": 0})
    judgement = judge(plan(faults=(CUT,)), past.whole())
    assert (judgement.status, judgement.verdicts[0]) == (
        VACUOUS,
        Verdict(
            "cut",
            VACUOUS,
            "the fault cut (blackhole) touched nothing (connections 0, bytes 0)",
            "blackhole is injected and touches something",
            "touched nothing (connections 0, bytes 0)",
            (6, 7),
            7,
        ),
    )


def test_a_fault_whose_touch_cannot_be_read_is_unproven() -> None:
    """No reason to call the cell vacuous; a note says so."""
    judgement = judge(plan(faults=(CUT,)), Past(2).all_join().fault("cut", 0.001, 2, touched=None).whole())
    assert judgement.status == PASSED
    assert judgement.notes == ("unproven: whether cut touched anything cannot be measured",)


def test_a_check_with_nothing_to_judge_makes_the_cell_vacuous() -> None:
    """Even though another claim is broken."""
    judgement = judge(plan(REFUSED, CheckClaim("reuse", "store_reuse", {}, line=11)), Past(2).all_join().whole())
    assert (judgement.status, names(judgement, VACUOUS), names(judgement, FAILED)) == (VACUOUS, ["reuse"], [])


# -- error -------------------------------------------------------------------------------------------------------


def test_a_history_without_end_is_an_error() -> None:
    """The run was cut short; nothing in it is judged."""
    because = "the run was cut short: its history has no end"
    assert judge(plan(), Past(2).all_join().so_far()) == Judgement(ERROR, because)
    assert judge(plan(), History()) == Judgement(ERROR, because)


def test_an_error_of_the_harness_is_an_error() -> None:
    """It is the reason, word for word."""
    assert judge(plan(), failing().whole(error="ProxyLost: 503")) == Judgement(ERROR, "ProxyLost: 503")


def test_a_run_that_found_something_unsupported_is_skipped() -> None:
    """As it was when it was played."""
    judgement = judge(plan(), Past(2).whole(unsupported=["file_limit", "needs prlimit"]))
    assert judgement == Judgement(SKIPPED, "file_limit: needs prlimit")


def test_a_bound_missed_while_a_part_stood_still_is_an_error() -> None:
    """Also where another claim is broken for certain, and before a broken invariant."""
    timely = StepClaim("timely", ("join",), ranks=(1,), within=(None, 2 * SECOND))
    past = Past(2).join(0, 0, 0.5, "hung").join(1, 0, 2.5).stall(0.6, 0.7)
    judgement = judge(plan(JOINS, timely), past.whole())
    assert (judgement.status, names(judgement, ERROR)) == (ERROR, ["timely"])
    assert names(judgement, FAILED) == ["joins", "no_hang"]


def test_a_bound_that_holds_with_the_lateness_measured_passes_with_a_note() -> None:
    """A reader sees that it held by this alone."""
    timely = StepClaim("timely", ("join",), ranks=(1,), within=(None, 2 * SECOND))
    judgement = judge(plan(JOINS, timely), Past(2).join(0, 0, 1).join(1, 0, 2.05, lag=0.1).whole())
    assert judgement.status == PASSED
    (note,) = judgement.notes
    assert note.startswith("timely holds with the lateness measured: rank 1's join returned after 2.05 s")
    assert note.endswith("missed by 50 ms, and rank 1 waited 100 ms for a processor")


class _Crashing(Checker):
    declaration = Declaration("crashing", "it crashes")

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        raise ZeroDivisionError("division by zero")


@pytest.fixture
def crashing() -> Iterator[None]:
    """A checker that is broken."""
    CHECKERS.register("crashing")(_Crashing)
    yield
    del CHECKERS._members["crashing"]


@pytest.mark.usefixtures("crashing")
def test_a_checker_that_crashes_is_an_error() -> None:
    """Never passed."""
    judgement = judge(plan(JOINS, CheckClaim("broken", "crashing", {}, line=3)), Past(2).all_join().whole())
    assert (judgement.status, judgement.because) == (
        ERROR,
        "broken: the checker crashed: ZeroDivisionError: division by zero; report this as a defect of the harness",
    )


def test_a_checker_that_is_not_installed_is_an_error_in_its_own_words() -> None:
    """A stored run may name a checker whose package is gone: that is no defect of the harness."""
    judgement = judge(plan(JOINS, CheckClaim("swiftly", "no_hung", {}, line=3)), Past(2).all_join().whole())
    assert (judgement.status, judgement.because) == (
        ERROR,
        "swiftly: there is no check 'no_hung'; did you mean 'no_hang'?",
    )


def test_what_the_harness_cannot_judge_is_an_error_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checker too."""

    def refuse(_scenario: Scenario, _history: History) -> tuple[Known, ...]:
        raise HarnessError("this history is of a later version; update the harness")

    monkeypatch.setattr("harness.judge.judge.entries_that_fit", refuse)
    assert judge(plan(), Past(2).all_join().whole()) == Judgement(
        ERROR, "this history is of a later version; update the harness"
    )


# -- skipped -----------------------------------------------------------------------------------------------------


def test_what_is_lacking_skips_the_cell_by_name() -> None:
    """`--require` turns it into an error."""
    assert judge_skipped("world.torchrun", "not yet", required=False) == Judgement(SKIPPED, "world.torchrun: not yet")
    assert judge_skipped("torch", "has 2.5", required=True) == Judgement(
        ERROR, "torch: has 2.5; --require says that torch must be there"
    )


# -- parts of the harness that stood still -----------------------------------------------------------------------

STALL = "the proxy server stood still for 6.00 s, from 1.00 s on"


def test_a_failure_that_a_stall_explains_is_an_error_and_needs_no_steady_state() -> None:
    """It names the part, how long it stood still, and what to do."""
    past = Past(2).all_join(0, 9, outcome="failed").stall(1, 7)
    judgement = judge(plan(), past.whole())
    assert judgement.status == ERROR
    assert f"expected ok; {STALL}, which can explain it; find out what stopped it" in judgement.because
    assert judgement.notes == (STALL,)
    assert not needs_steady_state(plan(faults=(CUT,)), judgement)


def test_a_green_stays_green_with_a_note() -> None:
    """Every call was as claimed all the same."""
    judgement = judge(plan(), Past(2).all_join().stall(1, 7).whole())
    assert (judgement.status, judgement.notes) == (PASSED, (STALL,))


def test_a_part_that_stood_still_often_has_one_note() -> None:
    """From how long to how long, how often, and since when; a note differs from another one in more than numbers."""
    past = Past(2).all_join().stall(1, 7).stall(8, 9).stall(10, 12, "the zygote")
    note = "the proxy server stood still for 1.00 s to 6.00 s, 2 times, the first from 1.00 s on"
    judgement = judge(plan(), past.whole())
    assert judgement.notes == (note, "the zygote stood still for 2.00 s, from 10.00 s on")


def test_broken_safety_stays_failed_whatever_stood_still() -> None:
    """Also where a claim is an error, and also if the invariant is a claim of its own."""
    past = Past(2).join(0, 0, 1, "failed").join(1, 0, 9, "failed").ends(1, None, 9, signal=11).stall(1, 7)
    judgement = judge(plan(REFUSED, StepClaim("late", ("join",), within=(None, SECOND))), past.whole())
    assert (judgement.status, names(judgement, ERROR)) == (FAILED, ["late"])
    assert judgement.because.startswith("no_crash: rank 1 was ended by SIGSEGV (signal 11)")
    claimed = judge(plan(CheckClaim("own", "no_crash", {}), waived={"no_crash": "it may"}), past.whole())
    assert (claimed.status, claimed.because[:4]) == (FAILED, "own:")


@pytest.mark.parametrize(
    "past",
    [
        Past(2).all_join(),
        Past(2).all_join().fault("cut", None, None),
        Past(2).all_join().fault("cut", 1, 2, touched=False),
    ],
    ids=["never came", "refused", "touched nothing"],
)
def test_a_premise_that_is_missing_after_a_stall_is_an_error(past: Past) -> None:
    """The fault may have come too late, or met nothing because nothing passed."""
    judgement = judge(plan(faults=(CUT,)), past.stall(0.5, 7).whole())
    assert judgement.status == ERROR
    assert "which can explain it" in judgement.because


def test_a_check_without_anything_to_judge_after_a_stall_is_an_error() -> None:
    """Nobody called anything after the healing, perhaps because nobody could."""
    claims = (JOINS, CheckClaim("recovers", "recovery", {"within": SECOND}))
    assert judge(plan(*claims), Past(2).all_join().whole()).status == VACUOUS
    assert judge(plan(*claims), Past(2).all_join().stall(1, 7).whole()).status == ERROR


# -- known -------------------------------------------------------------------------------------------------------

KNOWN_ENTRY = Known("static", ">=2.6", {}, ("joins",), (REFUSED,), "one lock per client", ("F17",), line=14)


def known(*entries: Known, history: History | None = None, **keys: Any) -> Judgement:
    return judge(plan(known=entries or (KNOWN_ENTRY,), **keys), history or failing().whole())


def test_exactly_the_known_failure_is_known() -> None:
    """The claims in `breaks` break, no other, and what is said happens instead."""
    judgement = known()
    assert (judgement.status, judgement.because, judgement.known_refs) == (
        KNOWN,
        "one lock per client (breaks joins)",
        ("F17",),
    )
    assert names(judgement, FAILED) == ["joins"]


def test_passing_where_a_known_failure_fits_is_failed() -> None:
    """Strict, so that a repair upstream shows itself."""
    judgement = known(history=Past(2).all_join().whole())
    assert (judgement.status, judgement.because) == (
        FAILED,
        "it passed, but line 14 says that joins would break (one lock per client); delete the entry",
    )


def test_a_claim_that_breaks_beside_the_known_ones_is_failed() -> None:
    """And the report says which."""
    other = StepClaim("quick", ("join",), within=(None, SECOND))
    judgement = judge(plan(JOINS, other, known=(KNOWN_ENTRY,)), failing().whole())
    assert judgement.status == FAILED
    assert judgement.because.endswith("; not the known failure of line 14: quick broke too")


def test_a_known_break_that_does_not_break_is_failed() -> None:
    """A claim that holds again, while another still breaks."""
    entry = replace(KNOWN_ENTRY, breaks=("joins", "no_hang"))
    judgement = known(entry)
    assert judgement.status == FAILED
    assert judgement.because.endswith("; not the known failure of line 14: no_hang did not break")


def test_an_invariant_can_be_known_to_break() -> None:
    """F05: agreement."""
    entry = replace(KNOWN_ENTRY, breaks=("agreement",), instead=(JOINS,))
    history = Past(2).join(0, 0, 1).join(1, 2, 3).whole()
    assert known(entry, history=history).status == KNOWN
    assert known(replace(entry, breaks=("joins",)), history=history).status == FAILED


def test_something_else_instead_is_failed() -> None:
    """It breaks as known, but ends in another way."""
    judgement = known(history=Past(2).all_join(0, 1, outcome="died").whole())
    assert judgement.status == FAILED
    assert "instead does not hold: rank 0's join died after 1.00 s, expected failed" in judgement.because


def test_an_instead_that_was_missed_while_a_part_stood_still_is_an_error() -> None:
    """It may hold."""
    unsure = Verdict("refused", ERROR, "it was late, which a stall can explain")
    judgement = judge_known(Judgement(FAILED, "it broke"), KNOWN_ENTRY, [unsure])
    assert judgement == Judgement(ERROR, "refused (instead): it was late, which a stall can explain")


def test_an_instead_that_holds_with_the_lateness_measured_holds() -> None:
    """The failure is the known one."""
    entry = replace(KNOWN_ENTRY, instead=(replace(REFUSED, within=(0, 2 * SECOND)),))
    history = Past(2).all_join(0, 2.01, outcome="failed", lag=0.1).whole()
    assert known(entry, history=history).status == KNOWN


TIMELY = StepClaim("timely", ("join",), ranks=(1,), outcomes=("ok",), within=(None, 2 * SECOND))


def test_a_pass_that_lateness_alone_explains_does_not_show_that_a_known_failure_is_gone() -> None:
    """The claim might have broken: it was missed, and held only because processes were late."""
    entry = replace(KNOWN_ENTRY, breaks=("timely",), instead=())
    cell = plan(TIMELY, known=(entry,))
    assert judge(cell, Past(2).all_join(0, 1).whole()).status == FAILED
    judgement = judge(cell, Past(2).all_join(0, 2.05, lag=0.1).whole())
    assert judgement.status == ERROR
    assert judgement.because == (
        "it passed, but timely holds only with the lateness that was measured: that says nothing about the known"
        " failure of line 14; play it again"
    )


def test_a_known_break_that_lateness_alone_held_is_an_error() -> None:
    """Beside another that did break."""
    entry = replace(KNOWN_ENTRY, breaks=("timely", "refused"), instead=())
    judgement = judge(plan(TIMELY, REFUSED, known=(entry,)), Past(2).all_join(0, 2.05, lag=0.1).whole())
    assert judgement.status == ERROR
    assert "timely did not break, but timely holds only with the lateness that was measured" in judgement.because


def test_a_known_failure_that_a_stall_explains_is_an_error() -> None:
    """A part that stood still must not satisfy the entry."""
    history = Past(2).all_join(0, 9, outcome="failed").stall(1, 7).whole()
    assert known(history=history).status == ERROR


def test_a_known_failure_before_a_stall_is_known() -> None:
    """It was certain by then."""
    assert known(history=failing().stall(3, 9).whole()).status == KNOWN


def test_a_pass_after_a_stall_does_not_show_that_a_known_failure_is_gone() -> None:
    """The entry is not to be deleted for it."""
    judgement = known(history=Past(2).all_join().stall(1, 7).whole())
    assert judgement.status == ERROR
    assert judgement.because == (
        f"it passed, but {STALL}: that says nothing about the known failure of line 14; play it again"
    )


def test_a_known_break_that_did_not_break_after_a_stall_is_an_error() -> None:
    """The part that stood still may be why; a claim that broke beside the known ones is failed all the same."""
    entry = replace(KNOWN_ENTRY, breaks=("joins", "no_hang"))
    judgement = known(entry, history=failing().stall(3, 9).whole())
    assert judgement.status == ERROR
    assert judgement.because.endswith(
        "of the known failure of line 14, no_hang did not break, but the proxy server stood still for 6.00 s, from"
        " 3.00 s on; play it again"
    )
    other = StepClaim("quick", ("join",), within=(None, SECOND))
    beside = judge(plan(JOINS, other, known=(entry,)), failing().stall(3, 9).whole())
    assert beside.status == FAILED


def test_vacuous_and_error_stay_what_they_are() -> None:
    """A known failure needs its premise."""
    assert known(faults=(CUT,)).status == VACUOUS
    assert known(history=failing().whole(error="ProxyLost")).status == ERROR


def test_a_broken_invariant_without_its_premise_is_not_known() -> None:
    """Claims are not judged then, so nobody can say that only the known ones broke."""
    entry = replace(KNOWN_ENTRY, breaks=("no_hang",), instead=())
    history = Past(2).all_join(0, 9, outcome="hung").whole()
    assert judge(plan(REFUSED, faults=(CUT,), known=(entry,)), history).status == FAILED


def test_two_entries_that_fit_are_an_error() -> None:
    """Whatever came out."""
    for history in (failing().whole(), Past(2).all_join().whole()):
        judgement = known(KNOWN_ENTRY, replace(KNOWN_ENTRY, torch="", line=20), history=history)
        assert (judgement.status, judgement.because) == (
            ERROR,
            "two `known` entries fit this cell, subject and torch (lines 14 and 20); leave one",
        )


@pytest.mark.parametrize("entry", [replace(KNOWN_ENTRY, subject="static-strict"), replace(KNOWN_ENTRY, torch="<2.6")])
def test_an_entry_for_another_subject_or_torch_does_not_fit(entry: Known) -> None:
    """The claim holds for all but those it names."""
    assert known(entry).status == FAILED
    assert known(entry, history=Past(2).all_join().whole()).status == PASSED


@pytest.mark.parametrize(
    ("specifier", "version", "fits"),
    [
        ("", "2.15.0", True),
        ("", None, True),
        (">=2.6", None, False),
        (">=2.6", "2.6.0+cpu", True),
        ("==2.13.0", "2.13.0+cu126", True),
        (">2.13.0", "2.13.0+cpu", False),
        (">=2.15", "2.16.0.dev20260101+cpu", True),
        (">=2.16", "2.16.0.dev20260101", False),
        (">=2.15", "2.15.0a0+git1234", False),
        (">=2.6,<2.9", "2.8.1", True),
    ],
)
def test_torch_is_compared_by_pep_440(specifier: str, version: str | None, fits: bool) -> None:
    """Local parts and nightlies included; a subject without torch fits only an entry for every torch."""
    history = Past(2, torch=version).all_join(0, 2, outcome="failed").whole()
    assert (known(replace(KNOWN_ENTRY, torch=specifier), history=history).status == KNOWN) == fits


def test_an_entry_fits_the_cells_it_names() -> None:
    """By path of the matrix; a path that the cell lacks does not fit."""
    entry = replace(KNOWN_ENTRY, cells={"faults.broken": ("mute", "cut")})
    assert known(entry, cell=(("world.timeout", "1s"), ("faults.broken", "cut"))).status == KNOWN
    assert known(entry, cell=(("faults.broken", "drip"),)).status == FAILED
    assert known(entry).status == FAILED


# -- whatever comes ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "1", "guard", "127.0.0.1:1", "a:b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "rank",
                    "world_size",
                    "run_id",
                    "round",
                    "endpoint",
                    "timeout_ns",
                    "outcome",
                    "key",
                    "keys",
                    "value",
                    "values",
                    "amount",
                    "expected",
                    "desired",
                    "listeners",
                    "inode",
                    "port",
                    "status",
                    "signal",
                    "by",
                    "kind",
                    "ranks",
                    "touched",
                    "facts",
                    "subject",
                    "versions",
                    "torch",
                    "error",
                    "processes",
                    "waited_ns",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)
OPS = st.builds(
    Op,
    time_ns=st.integers(0, 50),
    process=st.builds(
        Process, st.none() | st.integers(0, 3), st.sampled_from(["main", "nemesis", "controller"]), st.integers(1, 2)
    ),
    type=st.sampled_from(["invoke", "ok", "fail", "info"]),
    f=st.sampled_from(
        [
            "rendezvous",
            "get",
            "set",
            "add",
            "append",
            "check",
            "compare_set",
            "multi_get",
            "multi_set",
            "exit",
            "begin",
            "start",
            "inject",
            "heal",
            "lag",
            "left_behind",
            "end",
        ]
    ),
    step=st.sampled_from(["", "join", "get", "exit", "cut"]),
    call=st.integers(1, 2),
    handler=st.none() | st.sampled_from(["main", "second"]),
    run_id=st.none() | st.sampled_from(["a", "b"]),
    round=st.none() | st.integers(0, 2),
    value=JSON,
    error=st.none() | st.just(ErrorInfo("E", ("E",), "")),
    lag_ns=st.integers(0, 3),
)
ENDS = st.builds(
    lambda op, outcome, value: replace(op, type="info", value={**value, "outcome": outcome}),
    OPS,
    st.sampled_from(["died", "hung", "skipped"]),
    st.dictionaries(st.sampled_from(["signal", "by", "stacks", "because"]), JSON, max_size=2),
)
WELL_FORMED = OPS.filter(lambda op: op.type != "info") | ENDS


@settings(max_examples=300, deadline=None)
@given(st.lists(WELL_FORMED, max_size=14) | st.lists(OPS, max_size=5), st.booleans())
def test_judging_never_raises(ops: list[Op], is_whole: bool) -> None:
    """Whatever a history holds, there is a judgement; an odd one is an error, never a traceback."""
    end = [Op(60, Process(None, "controller"), "ok", "end", value={})] if is_whole else []
    claims = (
        JOINS,
        replace(REFUSED, messages=("{port}",), errors=("E",), within=(1, 5), count=(1, 2)),
        CheckClaim("deadline", "deadline", {"slack": 0}),
        AnyClaim(
            "any", (CheckClaim("together", "together", {}), CheckClaim("reuse", "store_reuse", {"handlers": None}))
        ),
        CheckClaim("recovery", "recovery", {"within": 1}),
        CheckClaim("contract", "error_contract", {}),
    )
    cell = scenario(step("join"), step("get", do="get"), expect=claims, faults=(CUT,), known=(KNOWN_ENTRY,))
    history = History.of([*ops, *end])
    assert judge(cell, history, history).status in STATUSES
