"""The play: it starts the processes, injects and heals the faults, and ends what hangs."""

from __future__ import annotations

import atexit
import importlib.util
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.reproduce.parts.link import Link
from harness.reproduce.parts.log import LOG, Moment, all_calls, log, rows, running
from harness.reproduce.parts.pause import frozen
from harness.reproduce.parts.rank import Rank

# What a script defines itself.
PROCESSES: list[Process] = []
FAULTS: list[Any] = []
FOUND: tuple[str, ...] = ()
LINKS: dict[int, str] = {}
LIMIT: float = 10.0
QUIET: float = 1.0
expect: Callable[[], dict[str, str]] = dict


@dataclass
class Process:
    """A process of a rank: this script again; `starts` is for one that begins late."""

    who: int | str
    role: Callable[[Rank], None]
    starts: Moment | None = None
    env: dict[str, str] = field(default_factory=dict)

    def start(self, place: int) -> None:
        # What torchrun would set must not come from outside.
        unwanted = re.compile(r"(RANK|WORLD_SIZE|(LOCAL|GROUP|ROLE)_.*|MASTER_.*|TORCH.*)\Z")
        kept = {name: value for name, value in os.environ.items() if not unwanted.match(name)}
        self.errors, self.gone = tempfile.TemporaryFile(), False
        self.popen = subprocess.Popen(
            [sys.executable, __file__, str(place), LOG],
            stdout=self.errors, stderr=self.errors, env={**kept, **self.env},
        )  # fmt: skip

    def printed(self) -> str:
        return os.pread(self.errors.fileno(), 100_000, 0).decode(errors="replace")

    def watch(self) -> None:
        """Log what ends with it, and end it if it hangs."""
        calls = [call for call in running() if call.who == self.who]
        if not self.gone and self.popen.poll() is not None:
            self.gone = True
            log(state="done", who=self.who)
            for call in calls:
                log(call=call.call, outcome="died", ended=time.monotonic())
        calls = [call for call in calls if self.who not in frozen()]  # if Pause
        for call in calls:
            limit = LIMIT
            limit += call.paused  # if Pause
            if not self.gone and time.monotonic() - call.begun > limit:
                size = len(self.printed())
                self.popen.send_signal(signal.SIGUSR1)  # faulthandler prints the stacks
                time.sleep(0.5)
                log(call=call.call, outcome="hung", ended=time.monotonic(), stacks=self.printed()[size:])
                self.popen.kill()


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


def act(play: Play) -> None:
    """Inject and heal what is due."""
    with play.lock:
        for fault in FAULTS:
            moment = {"": fault.after, "injected": fault.until}.get(fault.state)
            if moment is not None and (came := moment()) is not None and came <= time.monotonic():
                (fault.heal if fault.state else fault.inject)(play)
                fault.state = "healed" if fault.state else "injected"
                log(fault=fault.name, state=fault.state)


def process_of(who: int | str) -> Process:
    return next(process for process in PROCESSES if process.who == who)


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
