"""The zygote makes ranks that are children of the controller, each like a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from users import User, answer

from harness.machine.launch import zygote

# A rank exits with 5, and with 6 if its subject was imported before it was made.
_PRELOADING = """
import os, socket, threading
code = 5
def preload(subject):
    global code, kept
    if subject == "outsider":
        leaves, code = os.environ["LEAVES"], 6
        if leaves == "a thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        if leaves == "a socket":
            kept = socket.socket()
        if leaves == "an error":
            raise ImportError("it cannot")
def main(*_):
    os._exit(code)
"""

HOW = pytest.mark.parametrize("how", [{}, {"fork_twice": True}, {"fresh": True}], ids=["clone", "fork", "fresh"])


def play(user: User, actions: list[str], **options: Any) -> Any:
    return user.ask("play", folder=str(user.folder), actions=actions, **options)


@HOW
def test_controller_sees_the_real_end_of_every_rank(user: User, how: dict[str, bool]) -> None:
    """Exit codes, aborts, and a broken worker, each with the kernel's own status."""
    outcome = play(user, ["exit 0", "exit 7", "abort", "fail"], **how)
    assert outcome["ends"] == [{"status": 0}, {"status": 7}, {"signal": 6}, {"status": zygote.WORKER_FAILED}]
    assert "this worker is broken" in outcome["logs"][3]


@HOW
def test_rank_is_a_child_of_the_controller_with_what_it_was_given(me: User, how: dict[str, bool]) -> None:
    """Parent, environment, log, pipe and doorbell; and nothing of the zygote, above all not its socket."""
    outcome = play(me, ["report", "report"], environment={"GIVEN": "to all"}, **how)
    assert outcome["ends"] == [{"status": 0}] * 2
    for rank, report in enumerate(outcome["reports"]):
        assert report["parent"] == outcome["controller"]
        assert report["pid"] == outcome["pids"][rank]
        assert report["plan"] == 2
        assert report["message"] == "hello"
        assert report["threads"] == 1
        assert (report["environment"]["GIVEN"], report["environment"]["OF_RANK"]) == ("to all", str(rank))
        assert not [target for target in report["descriptors"].values() if "socket" in target]
        log = str(me.folder / f"log-{rank}")
        assert [report["descriptors"][number] for number in "012"] == ["/dev/null", log, log]
        assert outcome["logs"][rank] == f"rank {rank} does report\n"
    assert outcome["bell"] == 8


@HOW
def test_rank_sees_of_the_harness_only_its_folder(me: User, how: dict[str, bool]) -> None:
    """The package's parent folder is not on the path, so nothing in it can shadow the rank's packages."""
    report = play(me, ["report"], **how)["reports"][0]
    assert "harness.values.plan" in report["harness"]
    assert not [name for name in report["harness"] if name.startswith(("harness.machine", "harness.loader"))]


@HOW
def test_threads_locks_children_and_signals_work_in_a_rank(me: User, how: dict[str, bool]) -> None:
    """What fork sets up in the C library and in Python is there after a raw clone too."""
    outcome = play(me, ["threads"], **how)
    assert outcome["ends"] == [{"signal": 15}], outcome["logs"]


def test_many_ranks_are_made_at_once(me: User) -> None:
    """From far more requests than fit into the socket; each rank has its own pid."""
    outcome = play(me, ["exit 1"] * 200)
    assert outcome["ends"] == [{"status": 1}] * 200
    assert len(set(outcome["pids"])) == 200


@pytest.mark.usefixtures("namespaces_allowed")
def test_clones_work_as_children_of_pid_1(user: User) -> None:
    """In a process tree of its own, as root and as an ordinary user."""
    argv = user.argv("play", folder=str(user.folder), actions=["report", "abort"])
    outcome = answer(user.run_booted("private", argv))
    assert outcome["ends"] == [{"status": 0}, {"signal": 6}]
    assert (outcome["controller"], outcome["reports"][0]["parent"]) == (1, 1)


