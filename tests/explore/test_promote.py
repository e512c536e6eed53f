"""From a finding to a scenario file: it loads, a person can read its title, and only what fails each time is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored_findings import DOCUMENT, findings, new_finding

from harness.explore.finding import StoredFinding, Tried
from harness.explore.observation import Signature
from harness.explore.promote import promoted, title_of
from harness.loader import load_text
from harness.values.errors import UsageError


@pytest.fixture
def finding(tmp_path: Path) -> StoredFinding:
    return findings(tmp_path / "findings").add(new_finding(tmp_path / "runs", explained_by="F05"))


def test_the_file_loads_and_knows_who_fails(finding: StoredFinding) -> None:
    """A subject that failed 20 of 20 times has an entry, for the version of torch that was tried; others have none."""
    tried = (Tried("static-strict", "2.15.0+cpu", 0, 20), Tried("static", "2.6.0", 20, 20, ("join",)))
    (scenario,) = load_text(promoted(replace(finding, tried=tried), DOCUMENT).text, Path("x.rdzv.yaml"))
    assert [(one.subject, one.torch, one.breaks, one.refs) for one in scenario.known] == [
        ("static", "==2.15.*", ("join",), ("F05",)),
        ("static", "==2.6.*", ("join",), ("F05",)),
    ]
    assert scenario.title == "The ranks that return from a join agree on their world"
    assert (scenario.refs, "explored" in scenario.tags) == (("F05",), True)


def test_the_file_says_where_it_comes_from(finding: StoredFinding) -> None:
    """Day, draft, cause, and the figures of every subject; whatever a cause has in it, it is one line of comment."""
    hostile = replace(finding, cause="a\nschema: x", tried=(Tried("static-strict", "2.15.0", 0, 20),))
    head = promoted(hostile, DOCUMENT).text.split("schema: rdzv-scenario/v1")[0].splitlines()
    assert all(line.startswith("# ") for line in head)
    text = "\n".join(head)
    assert finding.ancestry[0] in text
    assert "2027-01-15" in text
    assert "With static and torch 2.15.0+cpu: 20 of 20 failed" in text
    assert "With static-strict and torch 2.15.0: 0 of 20 failed" in text


def test_the_reason_is_the_one_that_is_known_else_the_symptom(finding: StoredFinding) -> None:
    """A sentence either way."""
    assert "because: the join only counts" in promoted(finding, DOCUMENT, because="the join only counts").text
    (scenario,) = load_text(promoted(finding, DOCUMENT).text, Path("x.rdzv.yaml"))
    assert "a join of the master returned, and agreement does not hold" in scenario.known[0].because


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"failed": 17}, r"with static and torch .* 17 of 20 failed \(95 % interval 64.0 % to 94.8 %\)"),
        ({"failed": 19, "of": 19}, r"19 of 19 failed .*; 20 plays are needed"),
        ({"breaks": ()}, "did not all break the same claims, or these were not stored"),
        (
            {"tried": (Tried("static-strict", "2.15.0", 2, 20, ("join",)),)},
            "with static-strict and torch .* 2 of 20",
        ),
        ({"tried": (Tried("static", "2.15.1", 0, 20),)}, "do not fail alike; write its `known` entries by hand"),
    ],
)
def test_what_does_not_fail_each_time_is_refused_with_the_figure(
    keys: dict[str, Any], message: str, finding: StoredFinding
) -> None:
    """And with what to do."""
    with pytest.raises(UsageError, match=f"cannot be promoted: .*{message}"):
        promoted(replace(finding, **keys), DOCUMENT)


@pytest.mark.parametrize(
    ("signature", "faults", "title"),
    [
        (Signature("no_hang", "get", "worker", "hung"), ["x_drop_reply"], "A get of a worker ends, under x_drop_reply"),
        (
            Signature("deadline", "rendezvous", "master", "failed"),
            ["kill", "latency", "kill"],
            "A join of the master ends within its timeout and a second, under kill and latency",
        ),
        (Signature("benign-join", "add", "worker", "failed"), [], "An add of a worker ends as it does without faults"),
        (Signature("coda-join"), [], "A new run can be joined and used after the faults have ended"),
        (Signature("of_another_package"), [], "of_another_package holds"),
    ],
)
def test_the_title_is_the_invariant_in_words(signature: Signature, faults: list[str], title: str) -> None:
    """With the violated call, and the faults once each."""
    assert title_of(signature, {"faults": [{"inject": kind} for kind in faults]}) == title


def test_the_name_is_the_title_in_hyphens_unless_given(finding: StoredFinding) -> None:
    """As scenarios are named."""
    assert promoted(finding, DOCUMENT).name == "the-ranks-that-return-from-a-join-agree-on-their-world"
    assert promoted(finding, DOCUMENT, "a-name").name == "a-name"
    long = {**DOCUMENT, "faults": [{"inject": f"fault_of_a_long_name_{number}"} for number in range(9)]}
    name = promoted(finding, long).name
    assert len(name) <= 80
    assert not name.endswith("-")
