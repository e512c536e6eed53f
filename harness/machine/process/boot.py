"""Starts a world's controller in namespaces of its own, and ends it when the parent ends.

    parent --life pipe--> boot --fork--> controller (pid 1 of the new process tree) --> everything else

Run as a file by `python -I -S`: standard library only, no import of the harness. Every inherited descriptor but the
life pipes goes through to the controller.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import sys

# Every world's start waits for these imports: `typing` and `argparse` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Optional, Sequence

AUTO, PRIVATE, HOST = "auto", "private", "host"
ISOLATION_VARIABLE = "RDZV_ISOLATION"
# Exit codes of boot itself, beside those of the controller.
CANNOT_ISOLATE, CANNOT_START, PARENT_GONE = 125, 127, 124
# On the host's network a look-up that nobody answers costs a second, not the resolver's default of ten.
RESOLVER_OPTIONS = "timeout:1 attempts:1"


def argv(
    python: str, life_fd: int, isolation: str, command: Sequence[str], also_life_fd: Optional[int] = None
) -> List[str]:
    """The command line that runs `command` under boot.

    Args:
        python: the harness's own interpreter.
        life_fd: the read end of a pipe. Only the parent holds the write end, and keeps it open for as long as it lives.
        isolation: `auto`, `private` (else exit code 125) or `host`.
        also_life_fd: another such pipe, of a process that the parent should not outlive.
    """
    lives = [str(fd) for fd in (life_fd, also_life_fd) if fd is not None]
    return [python, "-I", "-S", __file__, ",".join(lives), isolation, *command]


def main(lives: Sequence[int], wanted: str, command: Sequence[str]) -> int:
    """Start the command and watch it; returns the exit code."""
    for life in lives:
        os.set_inheritable(life, False)
    namespaces = _namespaces()
    isolation = _choose(wanted, namespaces)
    if isolation is None:
        return CANNOT_ISOLATE
    woken = _wake_on_child_end()
    alive_reader, alive_writer = os.pipe()
    try:
        if isolation["kind"] == PRIVATE:
            namespaces.enter(isolation["user_namespace"])
        else:
            namespaces.become_subreaper()
        pid = os.fork()
    except OSError as exc:
        return _complain(f"the kernel refuses what its probe allowed: {exc}; run it again", CANNOT_ISOLATE)
    if pid == 0:
        os.close(alive_writer)
        _become_controller(command, isolation, namespaces, alive_reader)
    status = _watch(pid, lives, woken)
    _end_orphans()
    return status


def _namespaces() -> Any:
    """The module beside this file, loaded by its path: `-I` keeps this folder off sys.path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "namespaces.py")
    spec = importlib.util.spec_from_file_location("namespaces", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["namespaces"] = module
    spec.loader.exec_module(module)
    return module


def _choose(wanted: str, namespaces: Any) -> Any:
    """The isolation that the controller gets; None, with a message, if `private` was demanded and is impossible."""
    if wanted == HOST:
        return _isolation(HOST, "asked for")
    found = namespaces.probe()
    if found.possible:
        return _isolation(PRIVATE, "", not found.as_root)
    if wanted == PRIVATE:
        _complain(f"no private network: {found.reason}", CANNOT_ISOLATE)
        return None
    return _isolation(HOST, found.reason)


def _isolation(kind: str, reason: str, user_namespace: bool = False) -> Dict[str, Any]:
    return {"kind": kind, "reason": reason, "user_namespace": user_namespace}


def _wake_on_child_end() -> int:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _become_controller(command: Sequence[str], isolation: Dict[str, Any], namespaces: Any, alive: int) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    environment = {**os.environ, ISOLATION_VARIABLE: json.dumps(isolation)}
    try:
        namespaces.end_with_parent()
        # Pid 1 always sees 0 as getppid(), so look at the pipe that boot holds: it is readable once boot has ended.
        if select.select([alive], [], [], 0)[0]:
            os._exit(PARENT_GONE)
        if isolation["kind"] == PRIVATE:
            namespaces.settle()
        else:
            environment.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
        os.execvpe(command[0], list(command), environment)
    except OSError as exc:
        os._exit(_complain(f"cannot start {command[0]}: {exc.strerror}; is it there, and may this user run it?"))


def _watch(pid: int, lives: Sequence[int], woken: int) -> int:
    """Wait for the controller's end and return its exit code; SIGKILL it when a life pipe has been closed."""
    # Not select(): the parent may hold so many files that the pipe's number exceeds its limit of 1023.
    poll = select.poll()
    for descriptor in (*lives, woken):
        poll.register(descriptor, select.POLLIN)
    while True:
        if any(descriptor in lives for descriptor, _ in poll.poll()):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return PARENT_GONE
        os.read(woken, 512)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == pid:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _end_orphans() -> None:
    """Kill what the controller left: on the host its orphans are children of this process and end with nobody else."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in _own_children():
            os.kill(pid, signal.SIGKILL)
        select.select([], [], [], 0.001)


def _own_children() -> List[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent_of(name) == os.getpid()]


def _parent_of(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _complain(text: str, code: int = CANNOT_START) -> int:
    sys.stderr.write(f"boot: {text}\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    # Not sys.exit(): nothing is left to tidy up, and a closed stderr must not change the exit code.
    os._exit(main([int(fd) for fd in sys.argv[1].split(",")], sys.argv[2], sys.argv[3:]))
