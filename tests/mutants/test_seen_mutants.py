"""Each mutant is seen by a check that is asked of every random run, or there is a reason why none can see it."""

from __future__ import annotations

from rdzv_mutants import CATALOGUE
from seen import SEEN, UNSEEN

from harness.checkers.base import explored_invariants, standing_invariants


def test_every_mutant_is_seen_or_has_a_reason() -> None:
    """A mutant that no check sees is a check that is missing, until somebody says why it cannot be there."""
    assert {*SEEN, *UNSEEN} == set(CATALOGUE)
    assert not SEEN.keys() & UNSEEN.keys()


def test_what_sees_a_mutant_is_asked_of_every_random_run() -> None:
    """A standing invariant, or one that `invariants` asks."""
    asked = {*standing_invariants(), *explored_invariants()}
    assert {check for seen in SEEN.values() for check in seen.by} <= asked


def test_each_check_that_random_runs_ask_sees_a_mutant() -> None:
    """One that sees none may be broken, and nobody would know; what joins look like on the wire only stock breaks."""
    seeing = {check for seen in SEEN.values() for check in seen.by}
    assert set(explored_invariants()) - seeing == {"join_identity"}
