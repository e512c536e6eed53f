"""A version of torch is found in a record as people write it: releases, builds, rebuilds, checkouts, and nonsense."""

from __future__ import annotations

import pytest

from harness.record.named import Named, named
from harness.values.errors import UsageError

RECORD = ("2.10.0+cu128", "2.6.0+cu124", "2.9.0+cu126", "2.9.1+cpu", "2.9.1+cu126", "2.12.0.dev20260101+cpu")


@pytest.mark.parametrize(
    ("asked", "torch", "because"),
    [
        ("2.9.1+cu126", "2.9.1+cu126", ""),
        ("2.9.1+cpu", "2.9.1+cpu", ""),
        ("v2.9.1+CPU", "2.9.1+cpu", "the record also has 2.9.1+cu126"),
        ("2.9.1", "2.9.1+cu126", "the record also has 2.9.1+cpu"),
        (" 2.9.0 ", "2.9.0+cu126", ""),
        ("2.9.1+cu130", "2.9.1+cu126", "the record has 2.9.1+cu126, another build of the same release"),
        ("2.9.0.post303", "2.9.0+cu126", "the record has 2.9.0+cu126, another build of the same release"),
        ("2.9", "2.9.1+cu126", "it is the newest patch of 2.9 that the record has"),
        ("2.10", "2.10.0+cu128", "it is the newest patch of 2.10 that the record has"),
        ("2", "2.10.0+cu128", "it is the newest patch of 2 that the record has"),
        ("2.10.0.0", "2.10.0+cu128", ""),
        ("2.12.0.dev20260101", "2.12.0.dev20260101+cpu", ""),
        (
            "2.12.0.dev20260101+cu130",
            "2.12.0.dev20260101+cpu",
            "the record has 2.12.0.dev20260101+cpu, another build of the same release",
        ),
    ],
)
def test_a_version_is_a_build_of_the_record(asked: str, torch: str, because: str) -> None:
    """Builds of one release have one source; `2.9` is its newest patch, and 2.10 comes after 2.9."""
    assert named(RECORD, asked) == Named(asked.strip(), torch, because)


@pytest.mark.parametrize(
    ("asked", "before", "after", "because"),
    [
        ("2.8.0", "2.6.0+cu124", "2.9.0+cu126", ""),
        ("2.8.0+cu128", "2.6.0+cu124", "2.9.0+cu126", ""),
        ("2.8", "2.6.0+cu124", "2.9.0+cu126", ""),
        ("2.5.1", "", "2.6.0+cu124", ""),
        ("2.13.0", "2.12.0.dev20260101+cpu", "", ""),
        ("2.10.0a0+git1a2b3c4", "2.9.1+cu126", "2.10.0+cu128", "it was built before the release of 2.10.0"),
        ("2.6.0a0+ecf3bae40a.nv25.01", "", "2.6.0+cu124", "it was built before the release of 2.6.0"),
        ("2.9.1rc2", "2.9.0+cu126", "2.9.1+cpu", "it was built before the release of 2.9.1"),
        ("2.12.0.dev20260102", "2.12.0.dev20260101+cpu", "", "it was built before the release of 2.12.0"),
    ],
)
def test_a_version_that_the_record_has_not_has_neighbours(asked: str, before: str, after: str, because: str) -> None:
    """What was built from a checkout is not the release that it precedes."""
    found = named(RECORD, asked)
    assert found == Named(asked, "", because, before, after)
    assert list(found.torches) == [one for one in (before, after) if one]


def test_a_checkout_is_its_own_commit_only() -> None:
    """Two of them have one number before the sign, and other sources."""
    record = ("2.10.0a0+git1111111", "2.10.0rc1+cu128")
    assert named(record, "2.10.0a0+git1111111").torch == "2.10.0a0+git1111111"
    assert named(record, "2.10.0a0+git2222222").torch == ""
    assert named(record, "2.10.0rc1+cpu").torch == "2.10.0rc1+cu128"


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("2.9.l", "did you mean 2.9.1? "),
        ("torch==2.8.0", "did you mean 2.8.0? "),
        ("torch:2.8.0", "did you mean 2.8.0? "),
        ("2,9,0", "did you mean 2.9.0? "),
        ("2.9.1-cu126x!", "did you mean 2.9.1+cu126? "),
        ("nine", ""),
        ("", ""),
        ("9" * 5000, ""),
        ("2.9\x1b[31m", "did you mean 2.9.1? "),
    ],
)
def test_nonsense_is_refused_with_what_is_near(asked: str, near: str) -> None:
    """With what the record has; nothing of it moves a cursor, however long it is."""
    with pytest.raises(UsageError) as raised:
        named(RECORD, asked)
    said = str(raised.value)
    assert f": this is no version; {near}write it as 2.9.1" in said
    assert said.endswith(
        "it has 2.6.0+cu124, 2.9.0+cu126, 2.9.1+cpu, 2.9.1+cu126, 2.10.0+cu128, 2.12.0.dev20260101+cpu"
    )
    assert len(said) < 400
    assert said.isprintable()


def test_what_is_no_version_in_a_record_is_nobodys_neighbour() -> None:
    """A build that calls itself something else is found by that name only."""
    assert named(("mine", "2.6.0"), "mine").torch == "mine"
    assert list(named(("mine", "2.6.0"), "2.7.0").torches) == ["2.6.0"]
