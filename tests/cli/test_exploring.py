"""`explore` with a runner that plays nothing: what is asked for, what is printed, and the exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pasts import scenario, step

from harness.cli import exploring, main
from harness.cli.exploring import Request
from harness.cli.reporting import ReportChoice
from harness.explore.canary import canary
from harness.explore.draft import CANARY, LANES, Draft
from harness.explore.observation import Observation, Signature
from harness.explore.parts import CONFIRMED, UNCONFIRMED, UNREPRODUCED, Find, Outcome
from harness.explore.tally import Stored, Tally
from harness.judge.result import Result
from harness.play.options import RunOptions
from harness.values.errors import HarnessError, UsageError
from harness.values.history import History
from harness.values.verdict import Judgement

REQUEST = Request(None, 10, Path("corpus"), Path("findings"))
OPTIONS = RunOptions(subject="static", isolation="host")
SIGNATURE = Signature("no_hang", "get", "worker", "hung")


def find(status: str, signature: Signature = SIGNATURE, draft: Draft | None = None) -> Find:
    played = draft or canary(1)
    outcome = Outcome(18, 20, played if status == CONFIRMED else None)
    return Find(signature, played, status, "hung.get--down", outcome, Observation(played, "failed"))


def stored(status: str, is_new: bool = True) -> Stored:
    return Stored(find(status), Path("findings/hung/minimal.rdzv.yaml"), is_new)


class FakeRunner:
    """Has the explorer ask for nothing; puts a tally in the place of its own, and may raise."""

    seed = 5

    def __init__(self, tally: Tally, error: BaseException | None) -> None:
        self.tally, self.error = tally, error
        self.sources: list[Any] = []

    def __enter__(self) -> FakeRunner:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run_source(self, source: Any) -> Iterator[Any]:
        self.sources.append(source)
        source.tally = self.tally
        yield from ()
        if self.error is not None:
            raise self.error


Explore = Callable[..., tuple[int, FakeRunner]]


@pytest.fixture
def explore(monkeypatch: pytest.MonkeyPatch) -> Explore:
    """Explore with this tally as the end; returns the exit code and the runner."""
    from harness.explore import explorer

    class NoExplorer:
        def __init__(self, parts: Any, settings: Any, forget: Any, now_ns: Any) -> None:
            self.settings, self.tally, self.closed = settings, Tally(), 0

        def close(self) -> None:
            self.closed += 1

    monkeypatch.setattr(explorer, "Explorer", NoExplorer)

    def explore(
        tally: Tally, error: BaseException | None = None, subject: str = OPTIONS.subject, **asked: Any
    ) -> tuple[int, FakeRunner]:
        runner = FakeRunner(tally, error)
        code = exploring.explore(
            replace(REQUEST, **asked),
            replace(OPTIONS, subject=subject),
            lambda options: (runner, lambda run_dir: None),
            lambda request, options: nullcontext(SimpleNamespace()),  # type: ignore[arg-type,return-value]
        )
        return code, runner

    return explore


def tally(*finds: Stored, **statuses: int) -> Tally:
    return Tally(statuses=Counter(statuses or {"passed": 8, "failed": 2}), finds=list(finds))


@pytest.mark.parametrize(
    ("done", "code"),
    [
        (tally(), 0),
        (tally(stored(CONFIRMED)), 1),
        (tally(stored(UNCONFIRMED)), 1),
        (tally(stored(UNREPRODUCED)), 0),
        (tally(stored(CONFIRMED, is_new=False)), 0),
        (tally(stored(CONFIRMED), passed=99, error=1), 1),
        (tally(stored(CONFIRMED), passed=1, error=1), 3),
        (tally(error=3), 3),
        (tally(skipped=3), 3),
    ],
)
def test_the_exit_code_says_whether_something_new_was_found(explore: Explore, done: Tally, code: int) -> None:
    """0 nothing new and unexplained, 1 something new, 3 where the plays say nothing."""
    assert explore(done)[0] == code


def test_what_is_explained_in_the_end_is_not_new(explore: Explore) -> None:
    """A find that shrinks to a known cause."""
    known = Stored(replace(find(CONFIRMED), explained_by="F02"), None, is_new=True)
    assert explore(tally(known))[0] == 0


def test_a_required_canary_that_is_not_found_is_an_error(explore: Explore, capsys: pytest.CaptureFixture[str]) -> None:
    """Also beside a new finding; the sentence says how far it came."""
    assert explore(tally(stored(CONFIRMED)), wants_canary=True)[0] == 3
    assert "error: --require-canary: it was not found" in capsys.readouterr().err
    big = tally()
    big.canary = find(CONFIRMED)
    assert explore(big, wants_canary=True)[0] == 3
    assert "not shrunk to its core: 3 ranks, 6 steps, 1 faults" in capsys.readouterr().err
    whole = canary(1).document
    core = {**whole, "world": {"size": 2}, "workload": whole["workload"][:3], "faults": []}
    big.canary = find(CONFIRMED, draft=Draft(core, CANARY, 1))
    assert explore(big, wants_canary=True)[0] == 0
    assert "found, confirmed and shrunk to its core" in capsys.readouterr().out


def test_an_interrupt_reports_and_keeps_everything(explore: Explore, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 130, and the explorer is closed, which stores what is unfinished."""
    code, runner = explore(tally(stored(CONFIRMED)), KeyboardInterrupt())
    assert (code, runner.sources[0].closed) == (130, 1)
    assert "interrupted" in capsys.readouterr().out


