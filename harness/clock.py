"""The harness's clock: CLOCK_MONOTONIC, which all processes of a machine share, so their time stamps are comparable."""

from __future__ import annotations

import time


def now_ns() -> int:
    """Nanoseconds on CLOCK_MONOTONIC; comparable between processes of one machine, with an arbitrary zero."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def processor_time_ns() -> int:
    """For how long the threads of this process have run so far, in nanoseconds."""
    return time.process_time_ns()


def wall_time() -> float:
    """Seconds since the epoch, for names and reports only; never compared with `now_ns`."""
    return time.time()


def sleep_ns(duration_ns: int) -> None:
    """Block this thread for `duration_ns` nanoseconds: for a scenario's `sleep` step, never to wait for a fact."""
    time.sleep(duration_ns / 1e9)
