"""A controller as its parent sees it: a process behind boot, a channel, and a life pipe."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from harness.machine.docker.leases import REAPER_FD
from harness.machine.process import boot
from harness.play.channel import Answer, ParentEnd
from harness.play.options import Order, RunOptions
from harness.values.refusals import with_advice

GONE_LIMIT_SECONDS = 20.0
"""One that has closed its connection ends in milliseconds; a disk that hangs must not hang the parent."""

KILLED_LIMIT_SECONDS = 5.0
"""The kernel ends a world in a fraction of a second. Boot itself is killed if it takes longer: it may be stopped."""

LOG_READ_BYTES = 4096
"""Of a log's end."""


class ControllerProcess:
    """One controller.

    Raises OSError if it cannot be started.

    Args:
        log_dir: for its own log, and the logs of what it keeps over many plays.
        world: the kind of world that it will mostly play in, made when it starts.
        isolation: `auto`, `private` or `host`.
        reaper_fd: of a `harness.machine.docker.leases.Reaper`, for a controller whose worlds live in an engine.
        life_fd: the read end of a pipe, with whose other end the controller ends, beside this process.
    """

    def __init__(
        self,
        options: RunOptions,
        log_dir: Path,
        world: str,
        isolation: str,
        reaper_fd: int | None = None,
        life_fd: int | None = None,
    ) -> None:
        self._log = log_dir / "controller.log"
        with contextlib.ExitStack() as of_child, contextlib.ExitStack() as kept:
            ours, theirs = socket.socketpair()
            of_child.callback(theirs.close)
            kept.callback(ours.close)
            life_read, self._life_write = os.pipe()
            of_child.callback(os.close, life_read)
            kept.callback(os.close, self._life_write)
            os.set_inheritable(theirs.fileno(), True)
            serve = [sys.executable, "-m", "harness.play.controller", str(theirs.fileno())]
            serve += [options.to_json(), str(log_dir), world]
            argv = boot.argv(sys.executable, life_read, isolation, serve, life_fd)
            log = of_child.enter_context(open(self._log, "wb"))
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[fd for fd in (theirs.fileno(), life_read, reaper_fd, life_fd) if fd is not None],
                start_new_session=True,
                env=_environment(reaper_fd),
            )
            kept.pop_all()
        self.connection = ParentEnd(ours)

    def send(self, order: Order) -> None:
        """Ask for a play; a controller that is gone shows when its answer is read."""
        self.connection.send(order)

    def receive(self) -> Answer | None:
        """The next answer, as `ParentEnd.receive` gives it."""
        return self.connection.receive()

    def hang_up(self) -> None:
        """Ask for an end: the controller heals, ends its world, and goes."""
        self.connection.close()

    def wait_gone(self, within_s: float) -> bool:
        """Wait so many seconds for its end; returns whether it is gone."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cut_off(self) -> None:
        """Have boot end it and its world at once, and wait for neither."""
        self.connection.close()
        if self._life_write >= 0:
            os.close(self._life_write)
            self._life_write = -1

    def kill(self) -> None:
        """End it and its world at once; returns when both are gone."""
        self.cut_off()
        if not self.wait_gone(KILLED_LIMIT_SECONDS):
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """How and why it ended, as far as its exit code and its log show."""
        try:
            code: object = self._process.wait(GONE_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            code = "none yet"
        # Without a line the disk may be full, and the log is on it.
        last = self._last_line() or f"it wrote nothing to {self._log}; is its disk full?"
        return with_advice(f"the controller ended unexpectedly (exit code {code}): {last}")

    def _last_line(self) -> str:
        """Of its log, which anything in its world may write to."""
        try:
            with open(self._log, "rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_READ_BYTES))
                lines = log.read(LOG_READ_BYTES).decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def _environment(reaper_fd: int | None) -> dict[str, str]:
    """Ours, with the harness importable in the controller wherever it was imported from here."""
    watched = {} if reaper_fd is None else {REAPER_FD: str(reaper_fd)}
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, **watched, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
