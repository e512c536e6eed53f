"""Ranks without processes: what they write and how they end goes in; what is recorded and sent comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedRank, ScriptedSession, Undone

from harness.loader import load_mapping
from harness.play.ranks import Ranks
from harness.play.recording import Log
from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.progress import FoldedProgress
from harness.schedule.schedule import Schedule, lives_of
from harness.values.errors import HarnessError
from harness.values.ops import FAIL, GATE, INFO, INVOKE, NEVER_START, OK, READY, REAP, RELEASE, ErrorInfo, Op

KEYS = {
    "schema": "rdzv-scenario/v1",
    "title": "A claim",
    "world": {"size": 2, "route": "direct"},
    "workload": [{"id": "join", "do": "rendezvous"}, {"id": "count", "do": "num_keys"}],
    "expect": [{"step": "join", "is": "ok"}],
}


def silent(rank: ScriptedRank) -> None:
    """A rank that does nothing when it is released."""


class Trial:
    """Ranks of a world without processes, and their log."""

    def __init__(self, scenario: Scenario, session: ScriptedSession, run_dir: Path) -> None:
        self.session = session
        self.log = Log(run_dir / "ops" / "controller.jsonl", FoldedProgress(lives_of(scenario)))
        self.progress = self.log.progress
        self.ranks = Ranks(
            scenario, Schedule(scenario), self.log, session, session.doorbell_read, run_dir, run_dir / "plan.json"
        )

    def rank(self, rank: int, life: int = 1) -> ScriptedRank:
        return next(one for one in self.session.ranks if (one.rank, one.life) == (rank, life))

    def look(self) -> None:
        self.ranks.hear()
        self.ranks.reap()

    def recorded(self, f: str) -> list[Op]:
        return [op for op in self.log.ops if op.f == f]

    def outcomes(self, rank: int, life: int = 1) -> dict[str, str | None]:
        calls = self.progress.calls.items()
        return {key[0]: call.outcome for key, call in calls if key[1:3] == (rank, life)}


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """Two ranks that have started and are ready."""
    (tmp_path / "ops").mkdir()
    times = iter(range(1, 1_000_000))
    session = ScriptedSession(silent, tmp_path, lambda: next(times))
    with contextlib.closing(session):
        made = Trial(load_mapping(KEYS, "x")[0], session, tmp_path)
        made.ranks.launch((0, 1))
        made.look()
        yield made
        made.log.close()


def test_ranks_are_ready_when_they_have_said_so(trial: Trial) -> None:
    """The history keeps what they reported."""
    assert trial.ranks.all_ready()
    assert [op.process.rank for op in trial.recorded(READY)] == [0, 1]
    trial.ranks.check()


def test_a_rank_that_cannot_become_ready_fails_the_play(trial: Trial) -> None:
    """The failure has the rank's error; a play must not be judged without the rank."""
    error = ErrorInfo("ImportError", ("ImportError",), "no torch\nmore")
    process = trial.ranks.process(0)
    assert process is not None
    trial.ranks._take_in(process, replace(trial.recorded(READY)[0], type=FAIL, error=error))
    with pytest.raises(HarnessError, match=r"^rank 0: no torch$"):
        trial.ranks.check()


def test_a_rank_that_ends_before_it_is_ready_fails_the_play(trial: Trial) -> None:
    """The failure names its log."""
    trial.ranks.launch((1,), life=2)
    trial.rank(1, 2).ops_path.write_text("")
    trial.rank(1, 2).end(256)
    trial.ranks.reap()
    with pytest.raises(HarnessError, match=r"rank 1 ended before it was ready; see .*rank-1\.life-2\.log"):
        trial.ranks.check()


def test_a_release_is_on_record_before_ranks_hear_of_it(trial: Trial) -> None:
    """One operation records all that are released together."""
    trial.ranks.release((0, 1))
    (released,) = trial.recorded(RELEASE)
    assert released.value == {"ranks": [0, 1]}
    assert trial.session.sent == [(0, {"begin": True}), (1, {"begin": True})]
    assert all(trial.progress.rank(rank).begun for rank in (0, 1))
    trial.ranks.release(())
    assert len(trial.recorded(RELEASE)) == 1


def test_gates_are_sent_and_remembered(trial: Trial) -> None:
    """Both for steps that go and for steps that are skipped."""
    trial.ranks.open_gates([(0, 1, 1)], [(1, 1, 1, "too late")])
    assert trial.session.sent == [
        (0, {"go": 1, "life": 1}),
        (1, {"skip": 1, "life": 1, "because": "too late"}),
    ]
    assert [op.value for op in trial.recorded(GATE)] == [{"go": [[0, 1, 1]], "skip": [[1, 1, 1]]}]
    assert trial.progress.decided == {(0, 1, 1), (1, 1, 1)}
    trial.ranks.open_gates([], [])
    assert len(trial.recorded(GATE)) == 1


def test_what_a_rank_writes_is_heard_when_it_rings(trial: Trial) -> None:
    """Calls begin and end as the rank wrote."""
    trial.ranks.release((0, 1))
    trial.rank(0).calls("join", "rendezvous", {"rank": 0})
    assert trial.outcomes(0) == {}
    trial.ranks.hear()
    assert trial.outcomes(0) == {"join": "ok"}


