"""The loop of `run --watch` with files that are only numbers, and its rounds with a runner that plays nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from test_running import FakeRunner

from harness.cli import main, streams
from harness.cli.reporting import ReportChoice
from harness.cli.running import Request
from harness.cli.watched_files import Seen, Stamp, look
from harness.cli.watching import Rounds, Watch
from harness.play.options import RunOptions
from harness.values.errors import UsageError
from harness.values.verdict import FAILED, PASSED

A, B, C = (Path(f"sc/{name}.rdzv.yaml") for name in "abc")
FOLDERS = frozenset({Path("sc")})
Act = Callable[[], object]


class World:
    """Files by their stamps, events that change them, and rounds that play nothing."""

    def __init__(self) -> None:
        self.scenarios: dict[Path, Stamp] = {A: (1,), B: (1,)}
        self.named: dict[str, Stamp] = {}
        self.folders = [FOLDERS]
        self.events: list[Act] = []
        self.meanwhile: dict[str, list[Act]] = {"read": [], "play": [], "settle": [], "follow": []}
        self.read_files: list[list[Path]] = []
        self.played: list[list[Path]] = []
        self.codes: list[int | Exception] = []
        self.followed: list[Collection[Path]] = []
        self.programs: dict[str, list[Path]] = {}

    def watch(self) -> int:
        return Watch(self, self.look, self).run()  # type: ignore[arg-type]

    def look(self, words: Collection[str]) -> Seen:
        named = {word: stamp for word, stamp in self.named.items() if word in words}
        return Seen(dict(self.scenarios), named, self.folders[0])

    # -- as FolderChanges

    def follow(self, folders: Collection[Path]) -> bool:
        self.followed.append(folders)
        self._pass("follow")
        return folders == self.folders[0]

    def wait(self) -> None:
        if not self.events:
            raise KeyboardInterrupt
        self.events.pop(0)()

    def settle(self) -> None:
        self._pass("settle")

    # -- as Rounds

    paths = (Path("sc"),)

    @property
    def words(self) -> frozenset[str]:
        return frozenset(self.programs)

    def users(self, words: Collection[str]) -> list[Path]:
        return [path for word in words for path in self.programs[word]]

    def read(self, files: Sequence[Path], gone: Sequence[Path]) -> None:
        if files or gone:
            self.read_files.append([*files])
            self._pass("read")

    def play(self, files: Sequence[Path]) -> int:
        self.played.append([*files])
        self._pass("play")
        code = self.codes.pop(0) if self.codes else 0
        if isinstance(code, Exception):
            raise code
        return code

    def _pass(self, when: str) -> None:
        if self.meanwhile[when]:
            self.meanwhile[when].pop(0)()

    def save(self, *files: Path | str) -> Act:
        def act() -> None:
            for file in files:
                place: dict[Any, Stamp] = self.scenarios if isinstance(file, Path) else self.named
                place[file] = (*place.get(file, ()), 1)

        return act


def test_all_is_played_once_and_then_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """Saved, new or gone: a line names it; what has gone is not played."""
    world = World()
    world.events = [world.save(A), world.save(C, B), lambda: world.scenarios.pop(A)]
    assert world.watch() == 0
    assert world.played == [[A, B], [A], [B, C]]
    waiting = "watching sc: {} scenario files; save one to play it again, Ctrl-C ends"
    assert capsys.readouterr().err.splitlines() == [
        waiting.format(2), f"changed: {A}", waiting.format(2), f"changed: {B}; new: {C}", waiting.format(3),
        f"gone: {A}", waiting.format(2), "the watch has ended",
    ]  # fmt: skip


def test_what_changes_nothing_that_counts_plays_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Reports and run directories in a watched folder are events too."""
    world = World()
    world.events = [lambda: None, lambda: None]
    assert world.watch() == 0
    assert world.played == [[A, B]]
    assert capsys.readouterr().err.count("watching") == 1


