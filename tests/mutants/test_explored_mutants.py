"""Exploration with real plays on each push: it finds deliberate faults, and nothing in `static-strict` itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from explored import UNTIL_FIND, explore
from measuring import installed
from seen import SEEN

from harness.cli.exit_codes import AS_EXPECTED, SOME_FAILED

PLAYS = 60
"""Of `static-strict` from each seed: together about a minute on an idle machine with two processors."""

SAMPLE = {"strict-ranks-permuted": 1, "strict-half-a-world-is-enough": 1, "strict-processes-leak": 1}
"""Mutants of which some of the first plays are red, each seen by another check, with the seed."""

MOST_PLAYS = 400
"""A bound for a session that finds nothing: those of the sample end at their first finding, after 20 to 60 plays."""


@pytest.mark.needs_torch
@pytest.mark.parametrize("seed", [1, 2])
def test_static_strict_shows_nothing_new(seed: int, rank_python: str, tmp_path: Path) -> None:
    """Whatever is found here is a fault of static-strict, or a check that is wrong; the number of plays is fixed.

    `rdzv-harness findings show CAUSE --findings FOLDER` shows what it was.
    """
    found = explore("static-strict", tmp_path, rank_python, "--runs", str(PLAYS), "--seed", str(seed), "--jobs", "2")
    assert (found.code, found.checks) == (AS_EXPECTED, frozenset()), found.said


@pytest.mark.needs_torch
@pytest.mark.parametrize("name", SAMPLE)
def test_a_mutant_is_found(name: str, rank_python: str, tmp_path: Path) -> None:
    """Confirmed and shrunk, by a check that was foreseen to see it."""
    words = ("--runs", str(MOST_PLAYS), "--seed", str(SAMPLE[name]), "--jobs", "2", *UNTIL_FIND)
    site = tmp_path / "site"
    site.mkdir()
    with installed(site):
        found = explore(name, tmp_path, rank_python, *words)
    assert found.code == SOME_FAILED, found.said
    assert found.checks & {*SEEN[name].by}, found.said
