"""The end of a pool of controllers: who is asked, who is cut off, and what happens to the logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_pool import CELL, MakeMachine

from harness.campaign.pool import CONTROLLER_LOGS
from harness.values.errors import UsageError


def test_only_those_that_play_are_ended_when_a_run_is_left(machine: MakeMachine) -> None:
    """The others stay warm for the next run; what an ended one played is not reported."""
    one = machine(jobs=3)
    one.pool.free(CELL, [CELL] * 2)
    one.ended()
    for _ in range(2):
        one.play()
    one.pool.end_running()
    assert one.controllers.events == ["1 hang up", "2 hang up", "1 wait", "2 wait"]
    assert (one.pool.running, one.pool.has_idle, one.ended()) == (0, True, [])


def test_at_the_end_all_are_asked_before_any_is_waited_for(machine: MakeMachine, tmp_path: Path) -> None:
    """So that they heal side by side; their logs are deleted, as those that a killed harness left."""
    killed, other = (tmp_path / CONTROLLER_LOGS / name for name in ("killed", "notes"))
    for folder in (killed, other):
        folder.mkdir(parents=True)
    (tmp_path / CONTROLLER_LOGS / "killed.lock").touch()
    one = machine(jobs=2)
    with one.pool as pool:
        assert not killed.exists()
        pool.free(CELL, [CELL])
        one.ended()
        assert len(list((tmp_path / CONTROLLER_LOGS).glob("*/2"))) == 1
    assert one.controllers.events == ["1 hang up", "2 hang up", "1 wait", "2 wait"]
    assert [path.name for path in (tmp_path / CONTROLLER_LOGS).iterdir()] == ["notes"]


def test_a_controller_that_starts_is_cut_off_without_a_wait(machine: MakeMachine) -> None:
    """It has nothing to heal, and looks at its connection only when it is up."""
    one = machine(jobs=2, ready=False)
    with one.pool as pool:
        pool.free(CELL, [CELL])
    assert one.controllers.events == ["1 cut off", "2 cut off", "1 wait", "2 wait"]


def test_a_controller_that_does_not_go_is_cut_off(machine: MakeMachine) -> None:
    """Its world ends with it, whatever it waits for."""
    one = machine(jobs=2)
    with one.pool as pool:
        pool.free(CELL, [CELL])
        one.ended()
        one.controllers.started[0].is_stuck = True
    assert one.controllers.events == ["1 hang up", "2 hang up", "1 wait", "1 cut off", "2 wait"]


def test_a_second_interrupt_cuts_off_all_controllers_at_once(machine: MakeMachine) -> None:
    """Whatever is waited for then; the logs are deleted all the same."""

    def interrupted(within_s: float) -> bool:
        raise KeyboardInterrupt

    one = machine(jobs=2)
    one.pool.free(CELL, [CELL])
    one.ended()
    one.controllers.started[0].wait_gone = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        one.pool.__exit__()
    assert one.controllers.events == ["1 hang up", "2 hang up", "1 cut off", "2 cut off"]
    assert list((one.options.runs_dir / CONTROLLER_LOGS).iterdir()) == []


def test_logs_that_cannot_be_written_suggest_another_folder_of_runs(machine: MakeMachine) -> None:
    """The folder of runs can be made by one user and its logs by another: a usage error that names the option."""
    one = machine(jobs=1)
    one.options.runs_dir.mkdir(parents=True, exist_ok=True)
    (one.options.runs_dir / CONTROLLER_LOGS).touch()
    with pytest.raises(UsageError, match=r"cannot write logs to .*; choose another --runs-dir"):
        one.pool.free(CELL, [])


def test_two_pools_of_one_pid_keep_their_logs_apart(machine: MakeMachine, tmp_path: Path) -> None:
    """As in two process trees: the end of one deletes nothing of the other."""
    one, other = machine(jobs=1), machine(jobs=1)
    with one.pool:
        one.pool.free(CELL, [])
        with other.pool:
            other.pool.free(CELL, [])
            assert len(list((tmp_path / CONTROLLER_LOGS).glob("*/1"))) == 2
        assert len(list((tmp_path / CONTROLLER_LOGS).glob("*/1"))) == 1
