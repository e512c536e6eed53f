"""Freeze a rank's process, and let it go on."""

from __future__ import annotations

import signal
import time
from typing import Any

from harness.reproduce.parts.fault import Fault


class Pause(Fault):
    """SIGSTOP, and SIGCONT on healing; the kernel still answers for the process."""

    def inject(self, play: Any) -> None:
        for rank in self.ranks:
            process = play.process(rank).process
            self.acted = self.acted or process.poll() is None
            process.send_signal(signal.SIGSTOP)
            play.paused[rank] = time.monotonic()

    def heal(self, play: Any) -> None:
        for rank in self.ranks:
            play.process(rank).process.send_signal(signal.SIGCONT)
            since = play.paused.pop(rank)
            for call in play.calls.values():
                if call.rank == rank and call.outcome == "runs":  # it gets so much longer
                    call.paused += time.monotonic() - max(since, call.begun or since)
