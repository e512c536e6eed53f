"""What is learned from a play whose faults did nothing."""

from __future__ import annotations

from pathlib import Path

from fake_parts import features, signatures
from pasts import Past

from harness.explore.draft import UNIFORM, Draft
from harness.explore.observation import Observation, Signature
from harness.explore.observe import observe, without_faults
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.values.history import History

DOCUMENT = {
    "schema": "rdzv-scenario/v1",
    "title": "A coda waits for its fault",
    "world": {"size": 2, "timeout": "1s"},
    "workload": [
        {"id": "join", "do": "rendezvous"},
        {"id": "coda", "do": "set", "ranks": 0, "thread": "coda", "key": "a", "value": "1", "after": "slow"},
        {"id": "behind", "do": "get", "ranks": 0, "thread": "coda", "key": "a"},
        {"id": "far", "do": "get", "ranks": 1, "key": "a", "after": {"step": "behind", "is": "ended"}},
        {"id": "free", "do": "set", "ranks": 1, "thread": "other", "key": "b", "value": "1"},
    ],
    "faults": [
        {"id": "slow", "inject": "latency", "ranks": 1, "stream": "downstream", "latency": "10ms", "after": "free"},
        {"id": "idle", "inject": "latency", "ranks": 1, "stream": "downstream", "latency": "20ms"},
    ],
    "expect": [
        {"id": "joins", "step": "join", "is": "ok"},
        {"id": "coda-sets", "step": "coda", "is": "ok"},
        {"id": "reads", "any": [{"step": "far", "is": "ok"}, {"step": "behind", "is": "ok"}]},
        {"id": "soon", "step": "free", "is": "ok", "within": "1s", "since": "slow"},
        {"id": "sets", "step": "free", "is": "ok"},
    ],
}
DRAFT = Draft(DOCUMENT, UNIFORM, 1)


def seen(history: History) -> Observation:
    result = Result(DRAFT.scenario, judge(DRAFT.scenario, history), history, Path("run"), 1.0, seed=4)
    return observe(DRAFT, result, signatures, features)


def past(join: str) -> Past:
    """The second fault was in place and touched nothing."""
    made = Past(2).all_join(step="join", outcome=join).call(1, "free", 0.02, 0.03, f="set", thread="other")
    return made.fault("idle", 0.0, 0.9, kind="latency", touched=False)


def test_a_step_that_waits_for_a_fault_which_never_came_breaks_no_claim() -> None:
    """It did not begin, and neither did what waits for it or stands behind it: that is no violation."""
    observation = seen(past("ok").whole())
    assert (observation.status, observation.untouched) == ("vacuous", ("slow", "idle"))
    assert observation.signatures == frozenset()
    assert (observation.seed, observation.run_dir) == (4, Path("run"))
    assert observation.features


def test_what_is_violated_beside_an_idle_fault_is_seen() -> None:
    """The verdict says vacuous; the broken claim is none that the fault makes meaningless."""
    assert {one.check for one in seen(past("failed").whole()).signatures} == {"joins"}


def test_only_claims_that_need_the_fault_go() -> None:
    """Where the fault was in place, the steps that wait for it have begun, and their claims stay."""
    never = without_faults(DRAFT.scenario, ("slow",), ("slow",))
    assert [claim.name for claim in never.expect] == ["joins", "sets"]
    assert [fault.name for fault in never.faults] == ["idle"]
    came = without_faults(DRAFT.scenario, ("slow",))
    assert [claim.name for claim in came.expect] == ["joins", "coda-sets", "reads", "sets"]


def test_a_call_that_was_skipped_is_no_violation_beside_the_one_that_ended_its_process() -> None:
    """A rank that died skips all that it was still to do; alone, a skipped call that a claim names does count."""
    died = Signature("no_crash", "exit", "master", "died")
    skipped = Signature("coda-joins", "rendezvous", "master", "skipped")
    history = past("failed").whole()
    result = Result(DRAFT.scenario, judge(DRAFT.scenario, history), history, Path("run"), 1.0)
    for found, kept in (({died, skipped}, {died}), ({skipped}, {skipped})):
        assert observe(DRAFT, result, lambda *_, found=found: frozenset(found), features).signatures == kept


CODA_DRAFT = Draft(
    {
        "schema": "rdzv-scenario/v1",
        "title": "A coda joins",
        "world": {"size": 2, "timeout": "1s"},
        "workload": [
            {"id": "join", "do": "rendezvous"},
            {
                "id": "coda-join",
                "do": "rendezvous",
                "run_id": "coda",
                "handler": "coda",
                "thread": "coda",
                "after": "0.6s",
            },
        ],
        "faults": [{"id": "down", "inject": "down", "ranks": 1, "for": "500ms"}],
        "expect": [{"id": "coda-joins", "step": "coda-join", "is": "ok"}, {"id": "joins", "step": "join", "is": "ok"}],
    },
    UNIFORM,
    1,
)


def of_coda(subject: str, until: float, hit: bool = True) -> set[str]:
    """What is seen where rank 1's first join, which a fault may have hit, goes on until then, and the coda's fails."""
    past = Past(2, subject=subject).join(0, 0.1, 0.3).join(1, 0.1, until)
    return of_failed_coda(past.fault("down", 0.05, 0.5 if hit else 0.09, kind="down", ranks=(1,)))


def of_failed_coda(past: Past) -> set[str]:
    """What is seen where the coda's joins fail after what came before."""
    for rank in (0, 1):
        past.join(rank, 0.6, 1.6, "failed", step="coda-join", run_id="coda", handler="coda", thread="coda")
    history = past.whole()
    result = Result(CODA_DRAFT.scenario, judge(CODA_DRAFT.scenario, history), history, Path("run"), 1.0, seed=4)
    return {one.check for one in observe(CODA_DRAFT, result, signatures, features).signatures}


def test_a_coda_behind_a_join_that_a_fault_has_hit_is_a_limit_of_static_strict() -> None:
    """Its constructors run one after the other, also once the fault is healed; nothing else excuses a coda."""
    assert of_coda("static-strict", until=1.2) == set()
    assert of_coda("static", until=1.2) == {"coda-joins"}
    assert of_coda("static-strict", until=0.55) == {"coda-joins"}
    assert of_coda("static-strict", until=1.2, hit=False) == {"coda-joins"}


def test_a_clone_that_a_fault_has_hit_holds_up_a_coda_as_a_join_does() -> None:
    """It makes a store of the same process; one that ended before, or that no fault has hit, holds up nothing."""

    def seen(subject: str, rank: int, until: float, hit: bool = True) -> set[str]:
        past = Past(2, subject=subject).join(0, 0.1, 0.2).join(1, 0.1, 0.2)
        past.call(rank, "clone", 0.3, until).fault("down", 0.25, 0.5 if hit else 0.28, kind="down", ranks=(1,))
        return of_failed_coda(past)

    assert seen("static-strict", 1, until=1.2) == set()
    assert seen("static", 1, until=1.2) == {"coda-joins"}
    assert seen("static-strict", 0, until=1.2) == {"coda-joins"}
    assert seen("static-strict", 1, until=0.55) == {"coda-joins"}
    assert seen("static-strict", 1, until=1.2, hit=False) == {"coda-joins"}
