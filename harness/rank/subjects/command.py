"""Any program as a rank: it gets its rank and the endpoint in the environment, and its exit status is the rank's."""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any, Dict, NoReturn, Sequence

from harness.values.plan import HandlerPlan

SKIP_REASON = "the subject `command` takes no steps but `exit`"


class CommandSubject:
    """A program that replaces the rank's process."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)

    def prepare(self) -> Dict[str, Any]:
        """Raises ValueError if no program is given, FileNotFoundError if it does not exist."""
        if not self._argv:
            raise ValueError("the subject `command` needs a program; write it after `--`")
        if shutil.which(self._argv[0]) is None:
            raise FileNotFoundError(f"there is no program {self._argv[0]!r} here; give its path or install it")
        return {}

    def open(self, plan: HandlerPlan) -> NoReturn:
        raise NotImplementedError(SKIP_REASON)

    def exec(self, plan: HandlerPlan) -> NoReturn:
        """Replace this process by the program; raises OSError if the system refuses."""
        settings = {
            "RANK": str(plan.rank),
            "WORLD_SIZE": str(plan.world_size),
            "MASTER_ADDR": plan.host,
            "MASTER_PORT": str(plan.port),
        }
        # Its output is a file: what Python held back would be lost with a killed process, and seen late by moments.
        os.environ.setdefault("PYTHONUNBUFFERED", "1")
        # A job that asks its user something must not wait for an answer that never comes.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # Python ignores these two signals, and the program would inherit that.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execvpe(self._argv[0], self._argv, {**os.environ, **settings})
