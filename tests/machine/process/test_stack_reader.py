"""The stacks of a hung process are read from outside without waking it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from users import User, answer

from harness.machine.process.stack_reader import find_py_spy


@pytest.fixture(autouse=True)
def py_spy() -> None:
    if find_py_spy() is None:
        pytest.skip("py-spy is not installed")


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("fresh", [False, True], ids=["clone", "fresh"])
def test_stacks_name_the_function_that_hangs(me: User, fresh: bool, stopped: bool) -> None:
    """Of a clone and of a fresh rank, stopped or not; and it still hangs afterwards."""
    reading = hung(me, fresh=fresh, stopped=stopped)
    assert reading["read"], reading["text"]
    assert "wait_for_what_never_comes (standin_worker.py" in reading["text"]
    assert "State:" in reading["text"]
    assert "fd 0: /dev/null" in reading["text"]
    assert reading["running"]


@pytest.mark.needs_torch
def test_stacks_of_a_rank_with_torch(me: User, rank_python: str) -> None:
    """Another interpreter, with hundreds of megabytes of libraries to search."""
    reading = hung(me, fresh=False, stopped=True, torch=True, python=rank_python)
    assert "wait_for_what_never_comes (standin_worker.py" in reading["text"]


@pytest.mark.usefixtures("namespaces_of_mine")
def test_stacks_are_read_inside_a_process_tree_of_its_own(me: User) -> None:
    """There py-spy is a child of pid 1, and pids are inner ones."""
    argv = me.argv("hung", folder=str(me.folder), fresh=False, stopped=True)
    reading = answer(me.run_booted("private", argv))
    assert "wait_for_what_never_comes (standin_worker.py" in reading["text"]


def test_without_py_spy_the_file_names_the_command_that_installs_it(me: User) -> None:
    """The facts from /proc are there all the same."""
    reading = me.ask("hung_without_py_spy", folder=str(me.folder))
    assert not reading["read"]
    assert "pip install py-spy" in reading["text"]
    assert "State:" in reading["text"]


@pytest.mark.parametrize(("failures", "read", "asked"), [(0, True, 1), (3, True, 4), (99, False, 5)])
def test_a_process_that_ran_while_it_was_read_is_read_again(me: User, failures: int, read: bool, asked: int) -> None:
    """A few times: py-spy does not stop the process, so memory may be gone while it reads."""
    reading = me.ask("read_at_last", folder=str(me.folder), failures=failures)
    assert (reading["read"], reading["asked"]) == (read, asked)
    assert ("the stacks" if read else "no Python stacks: py-spy could not read the process, tried 5") in reading["text"]


def test_a_reading_has_a_time_limit(me: User) -> None:
    """Then py-spy is ended, and the file says so."""
    reading = me.ask("read_too_slowly", folder=str(me.folder))
    assert (reading["read"], reading["left"]) == (False, [])
    assert "no Python stacks: py-spy did not finish in time" in reading["text"]


def test_the_python_processes_below_a_job_have_stacks_of_their_own(me: User) -> None:
    """Children and theirs, each in a file beside that of the job, which is a shell here."""
    reading = me.ask("hung_tree", folder=str(me.folder))
    files = dict(reading["files"])
    assert "State:" in files.pop("x.txt")
    assert all(re.fullmatch(r"x\.pid-\d+\.txt", name) for name in files)
    found = [name for text in files.values() for name in ("waits_above", "waits_below") if f"{name} (" in text]
    assert sorted(found) == ["waits_above", "waits_below", "waits_below"]


def hung(user: User, **options: Any) -> Any:
    return user.ask("hung", folder=str(user.folder), **options)
