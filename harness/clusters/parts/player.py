"""Playing one shard on this machine: a process of its own, which ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence

PLAYER = (sys.executable, "-m", "harness.cli.player")
"""Reads an order from its standard input, says lines, and ends at the end of its input."""

ENDS_WITHIN_S = 3.0
"""A player that is to end heals its worlds first."""

LAST_WORDS = 500

_one_at_a_time = threading.Lock()
_running: dict[int, Player] = {}


class PlayerFailed(Exception):
    """The player did not come to its end; the text says why."""


class Player:
    """One shard; `stop` may be called from any thread, also before `play`."""

    def __init__(self, order: str, command: Sequence[str] = PLAYER) -> None:
        self._order = order
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._guard = threading.Lock()
        self._stopped = False

    def play(self, say: Callable[[str], None]) -> None:
        """Play to the end, and pass each line on; raises PlayerFailed."""
        with tempfile.TemporaryFile("w+") as errors:
            with self._guard:
                if self._stopped:
                    raise PlayerFailed("it was stopped before it began")
                self._process = process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    start_new_session=True,
                )
            try:
                self._send(process)
                for line in process.stdout or ():
                    say(line.rstrip("\n"))
            finally:
                self._end(process)
            if process.returncode:
                errors.seek(0)
                said = errors.read()[-LAST_WORDS:].strip().splitlines()
                raise PlayerFailed(f"the player ended with {process.returncode}: {said[-1] if said else 'no word'}")

    def stop(self) -> None:
        """Have it end: its input does, and so it heals its worlds."""
        with self._guard:
            self._stopped = True
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()

    def _send(self, process: subprocess.Popen[str]) -> None:
        """Its input stays open: it ends with this process."""
        try:
            if process.stdin is not None:
                process.stdin.write(self._order + "\n")
                process.stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended, or was stopped: its exit code says so

    def _end(self, process: subprocess.Popen[str]) -> None:
        self.stop()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def play(ticket: int, order: str, say: Callable[[str], None], command: Sequence[str] = PLAYER) -> None:
    """Play a shard, after those that this process plays already; raises PlayerFailed.

    Args:
        ticket: by which `stop` finds it.
    """
    player = _running[ticket] = Player(order, command)
    try:
        with _one_at_a_time:
            player.play(say)
    finally:
        _running.pop(ticket, None)


def stop(tickets: Sequence[int]) -> None:
    """Stop shards of this process, those that wait too; others are passed over."""
    for ticket in tickets:
        player = _running.get(ticket)
        if player is not None:
            player.stop()
