"""How many run directories stay: which go first, which are held, and what a killed runner leaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from everybody_joins import ONE_CELL as TEXT

from harness import archive
from harness.archive import RunDirs, holder, keeping
from harness.archive.layout import HOLDER, META
from harness.loader import load_text
from harness.machine.process import lock
from harness.scenario.scenario import Scenario
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, Judgement

HOLDING = """
import subprocess, sys
from pathlib import Path
from harness.archive import RunDirs
from harness.loader import load_text

(scenario,) = load_text({text!r}, Path("x.rdzv.yaml"))
run_dir = RunDirs(Path(sys.argv[1]), 0).create(scenario, {{}})
child = subprocess.Popen(["sleep", "600"], close_fds=False)
print(run_dir.name, child.pid, flush=True)
sys.stdin.read()
"""


def cell() -> Scenario:
    (scenario,) = load_text(TEXT, Path("here/everybody-joins.rdzv.yaml"))
    return scenario


def stored(folder: Path, name: str, status: str | None) -> None:
    """A run directory of a runner that is gone; without a status it was never judged."""
    archive.fill_run(folder / name, cell(), {})
    if status is not None:
        archive.write_judgement(folder / name, Judgement(status, "so it is"))


def judged(run_dirs: RunDirs, status: str) -> Path:
    """A run that this runner has made and judged."""
    run_dir = run_dirs.create(cell(), {})
    archive.write_judgement(run_dir, Judgement(status, "so it is"))
    run_dirs.judged(run_dir, status)
    return run_dir


def names(folder: Path) -> set[str]:
    """What is there, without the locks of runners."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(holder.PREFIX)}


def prune(folder: Path, keep: int) -> None:
    """What a runner does at its end that has played nothing."""
    run_dirs = RunDirs(folder, keep)
    run_dirs.finish()
    run_dirs.release()