def test_an_error_of_the_harness_still_reports(explore: Explore, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, with the findings until then; before the first play it is the caller's."""
    code, runner = explore(tally(stored(CONFIRMED)), HarnessError("the disk is full"))
    assert (code, runner.sources[0].closed) == (3, 1)
    said = capsys.readouterr()
    assert "error: the disk is full" in said.err
    assert "hung.get--down, 18 of 20 plays" in said.out
    with pytest.raises(UsageError, match="no torch"):
        explore(Tally(), UsageError("no torch"))


def test_the_summary_says_what_to_do_next(explore: Explore, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts by status, known causes with their numbers, new findings with the commands that show and play them."""
    done = tally(stored(CONFIRMED), stored(UNCONFIRMED), stored(UNREPRODUCED), stored(CONFIRMED, is_new=False))
    done.explained.update({"F05": 3, "F02": 40})
    done.features, done.chance, done.investigated = 1234, 0.031, 4
    explore(done)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("static, seed 5: 10 runs (")
    assert lines[1:] == [
        "runs        8 passed, 2 failed; 4 of them for investigations",
        "seen        1,234 features; chance that the next run shows something new: 3.1%",
        "explained   40 F02, 3 F05",
        "seen again  1 hung.get--down",
        "new         hung.get--down, 18 of 20 plays: no_hang worker get: hung",
        "            rdzv-harness findings show hung",
        "            rdzv-harness run findings/hung/minimal.rdzv.yaml --isolation host",
        "unconfirmed hung.get--down, 18 of 20 plays: no_hang worker get: hung",
        "            rdzv-harness run findings/hung/minimal.rdzv.yaml --isolation host",
        "stored      1 seen and not reproduced: findings",
    ]


def test_the_summary_says_where_a_finding_lies_that_is_not_filed(
    explore: Explore, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts as new, with how often it fails."""
    seldom = replace(stored(CONFIRMED), file=Path("findings/unreproduced/hung/minimal.rdzv.yaml"))
    assert explore(tally(seldom))[0] == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("new         hung.get--down, 18 of 20 plays: no_hang worker get: hung")
    assert lines[at + 1 : at + 4] == [
        "            it fails too seldom to be filed, and lies in findings/unreproduced/hung",
        "            rdzv-harness findings show hung",
        "            rdzv-harness run findings/unreproduced/hung/minimal.rdzv.yaml --isolation host",
    ]


@pytest.mark.parametrize(
    ("span", "runs", "asked"),
    [(None, None, 600e9), ("90s", None, 90e9), ("10m", None, 600e9), ("1.5h", None, 5400e9), (None, 7, None)],
)
def test_a_session_ends_by_time_or_by_plays(explore: Explore, span: str | None, runs: int | None, asked: float) -> None:
    """Ten minutes if nothing is said."""
    _, runner = explore(tally(), span=span, runs=runs)
    settings = runner.sources[0].settings
    assert (settings.span_ns, settings.runs) == (asked, runs)
    assert (settings.seed, set(settings.lanes)) == (5, set(LANES) - {CANARY})


@pytest.mark.parametrize(
    ("subject", "others"), [("static", ("static-strict",)), ("static-strict", ("static",)), ("echo", ())]
)
def test_a_session_may_end_at_its_first_find_and_compares_it(
    explore: Explore, subject: str, others: tuple[str, ...]
) -> None:
    """With the other backend of the two; investigations do not wait for other plays then."""
    settings = explore(tally(), subject=subject, until_find=True)[1].sources[0].settings
    assert (settings.until_find, settings.others, settings.share) == (True, others, 1.0)
    assert not explore(tally(), subject=subject)[1].sources[0].settings.until_find


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "10"], "--for 10: write a number and its unit, such as 90s, 10m or 3h"),
        (["--for", "0s"], "--for 0s: it must be longer than nothing and at most 24h"),
        (["--for", "25h"], "--for 25h: it must be longer than nothing"),
        (["--for", "1m", "--runs", "3"], "--for and --runs both say when to end; give one of them"),
        (["--for", "1m", "--runs", "3", "--replay", "x"], "a replay ends after its --runs"),
        (["--lane", "uniforn"], "--lane uniforn: there is systematic, mutation, uniform, clean, canary; did you mean"),
        (["--subject", "command"], "--subject command: its ranks take no steps"),
        (
            ["--like", "static_strict"],
            "--like static_strict: known causes are kept of static and static-strict; did you mean static-strict",
        ),
        (["--world", "clouds"], "--world clouds:"),
        (["--runs", "0"], "Input should be greater than or equal to 1"),
    ],
)
def test_wrong_words_are_explained(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, a sentence and what is allowed."""
    assert main(["explore", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "server", "jobs"),
    [([], "embedded", 12), (["--toxiproxy", "real", "--jobs", "3"], "real", 3)],
)
def test_messages_are_decoded_and_many_worlds_are_played_unless_told_otherwise(
    words: list[str], server: str, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the embedded engine no fault is tied to a message; four worlds for each processor mostly wait."""
    asked: list[Any] = []
    monkeypatch.setattr(exploring, "explore", lambda request, options: asked.append(options) or 0)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert main(["explore", *words]) == 0
    assert [(one.toxiproxy, one.jobs) for one in asked] == [(server, jobs)]
    assert exploring.side_by_side(1000) == exploring.MOST_WORLDS


def test_an_unknown_id_names_the_nearest(tmp_path: Path) -> None:
    """Nothing is played, and no corpus is opened."""
    files = {"0123456789ab": tmp_path / "a", "hung.get--down": tmp_path / "b", "hung.set--down": tmp_path / "c"}
    for wrong, hint in (
        ("hung.get--don.", "did you mean hung.get--down"),
        ("zzz", "`rdzv-harness findings list`"),
        ("hung", "2 ids begin so, hung.get--down and hung.set--down among them"),
    ):
        with pytest.raises(UsageError, match=hint):
            exploring.explore(replace(REQUEST, replay=wrong), OPTIONS, find_files=lambda *_: files)


@pytest.mark.parametrize("word", ["abc", "ab"])
def test_a_replay_is_a_run_of_its_file(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as asked for, with the options of the session; its exit code is that of `run`. The begin suffices."""
    asked: list[Any] = []

    def run(request: Any, options: Any) -> int:
        asked.append((request.paths, request.repeat, request.quiet, options))
        return 4

    monkeypatch.setattr(exploring, "run_files", run)
    request = replace(REQUEST, replay=word, runs=20, quiet=True)
    code = exploring.explore(request, OPTIONS, find_files=lambda *_: {"abc": Path("ab.rdzv.yaml")})
    assert (code, asked) == (4, [((Path("ab.rdzv.yaml"),), 20, True, OPTIONS)])


def test_a_corpus_that_cannot_be_used_ends_before_a_play() -> None:
    """Its error is the caller's, which prints it and ends with 2."""

    def locked(request: Request, options: Any) -> Any:
        raise UsageError("another explorer uses the corpus")

    with pytest.raises(UsageError, match="another explorer"):
        exploring.explore(REQUEST, OPTIONS, lambda options: pytest.fail("a runner was made"), locked)


def test_reports_are_written_of_all_findings_when_it_is_over(
    explore: Explore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an interrupted session, which keeps its exit code; they are checked before anything is played."""
    from harness.cli import finding_results

    red = Result(scenario(step("join")), Judgement("failed", "it hung"), History(), None, 0.1)
    monkeypatch.setattr(finding_results, "results", lambda folder, subject: [red])
    path = tmp_path / "found.json"
    code, _ = explore(Tally(), KeyboardInterrupt(), reports=(ReportChoice("json", path),))
    assert code == 130
    written = json.loads(path.read_text())
    assert written["meta"]["interrupted"]
    assert [row["status"] for row in written["results"]] == ["failed"]
    with pytest.raises(UsageError, match="--report jsno"):
        explore(Tally(), reports=(ReportChoice("jsno", path),))