def test_what_is_saved_during_a_round_is_played_after_it() -> None:
    """Although no event may come any more."""
    world = World()
    world.meanwhile["play"] = [world.save(A), world.save(B)]
    world.watch()
    assert world.played == [[A, B], [A], [B]]


def test_a_file_is_read_when_it_is_no_longer_being_saved() -> None:
    """All that is saved until then is one round."""
    world = World()
    world.events = [world.save(A)]
    world.meanwhile["settle"] = [world.save(A, B)]
    world.watch()
    assert world.played == world.read_files == [[A, B], [A, B]]


def test_a_file_that_is_saved_while_it_is_read_is_read_again() -> None:
    """What was read may be its older text."""
    world = World()
    world.events = [world.save(A)]
    world.meanwhile["read"] = [lambda: None, world.save(A)]
    world.watch()
    assert world.played == [[A, B], [A], [A]]


def test_a_program_that_changes_plays_the_scenarios_whose_job_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that comes later, or is gone for a while; one that no file names any more is nothing."""
    world = World()
    world.named, world.programs = {"a.py": (1,)}, {"a.py": [A, B], "b.py": [B]}

    def unnamed() -> None:
        world.save(A)()
        del world.programs["a.py"]

    world.events = [
        world.save("a.py"), world.save("b.py"), lambda: world.named.pop("b.py"), world.save("b.py"), unnamed,
    ]  # fmt: skip
    world.watch()
    assert world.played == [[A, B], [A, B], [B], [B], [A]]
    said = capsys.readouterr().err.splitlines()
    assert "watching sc: 2 scenario files and 1 file of their jobs; save one to play it again, Ctrl-C ends" in said
    assert [line for line in said if not line.startswith("watching")] == [
        "changed: a.py", "new: b.py", "gone: b.py", "new: b.py", f"changed: {A}", "the watch has ended",
    ]  # fmt: skip


def test_only_a_few_of_many_files_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A branch that is checked out changes hundreds."""
    world = World()
    world.events = [world.save(*(Path(f"{number}.rdzv.yaml") for number in range(9)))]
    world.watch()
    assert "new: 0.rdzv.yaml, 1.rdzv.yaml, 2.rdzv.yaml, 3.rdzv.yaml, 4.rdzv.yaml (and 4 more)\n" in (
        capsys.readouterr().err
    )


def test_folders_that_come_are_watched_before_they_are_looked_through() -> None:
    """Else a file that is saved in between would never be seen; one that goes meanwhile is looked for again."""
    world = World()
    more = FOLDERS | {Path("sc/new")}
    world.folders = [FOLDERS, more]
    world.meanwhile["follow"] = [lambda: world.folders.pop(0)]
    world.watch()
    assert world.followed[:2] == [FOLDERS, more]
    assert set(world.followed[1:]) == {more}


@pytest.mark.parametrize(("codes", "code"), [([1, 0], 0), ([0, 1], 1), ([5, 2], 2)])
def test_ctrl_c_while_nothing_is_played_ends_with_the_last_round(codes: list[int | Exception], code: int) -> None:
    """As its results were; a file that is gone is no round."""
    world = World()
    world.codes = codes
    world.events = [world.save(A), lambda: world.scenarios.pop(B)]
    assert world.watch() == code
    assert len(world.played) == 2


def test_ctrl_c_while_something_is_played_ends_as_run_does() -> None:
    """At once, with 130."""
    world = World()
    world.codes = [0, 130]
    world.events = [world.save(A), world.save(B)]
    assert world.watch() == 130
    assert world.played == [[A, B], [A]]


def test_an_error_ends_the_watch_before_the_first_round_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Later it is printed, and its code is the round's."""
    world = World()
    world.codes = [UsageError("no torch")]
    with pytest.raises(UsageError, match="no torch"):
        world.watch()
    world.codes = [0, UsageError("no program")]
    world.events = [world.save(A)]
    assert world.watch() == 2
    assert "error: no program\n" in capsys.readouterr().err


