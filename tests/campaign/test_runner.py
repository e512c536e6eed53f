"""The parent's side, with real controllers and the subject that needs no torch."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.archive import RunDirs, play_id, read_history, read_run
from harness.campaign.runner import Runner
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.loader import load_text
from harness.machine.process.interpreter import examine
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.schedule.time_limit import longest_ns
from harness.values.errors import HarnessError, Unsupported
from harness.values.history import History

HEAD = "schema: rdzv-scenario/v1\ntitle: A claim\n"
JOIN = "world: {size: 3, timeout: 2s, route: direct}\nworkload:\n  - {do: rendezvous}\n"


def cell(body: str, name: str = "claim") -> Scenario:
    """The one cell of a file; where the body claims nothing, that the joins end."""
    if "expect:" not in body:
        body += "expect:\n  - {step: rendezvous}\n"
    (scenario,) = load_text(HEAD + body, Path(f"{name}.rdzv.yaml"))
    return scenario


@pytest.fixture(params=["auto", "host"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runner]:
    options = RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=2, seed=7, isolation=request.param)
    with Runner(options) as running:
        yield running


def descendants() -> set[str]:
    """Command lines of the processes that this process has started and that still run."""
    me = str(os.getpid())
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            if fields and fields[1] == me and fields[0] not in "ZX":
                found.add((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_a_world_joins_and_the_verdict_stands_on_its_history(runner: Runner) -> None:
    """Scenario in, judged world out, everything in the run directory."""
    result = runner.play(cell(JOIN + "expect:\n  - {step: rendezvous, is: ok, within: 2s}\n"))
    assert (result.status, result.judgement.broken) == ("passed", ())
    assert {call.outcome for call in result.history.calls} == {"ok"}
    assert result.run_dir is not None
    assert {"scenario.rdzv.yaml", "run.json", "plan.json", "history.jsonl", "verdict.json"} <= {
        path.name for path in result.run_dir.iterdir()
    }
    about = read_run(result.run_dir).meta
    assert {name: about[name] for name in result.origin} == result.origin
    assert datetime.fromisoformat(about["started_at"].replace("Z", "+00:00")).utcoffset() == timedelta(0)
    versions = result.history.begin["versions"]
    assert about["ranks"] == {"python": versions["python"], "torch": versions.get("torch") or ""}
    torch, options = about["ranks"]["torch"], runner.options
    assert about["play"] == play_id(result.scenario, result.seed, torch, options.subject, options.command)


def test_cells_play_side_by_side_and_all_come_back(runner: Runner) -> None:
    """Two worlds, six cells: each is played once, whatever the order."""
    cells = [cell(JOIN, f"claim-{number}") for number in range(6)]
    results = list(runner.run(cells))
    assert sorted(result.scenario.name for result in results) == sorted(one.name for one in cells)
    assert {result.status for result in results} == {"passed"}


def test_repeats_have_seeds_of_their_own(runner: Runner) -> None:
    """Attempt n is played with the run's seed + n - 1, so that any one can be played again."""
    results = list(runner.run([cell(JOIN)], repeat=3))
    assert sorted((result.attempt, result.seed) for result in results) == [(1, 7), (2, 8), (3, 9)]


def test_until_fail_stops_at_the_first_red_one(runner: Runner) -> None:
    """No more is sent once one is bad; what runs is still reported."""
    results = list(runner.run([cell(JOIN + "expect:\n  - {step: rendezvous, is: failed}\n")], 50, until_fail=True))
    assert 1 <= len(results) <= 3
    assert results[0].status == "failed"


def test_a_red_verdict_is_checked_against_the_steady_state(runner: Runner) -> None:
    """The same world joins once without faults; that run lies beside the red one."""
    fault = "faults:\n  - {inject: kill, ranks: 1, after: {step: rendezvous, is: ok}}\n"
    result = runner.play(cell(JOIN + fault + "expect:\n  - {step: rendezvous, is: failed}\n"))
    assert result.status == "failed"
    assert result.run_dir is not None
    assert (result.run_dir / "steady" / "history.jsonl").exists()
    assert not (result.run_dir / "steady-echo").exists()