def test_ranks_outlive_their_zygote(me: User) -> None:
    """It ends before they do anything; the controller still sees their ends."""
    outcome = play(me, ["report"], kill_zygote=True)
    assert outcome["ends"] == [{"status": 0}]
    assert outcome["reports"][0]["parent"] == outcome["controller"]


def test_environment_of_the_harness_does_not_reach_ranks(me: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of torchrun, proxies and test tools would change what is tested; given ones reach the ranks."""
    for name in ("RANK", "MASTER_ADDR", "TORCH_LOGS", "LOCAL_RANK", "http_proxy", "HTTPS_PROXY", "COVERAGE_FILE"):
        monkeypatch.setenv(name, "meddles")
    report = play(me, ["report"], environment={"TORCH_GIVEN": "1"})["reports"][0]
    assert "meddles" not in report["environment"].values()
    assert report["environment"]["TORCH_GIVEN"] == "1"
    assert not [name for name in report["environment"] if name.startswith("PYTEST_")]


def test_a_missing_plan_is_an_error_and_the_zygote_goes_on(me: User) -> None:
    """The error names the file."""
    outcome = me.ask("unreadable_plan", folder=str(me.folder))
    assert "nowhere.json" in outcome["error"]
    assert outcome["then"] == {"status": 5}


def test_a_zygote_with_threads_lists_them_and_refuses_to_clone(me: User) -> None:
    """A clone of a process with threads may hang in a lock that is never released."""
    _write_module(
        me, "thread_starter", "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    outcome = play(me, ["exit 0"], environment={"PYTHONPATH": _paths(me)}, worker="thread_starter")
    assert len(outcome["ready"]["threads"]) == 1
    assert "use fresh: true" in outcome["error"]


@pytest.mark.parametrize("leaves", ["a thread", "a socket", "an error", "nothing"])
def test_the_subject_is_imported_before_ranks_unless_that_leaves_something(me: User, leaves: str) -> None:
    """An import that starts a thread, opens a socket or fails is left to the ranks, and the zygote clones all the same.

    The log says why.
    """
    _write_module(me, "torch", "__version__ = '2.9.0'\n")
    _write_module(me, "preloading", _PRELOADING)
    given = {"PYTHONPATH": _paths(me), "LEAVES": leaves}
    outcome = play(me, ["exit 0"], torch=True, environment=given, worker="preloading", subject="outsider")
    assert outcome["ready"]["threads"] == []
    assert outcome["ends"] == [{"status": 6 if leaves == "nothing" else 5}]
    reason = {
        "a thread": "outsider itself, because",
        "a socket": "leaves socket",
        "an error": "it cannot",
        "nothing": "",
    }
    assert reason[leaves] in (me.folder / "zygote.log").read_text()


def test_zygote_with_a_listening_socket_is_refused(me: User) -> None:
    """Every clone would keep the port bound, and connects to it would succeed for ever."""
    _write_module(me, "listener", "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n")
    outcome = play(me, ["exit 0"], environment={"PYTHONPATH": _paths(me)}, worker="listener")
    assert "listening sockets" in outcome["error"]


def test_an_interpreter_without_torch_is_refused_with_the_remedy(me: User) -> None:
    """The error names the interpreter, and the command that installs torch."""
    _write_module(me, "torch", "raise ModuleNotFoundError('No module named torch', name='torch')\n")
    outcome = play(me, ["exit 0"], torch=True, environment={"PYTHONPATH": _paths(me)})
    assert f"{sys.executable} has no torch" in outcome["error"]
    assert "pip install" in outcome["error"]


def test_a_torch_that_is_too_old_is_refused(me: User) -> None:
    """The error names its version, and the oldest that works."""
    _write_module(me, "torch", "__version__ = '2.5.1+cpu'\n")
    outcome = play(me, ["exit 0"], torch=True, environment={"PYTHONPATH": _paths(me)})
    assert "has torch 2.5.1+cpu, and 2.6 is the oldest that works" in outcome["error"]


def test_torch_from_outside_the_interpreter_is_refused_unless_named(me: User) -> None:
    """A torch found by an accidental path is an error; one on PYTHONPATH is intended."""
    _write_module(me, "torch", "__version__ = '2.9.0'\n")
    sneaking = f"import sys\nsys.path.insert(0, {str(me.folder)!r})\nimport torch\n"
    (me.folder / "elsewhere").mkdir()
    _write_module(me, "elsewhere/sneaking", sneaking + "from standin_worker import main\n")
    elsewhere = {"PYTHONPATH": _paths(me).replace(str(me.folder), str(me.folder / "elsewhere"))}
    outcome = play(me, ["exit 0"], torch=True, environment=elsewhere, worker="sneaking")
    assert f"imports torch from {me.folder / 'torch.py'}, outside its own prefix" in outcome["error"]
    named = play(me, ["exit 0"], torch=True, environment={"PYTHONPATH": _paths(me)})
    assert named["ready"]["torch"] == "2.9.0"


def test_torch_that_a_pth_file_leads_to_belongs_to_the_interpreter(me: User) -> None:
    """Of a virtual environment too: the folder that the file names need not be on PYTHONPATH."""
    (me.folder / "far").mkdir()
    _write_module(me, "far/torch", "__version__ = '2.9.0'\n")
    venv = me.folder / "venv"
    subprocess.run([me.python, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next(venv.glob("lib/python3*/site-packages"))
    (site / "torch.pth").write_text(f"{me.folder / 'far'}\n")
    paths = _paths(me).split(os.pathsep)
    without = {"PYTHONPATH": os.pathsep.join(path for path in paths if path != str(me.folder))}
    outcome = play(me, ["exit 0"], python=str(venv / "bin" / "python"), torch=True, environment=without)
    assert outcome.get("error") is None
    assert outcome["ready"]["torch_file"] == str(me.folder / "far" / "torch.py")


def test_a_helper_that_is_broken_ends_and_logs_why(me: User) -> None:
    """A helper is a module of `harness.rank` with a `main(arguments, ready)`; here there is none."""
    outcome = me.ask("helper", folder=str(me.folder), module="no_such_helper", arguments={})
    assert outcome == {"said": "", "end": {"status": zygote.WORKER_FAILED}}
    assert "no_such_helper" in (me.folder / "helper.log").read_text()


@pytest.mark.needs_torch
@pytest.mark.parametrize("collapse", [True, False])
def test_torch_works_in_clones_whatever_was_done_to_memory(me: User, rank_python: str, collapse: bool) -> None:
    """Huge pages save time and change nothing; torch is imported once and belongs to the interpreter."""
    outcome = play(me, ["torch"] * 3, python=rank_python, torch=True, collapse=collapse)
    assert outcome.get("error") is None
    assert outcome["ready"]["threads"] == []
    assert Path(outcome["ready"]["torch_file"]).is_relative_to(outcome["ready"]["prefix"])
    assert outcome["ends"] == [{"status": 0}] * 3, outcome["logs"]
    assert outcome["reports"] == [1000000.0] * 3


@pytest.mark.needs_torch
def test_report_of_a_clone_shows_the_torch_of_its_interpreter(me: User, rank_python: str) -> None:
    """Whatever torch the harness itself has, the rank's version is that of its interpreter."""
    code = "import importlib.metadata as m; print(m.version('torch'))"
    version = subprocess.run([rank_python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    outcome = play(me, ["report"], python=rank_python, torch=True)
    assert outcome["reports"][0]["torch"].split("+")[0] == version.split("+")[0]


def _write_module(user: User, name: str, text: str) -> None:
    (user.folder / f"{name}.py").write_text(text)


def _paths(user: User) -> str:
    return f"{user.folder}:{user.tree / 'tests' / 'machine'}"
