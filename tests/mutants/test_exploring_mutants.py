"""benchmarks/explore_mutants.py: what counts as found, what is played again, and how the mutants are divided."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from explored import Explored
from rdzv_mutants import CATALOGUE
from seen import SEEN
from stored_findings import SIGNATURE, draft, findings, red_run

from harness.explore.finding import StoredFinding
from harness.explore.findings import NewFinding

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from explore_mutants import Row, chosen, is_settled, measure, share, stored, table

MUTANT = CATALOGUE["strict-rank-off-by-one"]


@pytest.fixture
def finding(tmp_path: Path) -> StoredFinding:
    """One that is stored."""
    one = draft()
    return findings(tmp_path).add(NewFinding("a-cause", SIGNATURE, 20, 20, one, one, red_run(tmp_path, one), (one.id,)))


class Sessions:
    """Sessions of `explore` that give these answers, and take ten seconds each."""

    def __init__(self, *answers: Explored) -> None:
        self.now, self.asked = 0.0, []
        self._answers = list(answers)

    def explore(self, name: str, seconds: float) -> Explored:
        self.asked.append(seconds)
        self.now += 10
        return self._answers.pop(0)


def test_a_find_that_the_base_does_not_show_counts(finding: StoredFinding) -> None:
    """Its check is told, and whether it was foreseen."""
    sessions = Sessions(Explored(1, "", {Path("minimal"): finding}))
    row = measure(MUTANT, 60, sessions.explore, lambda subject, path: True, lambda: sessions.now)
    assert row == Row(MUTANT.name, 10, 60, finding.signature.check, "a-cause", foreseen=True)
    assert row.is_found


def test_what_the_base_shows_too_does_not_count(finding: StoredFinding) -> None:
    """The mutant is explored further, for the time that is left, until a session finds nothing."""
    known = {Path("minimal"): finding}
    sessions = Sessions(Explored(1, "", known), Explored(1, "", known), Explored(0, "", known))
    row = measure(MUTANT, 60, sessions.explore, lambda subject, path: subject != MUTANT.base, lambda: sessions.now)
    assert row == Row(MUTANT.name, 30, 60, of_base=("a-cause",))
    assert sessions.asked == [60, 50, 40]


def test_a_session_that_says_nothing_is_an_error() -> None:
    """It is not counted as found, and is played again."""
    sessions = Sessions(Explored(3, "runs\nerror: no torch\n\n", {}))
    row = measure(MUTANT, 60, sessions.explore, lambda subject, path: True, lambda: sessions.now)
    assert (row.error, row.is_found, is_settled(row, 60)) == ("error: no torch", False, False)


def test_it_ends_when_the_time_is_over() -> None:
    """A find that was not confirmed, exit code 1 without a finding, goes on until then."""
    sessions = Sessions(*[Explored(1, "", {})] * 3)
    row = measure(MUTANT, 21, sessions.explore, lambda subject, path: True, lambda: sessions.now)
    assert (row.seconds, row.is_found, sessions.asked) == (20, False, [21, 11])


def test_what_is_settled_is_not_played_again(tmp_path: Path) -> None:
    """Found, or not found in as much time; rows come back from the file as they were."""
    found, missed = Row("a", 10, 60, "agreement", "cause", True, ("b",)), Row("b", 60, 60)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([asdict(found), asdict(missed)]))
    assert stored(path) == {"a": found, "b": missed}
    assert stored(None) == stored(tmp_path / "none.json") == {}
    assert [is_settled(row, 600) for row in (found, missed, None)] == [True, False, False]
    assert is_settled(missed, 60)
    assert share([found, missed]) == 0.5


def test_shards_divide_the_mutants() -> None:
    """Each is in one shard; without a pattern all of static-strict that a check can see."""
    strict = [name for name in SEEN if CATALOGUE[name].base == "static-strict"]
    shards = [chosen(["strict-*"], (index, 4)) for index in range(1, 5)]
    assert sorted(name for shard in shards for name in shard) == sorted(strict)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    with pytest.raises(SystemExit, match="no mutant"):
        chosen(["no-such-*"])


def test_the_table_says_what_is_missing() -> None:
    """By which check it should have been seen, and what a run needs for that."""
    text = table([Row("strict-get-does-not-wait", 600, 600), Row(MUTANT.name, 12, 600, "agreement")])
    assert "| strict-get-does-not-wait | no | 600 |  | linearizable | a get of a missing key |" in text
    assert "1 of 2 found (50%; the bar is 90%)" in text
