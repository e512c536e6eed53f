"""The processes of the ranks, and the faults that happen to them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.reproduce.parts.log import LOG, Moment, frozen, log, running
from harness.reproduce.parts.rank import Rank

# What a script defines itself.
PROCESSES: list[Process] = []
FAULTS: list[Any] = []
LIMIT: float = 10.0


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


def act(play: Any) -> None:
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
