"""End a rank's process at once."""

from __future__ import annotations

from typing import Any

from harness.reproduce.parts.fault import Fault


class Kill(Fault):
    """SIGKILL; healing starts the rank again, from its first step, in its next process."""

    restarts = True

    def inject(self, play: Any) -> None:
        for rank in self.ranks:
            process = play.process(rank).process
            self.acted = self.acted or process.poll() is None
            process.kill()
            process.wait()

    def heal(self, play: Any) -> None:
        for rank in self.ranks:
            play.life[rank] += 1  # its next process waits for its calls
