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

from harness.machine.children import Children, outer_pid

# py-spy takes 10 to 200 ms; longer, and the process cannot be read.
STACKS_WITHIN_NS = 5_000_000_000
_STATUS_LINES = ("Name:", "State:", "Threads:", "VmRSS:", "SigPnd:", "voluntary_ctxt_switches:")


def start_stacks(children: Children, pid: int, path: Path) -> int:
    """Begin to write what `pid`, a descendant, is doing to `path`; the pid of the py-spy at work, 0 if there is none.

    What /proc tells is written at once; the Python stacks are there when that child has ended with status 0. Whoever
    calls gives it a limit, such as `STACKS_WITHIN_NS`, and kills it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_told_by_proc(pid)) + "\n\n")
    py_spy = find_py_spy()
    if py_spy is None:
        return _no_stacks(path, "py-spy is not installed; python -m pip install py-spy")
    if outer_pid(pid) != pid:
        return _no_stacks(path, "/proc shows another process tree here, and py-spy needs this one")
    command = [py_spy, "dump", "--nonblocking", "--pid", str(pid)]
    try:
        return children.spawn(command, env=os.environ, stdout_path=path)
    except OSError as exc:
        return _no_stacks(path, f"{py_spy} cannot be run: {exc.strerror}")


def stacks(children: Children, pid: int, path: Path, within_ns: int = STACKS_WITHIN_NS) -> bool:
    """Write what `pid` is doing to `path`, waiting at most `within_ns` nanoseconds; whether it has Python stacks."""
    helper = start_stacks(children, pid, path)
    if helper and children.wait(helper, within_ns) is None:
        children.end(helper, grace_ns=0)
        _no_stacks(path, "py-spy did not finish in time")
    return children.status_of(helper) == 0


def find_py_spy() -> str | None:
    """The py-spy beside this interpreter, else on PATH, else None."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def _no_stacks(path: Path, because: str) -> int:
    with path.open("a") as stream:
        stream.write(f"no Python stacks: {because}\n")
    return 0


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
