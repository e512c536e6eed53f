"""The run directory: what is written is read again, and what is damaged or foreign is refused or left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from everybody_joins import TWO_CELLS as TEXT
from pasts import Past

from harness import archive, clock
from harness.archive.layout import CHECKED, CHECKSUMS
from harness.loader import load_text
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.history import History
from harness.values.ops import Op
from harness.values.verdict import PASSED, Judgement, Verdict

JUDGEMENT = Judgement(PASSED, "1 claim holds", (Verdict("join", PASSED, "2 calls are as claimed", line=9),), ("F1",))


def cell(label: str = "5s") -> Scenario:
    cells = load_text(TEXT, Path("here/everybody-joins.rdzv.yaml"))
    return next(one for one in cells if dict(one.cell) == {"world.timeout": label})


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The directory of a run that has only begun."""
    return archive.create_run(tmp_path / "runs", cell(), {"subject": "static", "seed": 7})


@pytest.fixture
def played(run_dir: Path) -> Path:
    """The directory of a run that was played."""
    archive.write_history(run_dir, Past().all_join().whole())
    return run_dir


def write_ops(path: Path, ops: History, tail: str = "") -> None:
    """The file of one process, with something after its last whole line."""
    path.write_text("".join(json.dumps(op.to_json()) + "\n" for op in ops) + tail, encoding="utf-8")


def forget_checksums(run_dir: Path) -> None:
    """Make it a directory of an older release, which stored no checksums."""
    (run_dir / CHECKSUMS).unlink()
    about = json.loads((run_dir / archive.META).read_text())
    del about[CHECKED]
    (run_dir / archive.META).write_text(json.dumps(about))


# -- written and read again --------------------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_written(run_dir: Path) -> None:
    """Cell, history, judgement, facts and the histories of the steady state."""
    history = archive.write_history(run_dir, Past().all_join().fault("cut", 1, 2).whole())
    archive.write_judgement(run_dir, JUDGEMENT)
    archive.fill_run(run_dir / archive.STEADY, cell(), {})
    steady = archive.write_history(run_dir / archive.STEADY, Past().all_join(step="rendezvous").whole())
    archive.fill_run(run_dir / archive.STEADY_ECHO, cell(), {})
    echo = archive.write_history(run_dir / archive.STEADY_ECHO, Past(2, "echo").all_join(step="rendezvous").whole())
    found = archive.read_run(run_dir)
    assert (found.run_dir, found.scenario) == (run_dir, cell())
    assert (found.history, found.judgement, found.steady, found.steady_echo) == (history, JUDGEMENT, steady, echo)
    assert (found.meta["subject"], found.meta["seed"], found.meta["cell"]) == ("static", 7, [["world.timeout", "5s"]])


def test_a_run_that_was_never_judged_has_no_judgement(played: Path) -> None:
    """Nor a steady state that was never played."""
    found = archive.read_run(played)
    assert (found.judgement, found.steady, found.steady_echo) == (None, None, None)


def test_a_history_is_sorted_and_numbered_when_it_is_written(run_dir: Path) -> None:
    """The processes write side by side, each its own file."""
    ops = list(Past().all_join().whole())
    written = archive.write_history(run_dir, reversed(ops))
    assert [op.index for op in written] == list(range(len(ops)))
    assert [op.time_ns for op in written] == sorted(op.time_ns for op in ops)
    assert archive.read_history(run_dir) == written


# -- cut short and damaged ---------------------------------------------------------------------------------------


def test_a_run_that_was_cut_short_has_what_its_processes_wrote(run_dir: Path) -> None:
    """Without a merged history the files of the processes are merged."""
    write_ops(run_dir / "ops" / "rank-0.jsonl", Past().join(0, 0, 1).so_far())
    write_ops(run_dir / "ops" / "rank-1.jsonl", Past().join(1, 0, 2).so_far())
    calls = archive.read_history(run_dir).calls
    assert [(call.rank, call.outcome) for call in calls] == [(0, "ok"), (1, "ok")]


