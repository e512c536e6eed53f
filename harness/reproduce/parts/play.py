"""The play: it starts the processes, lets them do what they do, and says what came of it."""

from __future__ import annotations

import atexit
import importlib.util
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from harness.reproduce.parts.link import Link
from harness.reproduce.parts.log import LOG, all_calls, frozen, log, rows, running
from harness.reproduce.parts.process import FAULTS, PROCESSES, act
from harness.reproduce.parts.rank import Rank

# What a script defines itself.
FOUND: tuple[str, ...] = ()
LINKS: dict[int, str] = {}
QUIET: float = 1.0
expect: Callable[[], dict[str, str]] = dict


class Play:
    """One run."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.links: dict[int, Any] = {}
        self.links = {rank: Link(self, rank, (host, self.port)) for rank, host in LINKS.items()}  # if Link
        self.lock = threading.Lock()  # if Fault

    def run(self) -> None:
        try:
            self.start()
            while not self.is_over():
                act(self)  # if Fault
                for process in PROCESSES:
                    process.watch()
                time.sleep(0.005)
        finally:
            for process in PROCESSES:
                process.popen.kill()
                process.popen.wait()

    def start(self) -> None:
        """Start all processes, and wait until each has imported torch."""
        for place, process in enumerate(PROCESSES):
            process.start(place)
        while len(rows(state="ready")) < len(PROCESSES):
            for process in PROCESSES:
                if process.popen.poll() is not None:
                    raise RuntimeError(f"rank {process.who} cannot start: {process.printed()}")
            time.sleep(0.02)
        log(state="play", port=self.port, links={rank: link.port for rank, link in self.links.items()})

    def is_over(self) -> bool:
        """All calls are made; or nothing runs and nothing has happened for so long that nothing will."""
        done = {row["who"] for row in rows(state="done")}
        quiet = time.monotonic() - rows()[-1]["time"] > QUIET
        calls = running()
        calls = [call for call in calls if call.who not in frozen()]  # if Pause
        return len(done) == len(PROCESSES) or (quiet and not calls)


def main() -> int:
    """Play it, print what happened, and say with the exit status whether it fails as found."""
    if len(sys.argv) > 2:
        process = PROCESSES[int(sys.argv[1])]
        Rank(process.who).run(process.role, process.starts)
    atexit.register(os.unlink, LOG)
    if importlib.util.find_spec("torch") is None:
        print(f"{sys.executable} has no torch")
        return 2
    try:
        Play().run()
    except Exception as error:
        print(f"cannot be played: {type(error).__name__}: {error}")
        return 2
    (torch, *_), (play, *_) = rows(state="ready"), rows(state="play")
    print(f"torch {torch['torch']}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for call in all_calls():
        print(f"{min(call.begun, call.ended) - play['time']:6.3f} s  {call}\n{call.stacks}".rstrip())
    claims = expect()
    for name, why in claims.items():
        print(f"BROKEN {name}: {why}" if why else f"holds  {name}")
    broken = {name for name, why in claims.items() if why}
    missed = [fault.name for fault in FAULTS if not fault.acted]
    if missed or (broken and FOUND and broken != set(FOUND)):
        print(f"cannot tell: {', '.join(missed)} met nothing" if missed else "cannot tell: another claim is broken")
        return 2
    return 1 if broken else 0
