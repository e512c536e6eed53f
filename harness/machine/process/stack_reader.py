"""Reads what a process is doing just before its guard ends it, from outside and without a signal.

A handled signal makes torch restart its timeout, so none is sent here: py-spy reads the stacks from the process's
memory, and the rest comes from /proc.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.clock import now_ns
from harness.machine.process.children import Children, outer_pid
from harness.machine.process.trees import descendants

STACKS_WITHIN_NS = 15_000_000_000
"""py-spy takes 10 to 200 ms, and 1.2 s with four others on two busy processors (measured)."""

MOST_READINGS = 5
"""Reading a process that runs meanwhile fails now and then (`Bad address`), and succeeds a moment later."""

MOST_BELOW = 16
"""Processes below a job's whose stacks are read: more would not be read within the time, nor by a person."""

_STATUS_LINES = ("Name:", "State:", "Threads:", "VmRSS:", "SigPnd:", "voluntary_ctxt_switches:")


class Reading:
    """Writes what the descendant `pid` is doing to `path`.

    The facts from /proc are written at once; the Python stacks follow when py-spy has succeeded.

    Attributes:
        deadline_ns: on CLOCK_MONOTONIC; the reading ends then, with or without stacks.
    """

    def __init__(self, children: Children, pid: int, path: Path, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self._children = children
        self._pid = pid
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(_proc_facts(pid)) + "\n\n")
        self._begun = 0
        self._helper = self._begin()

    def is_over(self, now_ns: int) -> bool:
        """Whether the file is complete; starts py-spy again where it has failed. To be called repeatedly.

        When py-spy ends, the descriptor of `children` becomes readable.
        """
        if self._children.is_running(self._helper):
            if now_ns >= self.deadline_ns:
                self._children.end(self._helper, grace_ns=0)
                self._helper = _no_stacks(self._path, "py-spy did not finish in time; is the machine overloaded?")
        elif self._helper and not self.has_stacks:
            self._helper = self._again(now_ns)
        return not self._children.is_running(self._helper)

    def wait(self) -> None:
        """Wait until the reading is over."""
        while not self.is_over(now_ns()):
            self._children.wait(self._helper, max(0, self.deadline_ns - now_ns()))

    @property
    def has_stacks(self) -> bool:
        """Whether py-spy has read the stacks."""
        return bool(self._helper) and self._children.status_of(self._helper) == 0

    def _again(self, now_ns: int) -> int:
        if self._begun < MOST_READINGS and now_ns < self.deadline_ns:
            return self._begin()
        return _no_stacks(self._path, f"py-spy could not read the process, tried {self._begun} times")

    def _begin(self) -> int:
        """Start py-spy and return its pid; 0 if it cannot be started, and then the file says why."""
        self._begun += 1
        py_spy = find_py_spy()
        if py_spy is None:
            return _no_stacks(self._path, "py-spy is not installed; python -m pip install py-spy")
        if outer_pid(self._pid) != self._pid:
            return _no_stacks(self._path, "/proc shows an outer process tree here, and py-spy needs the own one")
        command = [py_spy, "dump", "--nonblocking", "--pid", str(self._pid)]
        try:
            return self._children.spawn(command, env=os.environ, stdout_path=self._path)
        except OSError as exc:
            return _no_stacks(self._path, f"{py_spy} cannot be run: {exc.strerror}")


class TreeReading:
    """The same for a process and what it has started: the other Python processes have files beside its own.

    Their names are that of `path` with `.pid-PID` before its ending; at most `MOST_BELOW` of them, nearest first.
    """

    def __init__(self, children: Children, pid: int, path: Path, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self._readings = [Reading(children, pid, path, deadline_ns)]
        for below in _python_below(pid):
            own = path.with_name(f"{path.stem}.pid-{below}{path.suffix}")
            self._readings.append(Reading(children, below, own, deadline_ns))

    def is_over(self, now_ns: int) -> bool:
        """Whether all files are complete. To be called repeatedly, as that of `Reading`."""
        over = [reading.is_over(now_ns) for reading in self._readings]  # each must be asked
        return all(over)

    def wait(self) -> None:
        """Wait until the readings are over."""
        for reading in self._readings:
            reading.wait()


def stacks(children: Children, pid: int, path: Path, within_ns: int = STACKS_WITHIN_NS) -> bool:
    """Write what `pid` is doing to `path`, in at most `within_ns` nanoseconds; True if Python stacks were read."""
    reading = Reading(children, pid, path, now_ns() + within_ns)
    reading.wait()
    return reading.has_stacks


def find_py_spy() -> str | None:
    """The py-spy beside this interpreter, else on PATH, else None."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def _python_below(pid: int) -> list[int]:
    """What a process has started and is run by Python; nothing where /proc has other numbers."""
    below = descendants(pid) if outer_pid(pid) == pid else []
    return [one for one in below if _is_python(one)][:MOST_BELOW]


def _is_python(pid: int) -> bool:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("python")
    except OSError:
        return False


def _no_stacks(path: Path, because: str) -> int:
    with path.open("a") as stream:
        stream.write(f"no Python stacks: {because}\n")
    return 0


def _proc_facts(pid: int) -> Iterator[str]:
    """Its state, where in the kernel it waits, its system call, its open files; what cannot be read is left out."""
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