@contextlib.contextmanager
def another_runner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds one run directory, and has a child that took all descriptors that it could."""
    words = [sys.executable, "-c", HOLDING.format(text=TEXT), str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, child = process.stdout.readline().split()
        try:
            yield process, name
        finally:
            os.kill(int(child), signal.SIGKILL)
            process.kill()


# -- which go first ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (9, "1 2 3 4 5 6 7 8"),
        (7, "1 3 4 5 6 7 8"),  # the oldest that passed
        (5, "1 3 5 7 8"),
        (4, "3 5 7 8"),  # the last that passed stays, so the oldest red one goes
        (2, "7 8"),
        (1, "7"),
        (0, ""),
    ],
)
def test_what_went_as_expected_goes_before_what_is_red_and_the_oldest_first(
    keep: int, stay: str, tmp_path: Path
) -> None:
    """Down to a tenth of those that stay: the last that passed can be looked at, however many red ones there are."""
    statuses = (FAILED, PASSED, ERROR, KNOWN, VACUOUS, SKIPPED, None, PASSED)
    for number, status in enumerate(statuses, 1):
        stored(tmp_path, str(number), status)
    prune(tmp_path, keep)
    assert names(tmp_path) == set(stay.split())


def test_nothing_else_is_deleted(tmp_path: Path) -> None:
    """Folders of others, files, and links to run directories stay, whatever their names; no folder is no error."""
    stored(tmp_path / "elsewhere", "1", PASSED)
    (tmp_path / "runs" / "0-notes").mkdir(parents=True)
    (tmp_path / "runs" / "0.txt").touch()
    (tmp_path / "runs" / "1").symlink_to(tmp_path / "elsewhere" / "1")
    prune(tmp_path / "runs", keep=0)
    prune(tmp_path / "missing", keep=0)
    assert names(tmp_path / "runs") == {"0-notes", "0.txt", "1"}
    assert (tmp_path / "elsewhere" / "1" / META).exists()


def test_a_damaged_directory_is_red_and_hangs_nobody(tmp_path: Path) -> None:
    """A FIFO in place of its files, or text that is not JSON."""
    stored(tmp_path, "1", PASSED)
    stored(tmp_path, "2", PASSED)
    (tmp_path / "1" / archive.VERDICT).write_text("[" * 100_000)
    (tmp_path / "2" / META).unlink()
    os.mkfifo(tmp_path / "2" / META)
    (tmp_path / "2" / archive.VERDICT).write_text("{}")
    stored(tmp_path, "3", PASSED)
    prune(tmp_path, keep=2)
    assert names(tmp_path) == {"2", "3"}


def test_a_tenth_is_kept_of_what_went_as_expected() -> None:
    """One at least, unless only one directory stays; with that room, tests can read what they have just played."""
    assert [keeping.greens_kept(keep) for keep in (0, 1, 2, 10, 50, 500)] == [0, 0, 1, 1, 5, 50]


# -- what is held ------------------------------------------------------------------------------------------------


def test_a_directory_of_a_living_runner_stays_and_goes_when_that_is_killed(tmp_path: Path) -> None:
    """The lock ends with its process, even while a child lives that inherited whatever could be inherited."""
    with another_runner(tmp_path) as (process, name):
        prune(tmp_path, keep=0)
        assert names(tmp_path) == {name}
        process.kill()
        process.wait()
        prune(tmp_path, keep=0)
        assert list(tmp_path.iterdir()) == []


def test_a_run_never_prunes_what_its_reports_will_name(tmp_path: Path) -> None:
    """Its own red runs stay, more than `keep` of them, for itself and for others, until it releases them."""
    run_dirs = RunDirs(tmp_path, keep=1)
    reds = {judged(run_dirs, FAILED).name for _ in range(4)}
    green = judged(run_dirs, PASSED)
    assert not green.exists()
    run_dirs.finish()
    prune(tmp_path, keep=0)
    assert names(tmp_path) == reds
    run_dirs.release()
    prune(tmp_path, keep=1)
    assert names(tmp_path) == {max(reds)}


def test_a_directory_without_a_verdict_stays_while_its_runner_lives(tmp_path: Path) -> None:
    """It may be played in at this moment; what passed may go at once."""
    playing = RunDirs(tmp_path, keep=10)
    live, passed = playing.create(cell(), {}), judged(playing, PASSED)
    prune(tmp_path, keep=0)
    assert (live.exists(), passed.exists()) == (True, False)
    playing.release()
    prune(tmp_path, keep=0)
    assert names(tmp_path) == set()


def test_a_folder_that_was_deleted_is_made_again_with_its_lock(tmp_path: Path) -> None:
    """Somebody tidies up while a run goes on: what it makes from then on is held again."""
    run_dirs = RunDirs(tmp_path / "runs", keep=10)
    run_dirs.create(cell(), {})
    shutil.rmtree(tmp_path / "runs")
    live = run_dirs.create(cell(), {})
    prune(tmp_path / "runs", keep=0)
    assert live.exists()
    run_dirs.release()


@pytest.mark.parametrize("name", [None, 7, "", "..", "../x.lock", ".runner-x.lock", f"{holder.PREFIX}{'0' * 16}.lock"])
def test_a_name_that_is_no_lock_holds_nothing(name: object, tmp_path: Path) -> None:
    """`run.json` may say anything."""
    assert not holder.is_held(tmp_path, name)


def test_locks_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    """Otherwise each killed run would leave a file."""
    with another_runner(tmp_path) as (_, _):
        (held,) = tmp_path.glob(f"{holder.PREFIX}*")
        dead = tmp_path / f"{holder.PREFIX}{'0' * 16}.lock"
        dead.touch()
        prune(tmp_path, keep=10)
        assert (held.exists(), dead.exists()) == (True, False)


def test_a_lock_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two calls of its maker somebody else may sweep the file."""
    flock, swept = lock.fcntl.flock, []

    def sweep_first(descriptor: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(lock.fcntl, "flock", sweep_first)
    held = holder.Holder(tmp_path)
    assert held.is_seen
    assert holder.is_held(tmp_path, held.name)
    held.release()
    assert not holder.is_held(tmp_path, held.name)


# -- while a run goes on -----------------------------------------------------------------------------------------


def test_pruning_goes_on_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that go are no runs at once, a few are deleted after each result, and each verdict is read once."""
    for number in range(30):
        stored(tmp_path, f"{number:02}", PASSED)
    reads: list[Path] = []
    row = keeping._row
    monkeypatch.setattr(keeping, "_row", lambda path: reads.append(path) or row(path))
    run_dirs = RunDirs(tmp_path, keep=4)
    for count in range(1, keeping.LOOK_EVERY + 5):
        judged(run_dirs, PASSED)
        found = names(tmp_path)
        assert sum(not name.startswith(keeping.PRUNED) for name in found) == 4
        assert len(found) <= max(4, 4 + 30 - count * (keeping.DELETED_AT_ONCE - 1))
    assert len(reads) == len(set(reads)) == 30
    run_dirs.release()


def test_what_a_killed_prune_left_is_deleted(tmp_path: Path) -> None:
    """Half a directory is never taken for a run: its name says that it goes."""
    stored(tmp_path, f"{keeping.PRUNED}1", FAILED)
    prune(tmp_path, keep=10)
    assert names(tmp_path) == set()


def test_the_end_of_a_run_waits_for_deletions_only_so_long(tmp_path: Path) -> None:
    """The rest is left to the next run; by name all are gone."""
    for number in range(5):
        stored(tmp_path, str(number), PASSED)
    times = iter([0, 0, 0, keeping.CLEANING_LIMIT_NS])
    RunDirs(tmp_path, 1, lambda: next(times)).finish()
    assert [name.startswith(keeping.PRUNED) for name in sorted(names(tmp_path))] == [True, True, False]
    prune(tmp_path, keep=1)
    assert names(tmp_path) == {"4"}


def test_two_runners_prune_one_folder(tmp_path: Path) -> None:
    """What one has taken away is gone for the other, without an error."""
    one, other = RunDirs(tmp_path, keep=2), RunDirs(tmp_path, keep=2)
    reds = {judged(runner, FAILED).name for runner in (one, other)}
    for _ in range(keeping.LOOK_EVERY + 2):
        for runner in (one, other):
            judged(runner, PASSED)
    one.finish()
    other.finish()
    assert reds < names(tmp_path)
    assert len(names(tmp_path)) == 3
    one.release()
    other.release()


def test_a_directory_names_its_holder(tmp_path: Path) -> None:
    """That is how others find the lock, without a file in each directory."""
    run_dirs = RunDirs(tmp_path, keep=1)
    about = archive.read_run(_whole(run_dirs.create(cell(), {}))).meta
    assert holder.is_held(tmp_path, about[HOLDER])
    run_dirs.release()


def _whole(run_dir: Path) -> Path:
    archive.write_history(run_dir, ())
    return run_dir