def test_a_run_that_wrote_nothing_has_an_empty_history(run_dir: Path) -> None:
    """The controller was killed before the first operation."""
    assert archive.read_history(run_dir) == History()


@pytest.mark.parametrize("tail", ['{"time_ns": 1, "ty', "{", '{"time_ns": 1}'])
def test_a_last_line_that_was_cut_short_is_left_out(tail: str, run_dir: Path) -> None:
    """A line counts once its end is written, even if it looks whole before."""
    ops = Past().join(0, 0, 1).so_far()
    path = run_dir / "ops" / "rank-0.jsonl"
    write_ops(path, ops, tail)
    assert archive.read_ops(path) == list(ops)


@pytest.mark.parametrize(
    "line", ["not JSON", "[]", "{}", '{"time_ns": 1, "type": "ok", "f": "get", "process": [0]}', "\ufffd"]
)
def test_a_whole_line_that_is_not_an_operation_is_named(line: str, run_dir: Path) -> None:
    """With its file and its number; a history with a hole must not be judged."""
    ops = Past().join(0, 0, 1).so_far()
    path = run_dir / archive.HISTORY
    write_ops(path, ops, f"{line}\n")
    with pytest.raises(
        HarnessError, match=rf"history\.jsonl:{len(ops) + 1}: not .*; the run directory is damaged, play"
    ):
        archive.read_run(run_dir)


def test_a_changed_byte_is_an_error_at_its_line(played: Path) -> None:
    """Bytes that are not UTF-8 are named with file and line, wherever they are."""
    path = played / archive.HISTORY
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines, 1) if b"train" in line)
    path.write_bytes(path.read_bytes().replace(b"train", b"tr\xffin"))
    with pytest.raises(HarnessError, match=rf"history\.jsonl:{number}: not UTF-8; "):
        archive.read_history(played)


@pytest.mark.parametrize("text", ["", '{"status": "pas', "[]", '{"status": "passed"}'])
def test_a_damaged_judgement_is_an_error_that_names_the_file(text: str, played: Path) -> None:
    """A judgement is stored as a whole or not at all; without one the history can be judged again."""
    (played / archive.VERDICT).write_text(text)
    with pytest.raises(HarnessError, match=r"verdict\.json.*; delete this file, and judge the run again"):
        archive.read_run(played)
    (played / archive.VERDICT).unlink()
    assert archive.read_run(played).judgement is None


# -- foreign -----------------------------------------------------------------------------------------------------