def test_the_watch_ends_where_nobody_can_see_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head` has ended; the command then says so."""
    world = World()
    world.codes, world.events = [1], [world.save(A)]
    monkeypatch.setattr(streams, "flush", lambda: BrokenPipeError())
    assert world.watch() == 1
    assert world.played == [[A, B]]


# -- what is played in a round -----------------------------------------------------------------------------------------

TEXT = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {step: join, is: ok}
"""
JOB = "schema: rdzv-scenario/v1\ntitle: A job\njob: {argv: ARGV}\nworld: {size: 1}\nexpect: [{step: exit, code: 0}]\n"


def write(folder: Path, name: str, text: str = TEXT) -> Path:
    path = folder / f"{name}.rdzv.yaml"
    path.write_text(text)
    return path


def rounds_of(runner: FakeRunner, options: RunOptions | None = None, **request: Any) -> Rounds:
    return Rounds(Request((Path("sc"),), **request), options or RunOptions(runs_dir=Path("no/such/folder")), runner)


def test_names_are_chosen_as_among_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`late` is one cell's id, so `late-worker`, which has the word, is not chosen in a round of its own either."""
    late, worker = write(tmp_path, "late"), write(tmp_path, "late-worker")
    runner = FakeRunner([PASSED])
    rounds = rounds_of(runner, names="late")
    rounds.read([late, worker], ())
    assert rounds.play([late, worker]) == 0
    assert rounds.play([worker]) == 5
    assert runner.asked == [(["late"], 1, False)]
    assert "nothing selected: no cell of these files fits --tags and -k" in capsys.readouterr().err


def test_a_file_with_mistakes_prints_them_and_the_others_are_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only in rounds of its own; the code is 2, and once it is mended it is played."""
    good, bad = write(tmp_path, "good"), write(tmp_path, "bad", TEXT.replace("rendezvous", "rendevous"))
    runner = FakeRunner([PASSED])
    rounds = rounds_of(runner)
    rounds.read([good, bad], ())
    assert rounds.play([good, bad]) == 2
    assert runner.asked.pop() == (["good"], 1, False)
    said = capsys.readouterr().err
    assert f"{bad}:5:20: there is no step 'rendevous'" in said
    assert said.endswith("1 problem\n")
    assert rounds.play([bad]) == 2
    assert rounds.play([good]) == 0
    write(tmp_path, "bad")
    rounds.read([bad], ())
    capsys.readouterr()
    assert rounds.play([bad]) == 0
    assert runner.asked == [(["good"], 1, False), (["bad"], 1, False)]
    assert capsys.readouterr().err == ""


def test_an_interrupt_while_others_are_played_is_the_code_of_the_round(tmp_path: Path) -> None:
    """Also beside a file with mistakes."""
    rounds = rounds_of(FakeRunner([KeyboardInterrupt()]))
    files = [write(tmp_path, "good"), write(tmp_path, "bad", "")]
    rounds.read(files, ())
    assert rounds.play(files) == 130


def test_a_report_is_that_of_the_last_round(tmp_path: Path) -> None:
    """Each round writes it again."""
    report = tmp_path / "r.json"
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    rounds = rounds_of(FakeRunner([FAILED, PASSED]), reports=(ReportChoice("json", report),))
    rounds.read([a, b], ())
    for files, expected in (([a, b], ["failed", "passed"]), ([b], ["failed"])):
        assert rounds.play(files) == 1
        assert [row["status"] for row in json.loads(report.read_text())["results"]] == expected


def test_the_words_of_jobs_are_those_of_all_ranks(tmp_path: Path) -> None:
    """Those behind `--` too, but only where they start a job."""
    own = write(tmp_path, "own", JOB.replace("ARGV", "[python3, train.py]"))
    other = write(tmp_path, "other", JOB.replace("{argv: ARGV}", "{}"))
    rounds = rounds_of(FakeRunner([]), RunOptions(subject="command"))
    rounds.read([own, other], ())
    assert rounds.words == {"python3", "train.py"}
    with pytest.raises(UsageError, match="needs the program of rank 0"):
        rounds.play([other])
    rounds = rounds_of(FakeRunner([]), RunOptions(subject="command", command=("./job.sh",)))
    rounds.read([own, other], ())
    assert (rounds.words, rounds.users(["./job.sh"])) == ({"./job.sh"}, [own, other])
    rounds.read([], [own])
    assert rounds.users(["./job.sh"]) == [other]
    echo = rounds_of(FakeRunner([]), RunOptions(subject="echo"))
    echo.read([own], ())
    assert echo.words == frozenset()


# -- what is looked at -------------------------------------------------------------------------------------------------


def test_a_look_has_scenarios_named_files_and_the_folders_of_both(tmp_path: Path) -> None:
    """Run directories have scenario files too, and do not count; a path that is gone may come back."""
    scenarios, runs, linked = tmp_path / "sc", tmp_path / "sc" / "runs", tmp_path / "linked"
    for folder in (scenarios / "deeper" / ".hidden", runs / "run", linked):
        folder.mkdir(parents=True)
    a, target = write(scenarios / "deeper", "a"), write(linked, "target")
    write(runs / "run", "scenario")
    (scenarios / "link.rdzv.yaml").symlink_to(target)
    (tmp_path / "train.py").touch()
    words = ["python3", str(tmp_path / "train.py"), "-c", "a\0b", str(tmp_path / "bin" / "none")]
    seen = look([scenarios, tmp_path / "gone" / "x.rdzv.yaml"], words, runs)
    assert list(seen.scenarios) == [scenarios / "link.rdzv.yaml", a]
    assert list(seen.named) == [str(tmp_path / "train.py")]
    assert seen.folders == {tmp_path, scenarios, scenarios / "deeper", linked, Path()}


def test_each_save_is_another_stamp(tmp_path: Path) -> None:
    """Written over, or put in its place; and none is left of what cannot be looked at."""
    path = write(tmp_path, "a")
    stamps = [look([path], (), tmp_path / "runs").scenarios]
    path.write_text(TEXT + "\n")
    stamps.append(look([path], (), tmp_path / "runs").scenarios)
    write(tmp_path, "b", TEXT + "\n").replace(path)
    stamps.append(look([path], (), tmp_path / "runs").scenarios)
    path.unlink()
    path.symlink_to("nowhere")
    stamps.append(look([path], (), tmp_path / "runs").scenarios)
    assert stamps[-1] == {path: ()}
    assert len({tuple(one.items()) for one in stamps}) == 4


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--watch: no path means scenarios that ship with the harness"),
        (["builtin:timeouts", "sc"], "--watch: builtin:timeouts means scenarios that ship with the harness"),
        (["sc", "--last-failed"], "--watch and --last-failed exclude each other"),
        (["sc", "--cluster", "local:1"], "--watch and --cluster exclude each other; each round"),
        (["sc", "--shard", "1/2"], "--watch and --shard exclude each other"),
        (["sc", "--until-fail"], "--watch and --until-fail exclude each other; give --repeat N"),
        (["sc", "--history", "nights.jsonl"], "--watch and --history exclude each other"),
        (["sc", "--json", "-"], "--watch and a report on standard output exclude each other; give it a file"),
        (["no/such/folder"], "no/such/folder does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """With all reasons at once, and exit code 2."""
    (tmp_path / "sc").mkdir()
    write(tmp_path / "sc", "a")
    monkeypatch.chdir(tmp_path)
    assert main(["--no-config", "run", "--watch", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {message}")
    assert (said.out, [path.name for path in tmp_path.iterdir()]) == ("", ["sc"])
