"""Find whatever a harness left on the machine, by a mark in the environment that all its processes inherit."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

MARK = "RDZV_TEST_MARK"
_NAP_SECONDS = 0.005


def marked(mark: str) -> list[int]:
    """Pids of running processes, without zombies, that carry the mark."""
    needle = f"{MARK}={mark}".encode()
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _carries(entry, needle)]


def _carries(entry: Path, needle: bytes) -> bool:
    try:
        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and needle in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def await_none(mark: str, within_seconds: float) -> list[int]:
    """What is still there after `within_seconds`; returns early once nothing is left."""
    await_so(lambda: not marked(mark), within_seconds, mark)
    return marked(mark)


def command_of(pid: int) -> str:
    """The command line of any process; empty if the process is gone."""
    return _read(pid, "cmdline")


def output_of(pid: int) -> str:
    """The file that a process writes its standard output to; empty if that cannot be found out."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/1")
    return ""


def describe_process(pid: int) -> str:
    """Its pid, command line, state, and where in the kernel it waits, as far as these can still be read."""
    return f"{pid}: {command_of(pid)}; {_read(pid, 'stat')}; {_read(pid, 'wchan')}"


def _read(pid: int, name: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def await_many(mark: str, count: int, within_seconds: float) -> None:
    """Wait until that many processes are there; TimeoutError if they never are."""
    if not await_so(lambda: len(marked(mark)) >= count, within_seconds):
        raise TimeoutError(f"{len(marked(mark))} processes of {count} after {within_seconds:.0f} s")


def await_so(is_so: Callable[[], bool], within_seconds: float, mark: str = "") -> bool:
    """Wait until something is so; whether it ever was.

    Seconds in which the machine ran no process do not count: a process that is to end did not run either. Nor does the
    time for which a marked process was ready to run and waited for a processor, on a machine that others keep busy.
    """
    deadline = time.monotonic() + within_seconds
    waited: dict[int, float] = {}
    while not (so := is_so()) and time.monotonic() < deadline:
        due = time.monotonic() + _NAP_SECONDS
        time.sleep(_NAP_SECONDS)
        late = max(0.0, time.monotonic() - due)
        now = {pid: _waited_seconds(pid) for pid in (marked(mark) if mark else ())}
        queued = max((seconds - waited.get(pid, seconds) for pid, seconds in now.items()), default=0.0)
        waited = now
        deadline += max(late, queued)
    return so


def _waited_seconds(pid: int) -> float:
    """For how long its main thread has waited for a processor so far."""
    fields = _read(pid, "schedstat").split()
    return int(fields[1]) / 1e9 if len(fields) == 3 else 0.0


def environment(mark: str) -> dict[str, str]:
    """Our environment with the mark in it."""
    return {**os.environ, MARK: mark}
