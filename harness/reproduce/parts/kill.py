"""End a rank's process at once."""

from __future__ import annotations

from typing import Any

from harness.reproduce.parts.fault import Fault
from harness.reproduce.parts.process import process_of


class Kill(Fault):
    """SIGKILL; after healing the rank's next process begins."""

    def inject(self, play: Any) -> None:
        for rank in self.ranks:
            process = process_of(rank)
            self.acted = self.acted or process.popen.poll() is None
            process.popen.kill()
            process.popen.wait()
            process.watch()
