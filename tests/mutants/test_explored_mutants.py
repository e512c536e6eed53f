"""Exploration with real plays on each push: it finds deliberate faults, and nothing in `static-strict` itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from explored import UNTIL_FIND, explore
from measuring import installed
from seen import SEEN

from harness.cli.exit_codes import AS_EXPECTED, SOME_FAILED

PLAYS = 60
"""Of `static-strict`: about a minute on an idle machine with two processors."""

SEED = 1

SAMPLE = ("strict-ranks-permuted", pytest.param("strict-processes-leak", marks=pytest.mark.nightly))
"""Mutants that nearly every play shows, each by another check, so that no speed decides whether they are found."""

MOST_PLAYS = 400
"""Ends a session that finds nothing. The others end at their first finding, after 40 to 60 plays."""


@pytest.mark.needs_torch
def test_static_strict_shows_nothing_new(rank_python: str, tmp_path: Path) -> None:
    """Whatever is found here is a fault of static-strict, or a check that is wrong; the number of plays is fixed.

    `rdzv-harness findings show CAUSE --findings FOLDER` shows what it was.
    """
    found = explore("static-strict", tmp_path, rank_python, "--runs", str(PLAYS), "--seed", str(SEED), "--jobs", "2")
    assert (found.code, found.checks) == (AS_EXPECTED, frozenset()), found.said


@pytest.mark.needs_torch
@pytest.mark.parametrize("name", SAMPLE)
def test_a_mutant_is_found(name: str, rank_python: str, tmp_path: Path) -> None:
    """Confirmed and shrunk, by a check that was foreseen to see it."""
    words = ("--runs", str(MOST_PLAYS), "--seed", str(SEED), "--jobs", "2", *UNTIL_FIND)
    site = tmp_path / "site"
    site.mkdir()
    with installed(site):
        found = explore(name, tmp_path, rank_python, *words)
    assert found.code == SOME_FAILED, found.said
    assert found.checks & {*SEEN[name].by}, found.said
