"""Any program as a rank: it is told its place in the environment, and its exit status is the rank's."""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any, Dict, NoReturn, Sequence

from harness.values.plan import HandlerPlan

BECAUSE = "the subject `command` takes no steps but `exit`"


class CommandSubject:
    """A program that takes the rank's process over."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)

    def prepare(self) -> Dict[str, Any]:
        """Raises ValueError or FileNotFoundError if there is nothing to run."""
        if not self._argv:
            raise ValueError("the subject `command` needs a program; write it behind `--`")
        if shutil.which(self._argv[0]) is None:
            raise FileNotFoundError(f"there is no program {self._argv[0]!r} here; give its path or install it")
        return {}

    def open(self, told: HandlerPlan) -> NoReturn:
        raise NotImplementedError(BECAUSE)

    def take_over(self, told: HandlerPlan) -> NoReturn:
        """Replace this process by the program; raises OSError if the system refuses."""
        place = {
            "RANK": str(told.rank),
            "WORLD_SIZE": str(told.world_size),
            "MASTER_ADDR": told.host,
            "MASTER_PORT": str(told.port),
        }
        # Python ignores these two, and a program would inherit that.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execvpe(self._argv[0], self._argv, {**os.environ, **place})