def test_a_subject_that_fails_without_faults_too_is_failed_where_echo_joins(tmp_path: Path) -> None:
    """A command that always ends badly: the machine is cleared, and the stored run is judged alike."""
    body = JOIN + "faults:\n  - {inject: pause, ranks: 1, for: 50ms}\nexpect:\n  - {step: exit, is: ok}\n"
    command = ("sh", "-c", "sleep 0.3; exit 1")
    with Runner(RunOptions(subject="command", command=command, runs_dir=tmp_path, jobs=1)) as runner:
        result = runner.play(cell(body))
    assert result.status == "failed", result.judgement
    assert "it joins with the subject echo, so the cause is command and not the machine" in result.judgement.because
    assert result.run_dir is not None
    stored = read_run(result.run_dir)
    assert stored.steady is not None
    assert stored.steady_echo is not None
    assert {call.outcome for call in stored.steady_echo.rendezvous_calls} == {"ok"}
    assert judge(stored.scenario, stored.history, stored.steady, stored.steady_echo) == result.judgement


def test_a_rank_that_dies_of_a_signal_is_seen(runner: Runner) -> None:
    """A killed rank's call has died, its later steps are skipped, and no_crash knows the fault."""
    body = JOIN + (
        "  - {id: stay, do: sleep, for: 30s}\n  - {id: then, do: sleep, for: 1s, ranks: 1}\n"
        "faults:\n  - {inject: kill, ranks: all, after: {step: stay, is: begun}}\n"
        "expect:\n  - {step: stay, is: died}\n  - {step: then, is: skipped}\n  - {step: exit, is: died}\n"
    )
    result = runner.play(cell(body))
    assert (result.status, result.judgement.because, result.judgement.broken) == (
        "passed",
        result.judgement.because,
        (),
    )


def test_a_call_that_outlasts_its_guard_is_hung_and_its_stacks_are_kept(runner: Runner) -> None:
    """The guard ends the rank from outside; the report has the Python line it hung at."""
    body = (
        "world: {size: 1, timeout: 1s, guard: 300ms, route: direct}\nworkload:\n  - {do: rendezvous}\n"
        "  - {do: wait, key: never, timeout: 20s}\n"
    )
    result = runner.play(cell(body))
    assert result.status == "failed"
    (hung,) = (call for call in result.history.calls if call.outcome == "hung")
    assert hung.end is not None
    assert result.run_dir is not None
    stacks = (result.run_dir / hung.end.value["stacks"]).read_text()
    assert "wait" in stacks


def test_a_written_exit_ends_the_rank_with_its_status(runner: Runner) -> None:
    """`exit` with code 3 is what its supervisor sees."""
    body = JOIN + "  - {id: leave, do: exit, code: 3, ranks: 1}\nexpect:\n  - {step: exit, ranks: 1, is: failed}\n"
    result = runner.play(cell(body))
    assert result.status == "passed", result.judgement
    (end,) = (op for op in result.history if op.f == "exit" and op.process.rank == 1 and op.type == "fail")
    assert end.value["status"] == 3


def test_a_killed_rank_that_is_healed_lives_again(runner: Runner) -> None:
    """Healing a kill starts the rank anew, from its first step, in its next life."""
    body = JOIN + (
        "  - {id: stay, do: sleep, for: 100ms, ranks: 1, life: 2}\n"
        "  - {id: hold, do: sleep, for: 30s, ranks: 1, life: 1}\n"
        "faults:\n  - {inject: kill, ranks: 1, after: {step: hold, is: begun}, for: 100ms}\n"
        "expect:\n  - {step: stay, is: ok}\n  - {step: hold, life: 1, is: died}\n"
    )
    result = runner.play(cell(body))
    assert {call.life for call in result.history.calls if call.rank == 1} == {1, 2}
    assert result.judgement.broken == (), result.judgement


def test_a_fault_that_came_too_late_makes_the_cell_vacuous(runner: Runner) -> None:
    """What was never injected proves nothing."""
    result = runner.play(cell(JOIN + "faults:\n  - {id: late, inject: kill, ranks: 1, after: 60s}\n"))
    assert result.status == "vacuous"


