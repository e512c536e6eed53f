"""What a process was doing just before its guard ends it, read from outside and without a signal.

A handled signal makes torch begin its timeout anew, so nothing here sends any: py-spy reads the process's memory, and
/proc tells the rest.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.clock import now_ns
from harness.machine.children import Children, outer_pid

# py-spy takes 10 to 200 ms; longer, and the process cannot be read.
STACKS_WITHIN_NS = 5_000_000_000
_STATUS_LINES = ("Name:", "State:", "Threads:", "VmRSS:", "SigPnd:", "voluntary_ctxt_switches:")


class StackDump:
    """A py-spy at work, so that the controller's loop goes on meanwhile.

    Args:
        children: py-spy becomes one of them.
        pid: whose stacks, as this process tree numbers it.
        path: the file to write; what /proc tells is in it at once, the stacks when it is done.
        within_ns: how long py-spy may take, in nanoseconds.
    """

    def __init__(self, children: Children, pid: int, path: Path, within_ns: int = STACKS_WITHIN_NS) -> None:
        self._children = children
        self._path = path
        self.deadline_ns = now_ns() + within_ns
        self.helper_pid: int | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(_told_by_proc(pid)) + "\n\n")
        py_spy = find_py_spy()
        if py_spy is None:
            _append(path, "no Python stacks: py-spy is not installed; python -m pip install py-spy")
        elif outer_pid(pid) != pid:
            _append(path, "no Python stacks: /proc shows another process tree here, and py-spy needs this one")
        else:
            self._start(py_spy, pid)

    def _start(self, py_spy: str, pid: int) -> None:
        command = [py_spy, "dump", "--nonblocking", "--pid", str(pid)]
        try:
            self.helper_pid = self._children.spawn(command, env=os.environ, stdout_path=self._path)
        except OSError as exc:
            _append(self._path, f"no Python stacks: {py_spy} cannot be run: {exc.strerror}")

    def done(self) -> bool:
        """Whether nothing more will be written; ends a py-spy that is over its time. Call it after `children.reap`."""
        if self.helper_pid is None or not self._children.is_running(self.helper_pid):
            return True
        if now_ns() < self.deadline_ns:
            return False
        self._children.end(self.helper_pid, grace_ns=0)
        _append(self._path, "no Python stacks: py-spy did not finish in time")
        return True

    @property
    def has_stacks(self) -> bool:
        """Whether py-spy has read the stacks; meaningful once `done`."""
        return self.helper_pid is not None and self._children.status_of(self.helper_pid) == 0


def stacks(children: Children, pid: int, path: Path, within_ns: int = STACKS_WITHIN_NS) -> bool:
    """Write the stacks of `pid` to `path` and wait for them; whether there are Python ones."""
    dump = StackDump(children, pid, path, within_ns)
    if dump.helper_pid is not None:
        children.wait(dump.helper_pid, within_ns)
    return dump.done() and dump.has_stacks


def find_py_spy() -> str | None:
    """The py-spy beside this interpreter, else on PATH, else None."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def _append(path: Path, line: str) -> None:
    with path.open("a") as stream:
        stream.write(line + "\n")


def _told_by_proc(pid: int) -> Iterator[str]:
    """State, where in the kernel it waits, its system call, its open files; what cannot be read is absent."""
    folder = Path(f"/proc/{outer_pid(pid)}")
    yield f"process {pid}"
    yield from (line for line in _lines(folder / "status") if line.startswith(_STATUS_LINES))
    for name in ("wchan", "syscall"):
        yield from (f"{name}: {line}" for line in _lines(folder / name))
    try:
        for descriptor in sorted((folder / "fd").iterdir(), key=lambda entry: int(entry.name)):
            yield f"fd {descriptor.name}: {os.readlink(descriptor)}"
    except OSError:
        return


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
