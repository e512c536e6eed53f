"""The parent's side of boot: starts a controller, and holds the pipe whose closing ends it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from harness.machine import boot

# The kernel ends a whole process tree within some 30 ms; boot itself is killed if it takes this long.
ENDED_WITHIN_S = 5.0


@dataclass
class Launched:
    """A controller under boot; a context manager whose exit ends it and everything it started.

    Attributes:
        process: boot. Its return code is the controller's, 128 + n for signal n; or `boot.CANNOT_ISOLATE`,
            `boot.CANNOT_START`.
    """

    process: subprocess.Popen[bytes]
    _life_fd: int = -1

    def __enter__(self) -> Launched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """End the controller, by SIGKILL if it runs, and wait for it; the return code."""
        if self._life_fd >= 0:
            os.close(self._life_fd)
            self._life_fd = -1
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(ENDED_WITHIN_S)
        self.process.kill()
        return self.process.wait()


def launch(
    command: Sequence[str],
    *,
    isolation: str = boot.AUTO,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | int | None = None,
) -> Launched:
    """Start `command` under boot, away from this terminal's signals; from any thread.

    Args:
        isolation: `auto`, `private` or `host`.
        pass_fds: descriptors for the command, which keep their numbers.
        environment: the command's; None for this process's own.
        output: where stdout and stderr go; None for this process's own.
    """
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            boot.argv(sys.executable, reader, isolation, command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            pass_fds=(reader, *pass_fds),
            start_new_session=True,
        )
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    return Launched(process, writer)