def test_a_controller_that_dies_is_an_error_and_the_next_cell_gets_a_new_one(tmp_path: Path) -> None:
    """The harness replaces what it lost, and says so."""
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1)) as runner:
        assert runner.play(cell(JOIN)).status == "passed"
        results: list[Result] = []
        body = JOIN + "  - {do: sleep, for: 30s}\n"

        class KillTheController:
            def started(self, scenario: Scenario, attempt: int) -> None:
                for child in psutil.Process().children():
                    child.kill()

        results += runner.run([cell(body)], observer=KillTheController())
        results += runner.run([cell(JOIN)])
    assert [result.status for result in results] == ["error", "passed"]


def test_a_harness_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error names what is not an interpreter, before anything is started."""
    with Runner(RunOptions(subject="static", python="/bin/false", runs_dir=tmp_path, jobs=1)) as runner:
        with pytest.raises(HarnessError, match="false"):
            runner.play(cell(JOIN))


def test_what_the_machine_lacks_is_an_error_for_every_cell_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only to the first: a wrong interpreter each time, a missing server also after a cell that needs none."""
    with Runner(RunOptions(python="/bin/false", runs_dir=tmp_path, jobs=1)) as runner:
        for _ in range(2):
            with pytest.raises(HarnessError, match="/bin/false is not a Python"):
                runner.play(cell(JOIN))
    with Runner(RunOptions(subject="echo", toxiproxy="real", runs_dir=tmp_path, jobs=1)) as runner:
        assert runner.play(cell(JOIN)).status == "passed"
        monkeypatch.setattr("harness.campaign.runner.require_server", no_server)
        with pytest.raises(HarnessError, match="no toxiproxy-server"):
            runner.play(cell(JOIN.replace(", route: direct", "")))


def no_server() -> Path:
    raise Unsupported("proxy", "there is no toxiproxy-server on this machine")


def test_leaving_the_runner_leaves_nothing_running(tmp_path: Path) -> None:
    """No process of a world outlives the runner, no log folder either."""
    before = descendants()
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=2)) as runner:
        assert runner.play(cell(JOIN)).status == "passed"
        assert descendants() > before
    assert descendants() == before
    assert not (tmp_path / ".controllers" / str(os.getpid())).exists()


def test_only_the_newest_run_directories_are_kept(tmp_path: Path) -> None:
    """`keep` bounds what piles up."""
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1, keep=2)) as runner:
        last = [result.run_dir for result in runner.run([cell(JOIN)], repeat=4)][-1]
    runs = sorted(path for path in tmp_path.iterdir() if path.name[0] != ".")
    assert len(runs) == 2
    assert last in runs


def test_a_run_keeps_its_own_red_directories_and_prunes_while_it_goes_on(tmp_path: Path) -> None:
    """The reports find every directory of a red one, and never many of the others."""
    red, green = cell(JOIN + "expect:\n  - {step: rendezvous, is: failed}\n", "red"), cell(JOIN, "green")
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1, keep=2)) as runner:
        reds = [runner.play(red).run_dir for _ in range(3)]
        for _ in range(3):
            runner.play(green)
            assert len([path for path in tmp_path.iterdir() if path.name.endswith("green")]) <= 1
        assert all(path is not None and (path / "history.jsonl").exists() for path in reds)