def test_another_directory_is_not_a_run(tmp_path: Path) -> None:
    """The message says what is missing."""
    with pytest.raises(UsageError, match=r"is not a run directory \(it has no run\.json\)"):
        archive.read_run(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"path": "x.rdzv.yaml", "cell": [1]}', '{"path": 1, "cell": {}'])
def test_a_run_whose_facts_are_damaged_is_refused(text: str, played: Path) -> None:
    """Cut short, or written by something else."""
    (played / archive.META).write_text(text)
    with pytest.raises(UsageError, match="is not a complete run directory"):
        archive.read_run(played)


def test_a_run_without_its_scenario_is_refused(played: Path) -> None:
    """Nothing can be judged without it."""
    (played / archive.SCENARIO).unlink()
    with pytest.raises(UsageError, match="is not a complete run directory"):
        archive.read_run(played)


def test_a_cell_that_the_scenario_no_longer_has_is_refused(played: Path) -> None:
    """Somebody edited the copy of the scenario of a run without checksums."""
    forget_checksums(played)
    path = played / archive.SCENARIO
    path.write_text(path.read_text().replace("5s", "6s"))
    with pytest.raises(UsageError, match=r"has no cell .*'5s'.*; was the file edited\?"):
        archive.read_run(played)


def test_a_scenario_that_no_longer_loads_is_refused(played: Path) -> None:
    """With the problems of the file, and the copy that has them."""
    forget_checksums(played)
    (played / archive.SCENARIO).write_text("title: nothing else\n")
    with pytest.raises(ScenarioError, match=r"scenario\.rdzv\.yaml, the copy of here/.*, no longer loads"):
        archive.read_run(played)


def test_a_directory_that_is_deleted_while_it_is_read_is_named(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run prunes it at this moment; and one that was pruned before is named too."""
    load = load_text

    def prune_first(text: str, path: Path) -> tuple[Scenario, ...]:
        shutil.rmtree(played)
        return tuple(load(text, path))

    monkeypatch.setattr("harness.loader.load_text", prune_first)
    with pytest.raises(HarnessError, match=r"was deleted while it was read; a run deletes old .*--keep"):
        archive.read_run(played)
    with pytest.raises(UsageError, match=r"there is no directory .*; a run deletes old .*--keep"):
        archive.read_run(played)


def test_a_run_that_was_cut_short_is_shown_and_never_judged(played: Path) -> None:
    """Nobody knows whether the files of its processes are whole, also if they have an end."""
    write_ops(played / "ops" / "controller.jsonl", archive.read_history(played))
    (played / archive.HISTORY).unlink()
    forget_checksums(played)
    history = archive.read_run(played).history
    assert (len(history.calls), history.ended) == (4, None)


def test_the_checksums_are_those_that_sha256sum_reads(played: Path) -> None:
    """Anybody can check a directory without the harness; the steady state is part of it."""
    archive.fill_run(played / archive.STEADY, cell(), {})
    archive.write_judgement(played, JUDGEMENT)
    archive.write_judgement(played, JUDGEMENT)
    checked = subprocess.run(["sha256sum", "--check", CHECKSUMS], cwd=played, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout.count(": OK")) == (0, 7), checked


@pytest.mark.parametrize("text", ["x\n", f"{'0' * 64}  ../x y\n"])
def test_damaged_checksums_are_named_with_their_line(text: str, played: Path) -> None:
    """They are checked like everything else; and they are missed where `run.json` promises them."""
    path = played / CHECKSUMS
    path.write_text(path.read_text() + text)
    with pytest.raises(HarnessError, match=rf"{CHECKSUMS}:4: not a checksum and a name; "):
        archive.read_run(played)
    path.unlink()
    with pytest.raises(HarnessError, match=rf"{CHECKSUMS}: it is missing; "):
        archive.read_run(played)


def test_a_file_that_is_not_listed_is_damage(played: Path) -> None:
    """A list that was cut short checks nothing less; each file is listed before it is there."""
    archive.write_judgement(played, JUDGEMENT)
    lines = (played / CHECKSUMS).read_text().splitlines(keepends=True)
    for number, name in enumerate((archive.SCENARIO, archive.META, archive.HISTORY, archive.VERDICT)):
        (played / CHECKSUMS).write_text("".join(lines[:number] + lines[number + 1 :]))
        with pytest.raises(HarnessError, match=rf"{name}: it has no line in {CHECKSUMS}; "):
            archive.read_run(played)


# -- making and deleting -----------------------------------------------------------------------------------------


def test_two_runs_of_one_moment_get_directories_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several controllers may begin in the same millisecond."""
    monkeypatch.setattr(clock, "wall_time", lambda: 1_700_000_000.25)
    first, second = (archive.create_run(tmp_path, cell(), {}) for _ in range(2))
    assert first.name == "20231114-221320-250-everybody-joins-timeout=5s"
    assert second.name == f"{first.name}-2"


def test_a_directory_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    """A file has its name; the message has the option that chooses another place."""
    tmp_path.joinpath("runs").touch()
    with pytest.raises(UsageError, match=r"cannot create .*/runs/.* \(File exists\); choose another --runs-dir"):
        archive.create_run(tmp_path / "runs", cell(), {})


def test_an_operation_survives_its_line() -> None:
    """Every operation of a history with calls, errors, faults and the ends of processes."""
    past = Past().join(0, 0, 1, "failed").join(1, None, 1, "skipped").fault("cut", 1, 2).ends(1, None, 3, signal=9)
    for op in past.whole():
        assert Op.from_json(json.loads(json.dumps(op.to_json()))) == op
