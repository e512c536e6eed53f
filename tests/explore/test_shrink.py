"""Candidates of a document: smaller, valid, and about the same violation."""

from __future__ import annotations

import copy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from explore.drafts import HANGS, LARGE, names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.explore.coda import with_coda
from harness.explore.edits import essential, with_ranks, without
from harness.explore.measure import measure
from harness.explore.observation import Signature
from harness.explore.shrink import candidates, changes
from harness.loader import load_text, written

IN_TIME = Signature("look+hear", "get", "worker", "failed")
"""A violation of a claim of the large draft."""


def _valid(document: Any) -> bool:
    return len(load_text(written(document), Path("a.rdzv.yaml"))) == 1


def test_every_candidate_loads_and_is_smaller() -> None:
    """The loader reads each candidate, its measure is smaller, and none stands twice."""
    found = list(islice(candidates(LARGE, IN_TIME), 16))
    assert len(found) == 16
    assert all(_valid(one) for one in found[::4])
    assert all(measure(one) < measure(LARGE) for one in found)
    assert len({written(one) for one in found}) == len(found)


def test_the_claim_that_is_violated_stays() -> None:
    """No candidate is without the claim that the signature names, nor without one of its steps only."""
    for _, one in changes(essential(LARGE, IN_TIME.check), IN_TIME):
        assert names(one, "expect") == ["look+hear"]


def test_a_standing_invariant_needs_no_claim() -> None:
    """Where the violated property is judged in every run, all claims may go but one, which a file must have."""
    only = essential(LARGE, HANGS.check)
    assert only["expect"] == [{"id": "ends", "step": "join", "is": ["ok", "failed", "died", "skipped"]}]
    assert _valid(only)


def test_a_document_is_left_as_it_is() -> None:
    """Candidates share nothing with the document that could be changed through them."""
    before = copy.deepcopy(LARGE)
    for one in [changed for _, changed in changes(LARGE, IN_TIME)]:
        one["world"]["size"] = 99
        for step in one["workload"]:
            step["do"] = "changed"
    assert before == LARGE


def test_what_waited_for_a_removed_fault_waits_for_what_it_waited_for() -> None:
    """Without the fault `cut`, `halt` begins at the message that `cut` began at, and `hear` after `tell`."""
    changed = without(LARGE, faults=[1])
    assert names(changed, "faults") == ["slow", "halt"]
    assert changed["faults"][1]["after"] == LARGE["faults"][1]["after"]
    hear = changed["workload"][4]
    assert hear["after"] == ["tell", LARGE["faults"][1]["after"]]


def test_what_waited_for_a_removed_step_begins_in_its_turn() -> None:
    """Without `tell`, `hear` waits for the fault alone; claims name what is left."""
    changed = without(LARGE, steps=[1, 3])
    assert changed["workload"][2]["after"] == "cut"
    assert {"step": "hear", "within": "timeout + slack"} in changed["expect"]


def test_ranks_are_numbered_again() -> None:
    """Without rank 1 the others move down: in steps, faults, messages and settings; faults of rank 1 alone go."""
    changed = with_ranks(LARGE, [0, 2, 3])
    assert changed["world"]["size"] == 3
    assert list(changed["world"]["ranks"]) == [2]
    assert names(changed, "faults") == ["cut"]
    assert changed["faults"][0]["ranks"] == [1, 2]
    assert changed["faults"][0]["after"]["wire"]["ranks"] == 1
    assert changed["workload"][5]["ranks"] == [1, 2]
    assert _valid(changed)


def test_the_order_of_candidates() -> None:
    """Faults come before ranks, ranks before steps, steps before moments, moments before timings."""
    order = [what for what, _ in changes(essential(LARGE, "no_hang"), HANGS)]
    firsts = [
        next(place for place, what in enumerate(order) if what.startswith(prefix))
        for prefix in (
            "only slow",
            "no coda-",
            "no fault",
            "fewer ranks",
            "no step",
            "hear: ",
            "cut: at once",
            "halt: never healed",
        )
    ]
    assert firsts == sorted(firsts)


def test_the_first_candidate_leaps_to_what_the_failure_may_need() -> None:
    """One fault, a world of its ranks, the joins, the violated verb, and the steps that share its key."""
    found = dict(changes(essential(LARGE, "no_hang"), HANGS))
    leap = found["only cut in 2 ranks"]
    assert (leap["world"]["size"], names(leap, "faults")) == (2, ["cut"])
    assert names(leap, "workload") == ["join", "tell", "count", "look", "hear", "late"]
    assert leap["faults"][0]["ranks"] == 1


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_shrinking_ends(choices: list[int]) -> None:
    """Whichever candidate is taken each time, each is valid and smaller, so that no chain of them is endless."""
    document: Any = LARGE
    for choice in choices:
        found = list(islice(candidates(document), choice % 7 + 1))
        if not found:
            break
        assert measure(found[-1]) < measure(document)
        document = found[-1]
        assert _valid(document)


SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.rdzv.yaml"))


@pytest.mark.parametrize("path", SCENARIOS[::20], ids=lambda path: path.name.partition(".")[0])
def test_scenarios_have_candidates(path: Path) -> None:
    """Whatever a file has in it, its candidates are made without an error, and are smaller."""
    from ruamel.yaml import YAML

    document = YAML(typ="safe", pure=True).load(path.read_text())
    document = {key: value for key, value in document.items() if key not in ("matrix", "exclude", "known")}
    claims = Signature(next(iter(names(document, "expect"))))
    for one in islice(candidates(essential(document, claims.check), claims), 3):
        assert measure(one) < measure(document)


def test_the_coda_stays_whole_where_it_is_violated() -> None:
    """Each candidate has the joins of all ranks, after faults that are healed: else it would fail for this alone."""
    draft = with_coda(
        {
            **LARGE,
            "workload": [{"id": "join", "do": "rendezvous"}, {"id": "look", "do": "get", "key": "a"}],
            "faults": [{"id": name, "inject": "down", "ranks": 1, "for": "100ms"} for name in ("first", "second")],
            "expect": [{"check": "invariants"}],
        }
    )
    violated = Signature("coda-joins", "rendezvous", "worker", "failed")
    found = [changed for _, changed in changes(essential(draft, violated.check), violated)]
    assert found
    for one in found:
        joins = {step["id"]: step["ranks"] for step in one["workload"] if step["id"] in ("coda-join", "coda-open")}
        assert joins == {"coda-join": "workers", "coda-open": 0}
        assert one["faults"]
        assert all("for" in fault for fault in one["faults"])
        assert _valid(one)