def test_a_damaged_history_is_an_error_of_its_cell_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are played and judged."""
    reads: list[Path] = []

    def read(run_dir: Path) -> History:
        reads.append(run_dir)
        if len(reads) == 1:
            (run_dir / "history.jsonl").write_text("damaged\n")
        return read_history(run_dir)

    monkeypatch.setattr("harness.campaign.runner.read_history", read)
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1)) as runner:
        results = list(runner.run([cell(JOIN)], repeat=2))
    assert [result.status for result in results] == ["error", "passed"]
    assert "history.jsonl:1: not an operation" in results[0].judgement.because


def test_runs_side_by_side_in_one_folder_do_not_delete_each_others_directories(tmp_path: Path) -> None:
    """Each keeps no directory at all, so each would delete whatever it may."""
    file = tmp_path / "claim.rdzv.yaml"
    file.write_text(HEAD + JOIN + "expect:\n  - {step: rendezvous}\n")
    words = [sys.executable, "-m", "harness.cli", "run", str(file), "--subject", "echo", "--jobs", "2", "--keep", "0"]
    words += ["--repeat", "8", "--runs-dir", str(tmp_path / "runs")]
    runs = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    kept = {path.name for path in (tmp_path / "runs").iterdir()}
    assert kept <= {".controllers", ".last-failed.json"}


def test_nothing_that_a_run_starts_holds_its_lock(tmp_path: Path) -> None:
    """The lock must end with the runner: no controller, helper or rank has the lock file open."""
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1)) as runner:
        results = runner.run([cell(JOIN), cell(JOIN)])
        next(results)
        (lock,) = tmp_path.glob(".runner-*.lock")
        below = psutil.Process().children(recursive=True)
        assert below
        assert open_files(os.getpid()) >= {str(lock)}
        assert [child for child in below if str(lock) in open_files(child.pid)] == []
        results.close()


def open_files(pid: int) -> set[str]:
    """What the descriptors of a process lead to."""
    found = set()
    for descriptor in Path("/proc", str(pid), "fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(descriptor))
    return found


def test_the_longest_a_play_may_take_counts_guards_and_durations() -> None:
    """Only a stuck controller outlasts it."""
    short, long = cell(JOIN), cell(JOIN + "  - {do: sleep, for: 100s, after: 50s}\n")
    assert longest_ns(long) - longest_ns(short) >= 150 * 10**9


def test_the_longest_a_play_of_agents_may_take_counts_each_attempt() -> None:
    """Every worker may start anew, and take as long as the first."""
    once, thrice = (
        cell(JOIN.replace("route", f"torchrun: {{max_restarts: {restarts}}}, route")) for restarts in (0, 2)
    )
    assert longest_ns(thrice) >= 3 * longest_ns(once)


@pytest.mark.needs_torch
def test_ranks_run_under_another_interpreter_with_another_torch(tmp_path: Path) -> None:
    """One harness, two torches: the ranks' first operation records which one they have, and where it lies."""
    other = os.environ.get("RDZV_OTHER_PYTHON")
    if other is None:
        pytest.skip("RDZV_OTHER_PYTHON names no second environment with another torch")
    wanted = examine(Path(other))
    with Runner(RunOptions(python=other, runs_dir=tmp_path, jobs=1)) as runner:
        result = runner.play(cell(JOIN + "expect:\n  - {step: rendezvous, is: ok}\n"))
    assert result.status == "passed", result.judgement
    ready = [op.value for op in result.history if op.f == "ready"]
    assert {facts["torch"].split("+")[0] for facts in ready} == {wanted.torch}
    assert all(facts["torch_file"].startswith(wanted.prefix) for facts in ready)
    assert wanted.torch != examine(Path(sys.executable)).torch


def until_error(results: Iterator[Result]) -> tuple[list[str], HarnessError | None]:
    """The statuses that come, and the error that ends them."""
    statuses: list[str] = []
    try:
        for result in results:
            statuses.append(result.status)
    except HarnessError as error:
        return statuses, error
    return statuses, None


def test_a_disk_that_is_full_stops_the_run_after_the_results_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an error for each of many cells; another run of the same runner may begin again."""
    made: list[Path] = []

    create = RunDirs.create

    def until_full(run_dirs: RunDirs, *about: Any) -> Path:
        if len(made) == 2:
            raise HarnessError("cannot create it; free some space")
        made.append(create(run_dirs, *about))
        return made[-1]

    monkeypatch.setattr(RunDirs, "create", until_full)
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=2)) as runner:
        statuses, error = until_error(runner.run([cell(JOIN, f"claim-{number}") for number in range(5)]))
        assert (statuses, str(error)) == (["passed", "passed"], "cannot create it; free some space")
        made.clear()
        assert runner.play(cell(JOIN)).status == "passed"


def test_a_result_whose_verdict_cannot_be_stored_is_still_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is yielded; then the run ends with the error."""

    def full(*_: Any) -> None:
        raise HarnessError("cannot write verdict.json")

    monkeypatch.setattr("harness.campaign.runner.write_judgement", full)
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=1)) as runner:
        statuses, error = until_error(runner.run([cell(JOIN, f"claim-{number}") for number in range(3)]))
    assert (statuses, str(error)) == (["passed"], "cannot write verdict.json")
