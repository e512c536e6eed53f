"""Freeze a rank's process, and let it go on."""

from __future__ import annotations

import signal
import time
from typing import Any

from harness.reproduce.parts.fault import Fault
from harness.reproduce.parts.log import log, rows, running
from harness.reproduce.parts.process import process_of


class Pause(Fault):
    """SIGSTOP, and SIGCONT on healing; the kernel still answers for the process."""

    def inject(self, play: Any) -> None:
        for rank in self.ranks:
            process = process_of(rank)
            self.acted = self.acted or process.popen.poll() is None
            process.popen.send_signal(signal.SIGSTOP)
            log(state="paused", who=rank)

    def heal(self, play: Any) -> None:
        for rank in self.ranks:
            process_of(rank).popen.send_signal(signal.SIGCONT)
            since = rows(state="paused", who=rank)[-1]["time"]
            for call in running():
                if call.who == rank:  # it gets so much longer
                    paused = call.paused + time.monotonic() - max(since, call.begun)
                    log(call=call.call, paused=paused)
            log(state="resumed", who=rank)