def test_a_rank_that_dies_in_a_call_dies_with_the_rest_skipped(trial: Trial) -> None:
    """Its running call died, calls that it never began are skipped, and its end is recorded with its cause."""
    trial.ranks.release((0, 1))
    trial.rank(0).write(INVOKE, "rendezvous", "join")
    process = trial.ranks.process(0)
    assert process is not None
    trial.ranks.expect_end(process, "fault kill")
    trial.rank(0).end(9)
    trial.look()
    assert trial.outcomes(0) == {"join": "died", "count": "skipped", EXIT: "died"}
    (reaped,) = trial.recorded(REAP)
    assert reaped.value == {"rank": 0, "life": 1, "signal": 9, "by": "fault kill"}
    assert trial.progress.rank(0).ended
    assert trial.ranks.process(0) is None
    assert [process.rank for process in trial.ranks.living()] == [1]


@pytest.mark.parametrize(("status", "outcome"), [(0, "ok"), (3 << 8, "failed")])
def test_an_exit_is_judged_by_its_status(status: int, outcome: str, trial: Trial) -> None:
    """Calls that were left are skipped."""
    trial.ranks.release((0, 1))
    trial.rank(0).write(INVOKE, EXIT, EXIT)
    trial.rank(0).end(status)
    trial.look()
    assert trial.outcomes(0) == {"join": "skipped", "count": "skipped", EXIT: outcome}


def test_words_that_a_rank_wrote_just_before_its_end_count(trial: Trial) -> None:
    """Its file is read once more when it is reaped, whether it rang or not."""
    trial.ranks.release((0, 1))
    trial.rank(0).calls("join", "rendezvous", {"rank": 0})
    trial.rank(0).end(9)
    trial.ranks.reap()
    assert trial.outcomes(0)["join"] == "ok"


def test_an_end_that_comes_after_its_guards_does_not_count(trial: Trial) -> None:
    """The call stays hung, and the history has one end for it."""
    trial.ranks.release((0, 1))
    trial.rank(0).write(INVOKE, "rendezvous", "join")
    trial.ranks.hear()
    trial.ranks.hung(("join", 0, 1, 1), "it lasted too long", "stacks/rank-0.life-1.txt")
    trial.rank(0).write(OK, "rendezvous", "join", {"rank": 0})
    trial.ranks.hear()
    ends = [op for op in trial.recorded("rendezvous") if op.type != INVOKE]
    assert [(op.type, op.value["outcome"]) for op in ends] == [(INFO, "hung")]
    trial.rank(0).end(9)
    trial.ranks.reap()
    exit_op = next(op for op in trial.recorded(EXIT) if op.type == INFO)
    assert (exit_op.value["by"], exit_op.value["stacks"]) == ("guard", "stacks/rank-0.life-1.txt")


def test_a_restarted_rank_has_a_life_of_its_own(trial: Trial) -> None:
    """Calls left from the earlier life are skipped in that life only."""
    trial.ranks.release((0, 1))
    trial.rank(1).end(9)
    trial.ranks.restart(1)
    trial.look()
    assert (trial.progress.rank(1).life, trial.progress.rank(1).begun) == (2, True)
    trial.rank(1, 2).calls("join", "rendezvous", {"rank": 1})
    trial.ranks.hear()
    assert (trial.outcomes(1)["join"], trial.outcomes(1, 2)["join"]) == ("skipped", "ok")


def test_a_ring_of_an_earlier_life_is_not_heard(trial: Trial) -> None:
    """The file of that life is closed."""
    trial.ranks.release((0, 1))
    earlier = trial.rank(1)
    earlier.end(9)
    trial.ranks.restart(1)
    earlier.write(INVOKE, "rendezvous", "join")
    trial.look()
    assert trial.outcomes(1)["join"] == "skipped"
    assert "join" not in trial.outcomes(1, 2)


def test_a_rank_that_never_starts_leaves_without_a_record_of_its_end(trial: Trial) -> None:
    """All its steps and its exit are skipped, with the given reason."""
    trial.ranks.never_start(1, "the rank never comes")
    trial.look()
    assert trial.outcomes(1) == {"join": "skipped", "count": "skipped", EXIT: "skipped"}
    assert trial.progress.rank(1).ended
    assert (len(trial.recorded(NEVER_START)), trial.recorded(REAP)) == (1, [])


def test_a_close_ends_all_that_live_and_waits_for_their_ends(trial: Trial) -> None:
    """The ends are recorded as the harness's, so no claim takes them for crashes."""
    trial.ranks.release((0, 1))
    trial.rank(0).write(INVOKE, EXIT, EXIT)
    trial.rank(0).end(0)
    trial.ranks.close()
    assert trial.session.killed == [1000, 1001] or trial.session.killed == [1001]
    assert trial.ranks.living() == []
    by: list[Any] = [op.value["by"] for op in trial.recorded(REAP)]
    assert "harness" in by


def test_undone_notes_what_fails() -> None:
    """The helper of these tests raises for an act that is to fail, and for no other."""
    undone = Undone(fails=frozenset({"b"}))
    undone.note("a")
    with pytest.raises(RuntimeError, match="b failed"):
        undone.note("b")
