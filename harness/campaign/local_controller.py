"""A controller as its parent sees it: a process behind boot, a connection, and a life pipe."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.machine.docker.leases import REAPER_FD
from harness.machine.process import boot
from harness.play.options import Order, RunOptions

GONE_LIMIT_SECONDS = 20.0
"""One that has closed its connection ends in milliseconds; a disk that hangs must not hang the parent."""

KILLED_LIMIT_SECONDS = 5.0
"""The kernel ends a world in a fraction of a second. Boot itself is killed if it takes longer: it may be stopped."""


class ControllerProcess:
    """One controller.

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
        ours, theirs = socket.socketpair()
        life_read, self._life_write = os.pipe()
        os.set_inheritable(theirs.fileno(), True)
        serve = [sys.executable, "-m", "harness.play.controller", str(theirs.fileno())]
        serve += [options.to_json(), str(log_dir), world]
        argv = boot.argv(sys.executable, life_read, isolation, serve, life_fd)
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[fd for fd in (theirs.fileno(), life_read, reaper_fd, life_fd) if fd is not None],
                start_new_session=True,
                env=_environment(reaper_fd),
            )
        theirs.close()
        os.close(life_read)
        self.connection = Connection(ours.detach())

    def send(self, order: Order) -> None:
        """Ask for a play; a controller that is gone shows when its answer is read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(order)

    def receive(self) -> dict[str, Any]:
        """The next message; raises EOFError or OSError if the controller is gone."""
        message: dict[str, Any] = self.connection.recv()
        return message

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
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return f"the controller ended unexpectedly (exit code {code}): {lines[-1] if lines else 'it wrote nothing'}"


def _environment(reaper_fd: int | None) -> dict[str, str]:
    """Ours, with the harness importable in the controller wherever it was imported from here."""
    watched = {} if reaper_fd is None else {REAPER_FD: str(reaper_fd)}
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, **watched, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
