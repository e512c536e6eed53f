"""Boot starts a controller in isolation, describes the isolation to it, and ends it with the parent."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from booting import life_pipe
from test_namespaces import refused
from users import User, answer

from harness.machine.process import boot

# After a kill of pid 1 the kernel ends a tree of a dozen processes in some 30 ms; the design promises a second.
GONE_WITHIN_S = 1.0

# Pid 1 cannot signal itself, but it can crash.
SEGFAULT = "exec PYTHON -c 'import ctypes; ctypes.string_at(0)'"

# A minimal harness: starts boot, and lives until it is killed.
PARENT = """
import json, os, subprocess, sys
reader, writer = os.pipe()
argv = [str(reader) if word == "LIFE" else word for word in json.loads(sys.argv[1])]
process = subprocess.Popen(argv, pass_fds=[reader], start_new_session=True)
os.close(reader)
print(json.dumps({"boot": process.pid}), flush=True)
process.wait()
"""


@pytest.mark.parametrize("isolation", ["host", "auto"])
@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("exit 0", 0), (SEGFAULT, 139)])
def test_exit_code_passes_through(user: User, isolation: str, command: str, code: int) -> None:
    """Also that of a controller that a signal ended, as a shell shows it."""
    assert user.run_booted(isolation, ["/bin/sh", "-c", command.replace("PYTHON", user.python)]).returncode == code


def test_a_controller_on_the_host_knows_it_and_gets_short_lookups(user: User) -> None:
    """On request: the host's own network and process tree, and a resolver with a short timeout."""
    found = answer(user.run_booted("host", user.argv("isolation")))
    assert found["isolation"] == {"kind": "host", "reason": "asked for", "user_namespace": False}
    assert found["network"] == os.readlink("/proc/self/ns/net")
    assert found["tree"] == os.readlink("/proc/self/ns/pid")
    assert found["resolver"] == boot.RESOLVER_OPTIONS


@pytest.mark.usefixtures("namespaces_allowed")
def test_falls_back_to_the_host_with_the_reason_when_the_kernel_refuses(user: User) -> None:
    """`auto` goes on, and gives the reason."""
    found = answer(_run_refused(user, "auto", user.argv("isolation")))
    assert found["isolation"]["kind"] == "host"
    assert "max_net_namespaces" in found["isolation"]["reason"]
    assert found["resolver"] == boot.RESOLVER_OPTIONS


@pytest.mark.usefixtures("namespaces_allowed")
def test_private_is_never_replaced_by_the_host(user: User) -> None:
    """`private` gives a private network, or an error with the reason."""
    done = _run_refused(user, "private", user.argv("isolation"))
    assert done.returncode == boot.CANNOT_ISOLATE
    assert "no private network: unshare" in done.stderr
    assert done.stdout == ""


def test_missing_command_is_named(user: User) -> None:
    """With the shell's exit code."""
    done = user.run_booted("auto", ["/no/such/command"])
    assert done.returncode == boot.CANNOT_START
    assert "/no/such/command" in done.stderr


def test_controller_inherits_what_was_passed_but_not_the_life_pipe(user: User) -> None:
    """A copy of its other end would hide the parent's end from boot."""
    reader, writer = os.pipe()
    try:
        found = answer(user.run_booted("auto", user.argv("isolation"), pass_fds=[writer]))
    finally:
        os.close(reader)
        os.close(writer)
    assert found["descriptors"] == [0, 1, 2, writer]


@pytest.mark.parametrize("isolation", ["auto", "host"])
@pytest.mark.parametrize("victim", ["parent", "boot", "controller"])
def test_nothing_is_left_when_one_is_killed(user: User, isolation: str, victim: str) -> None:
    """SIGKILL of any of the three ends all ranks, including stopped and fresh ones, and orphans, within a second."""
    if isolation == "host" and victim == "boot":
        pytest.skip("on the host an orphan that left its parent outlives boot: only namespaces or a reaper reach it")
    before, left = kill_and_look(user, isolation, victim)
    assert before >= 7
    assert left == []


def test_nothing_is_left_when_the_parent_is_killed_at_once(user: User) -> None:
    """Before the controller runs, only boot can notice it."""
    assert kill_and_look(user, "auto", "parent", at_once=True)[1] == []


def kill_and_look(user: User, isolation: str, victim: str, at_once: bool = False) -> tuple[int, list[int]]:
    """Kill parent, boot or controller of a world; returns how many processes it had, and which are left later."""
    mark = uuid.uuid4().hex
    command = user.boot(0, isolation, user.argv("world", folder=str(user.folder)))
    command = ["LIFE" if word == "0" else word for word in command]
    parent = subprocess.Popen(
        [user.python, "-c", PARENT, json.dumps(command)],
        env={**user.environment, "RDZV_TEST_MARK": mark},
        cwd=user.folder,
        preexec_fn=user.become,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    booted = json.loads(parent.stdout.readline())["boot"]
    if not at_once:
        assert "ready" in json.loads(parent.stdout.readline())
    before = len(marked(mark))
    victims = {"parent": lambda: parent.pid, "boot": lambda: booted, "controller": lambda: children_of(booted)[0]}
    os.kill(victims[victim](), signal.SIGKILL)
    deadline = time.monotonic() + GONE_WITHIN_S
    while (left := marked(mark)) and time.monotonic() < deadline:
        select.select([], [], [], 0.005)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    parent.stdout.close()
    parent.wait()
    return before, left


def marked(mark: str) -> list[int]:
    """Pids of living processes with the mark in their environment."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _carries(pid, mark.encode())]


def children_of(parent: int) -> list[int]:
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _stat(pid)[1:] == (str(parent),)]


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return _stat(pid)[:1] not in (("Z",), ("X",), ()) and mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _stat(pid: int) -> tuple[str, ...]:
    try:
        return tuple(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2])
    except OSError:
        return ()


def _run_refused(user: User, isolation: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    with life_pipe() as life:
        return user.run(refused(user, user.boot(life, isolation, command)), [life])


def test_boot_imports_nothing_heavy(me: User) -> None:
    """Every world waits for it: typing, dataclasses and argparse alone would double its start."""
    with life_pipe() as life:
        argv = boot.argv(sys.executable, life, "auto", ["true"])
        stderr = me.run([argv[0], "-X", "importtime", *argv[1:]], [life]).stderr
    loaded = {line.split("|")[-1].strip() for line in stderr.splitlines()}
    assert "json" in loaded
    assert not {"typing", "dataclasses", "argparse", "subprocess", "inspect"} & loaded
