"""The player of a shard: `python -m harness.cli.player`, which a cluster starts on each of its machines.

It reads one order from its standard input and says lines on its standard output. When its input ends, it heals its
worlds and ends: then the process that started it is gone, or wants no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from harness.values.errors import HarnessError

STOPPED = 130
FAILED = 3


def perform(line: str, say: Any) -> None:
    """Do what an order asks for; raises HarnessError, ValueError for what is no order."""
    from harness.campaign import machine
    from harness.campaign.orders import RECORD, MachineOrder

    order = MachineOrder.from_json(line)
    threading.Thread(target=_watch, daemon=True).start()
    if order.want == RECORD:
        from harness.record.clustered import row_of

        machine.perform(order, say, row_of)
    else:
        machine.perform(order, say)


def _watch() -> None:
    """Interrupt the main thread at the end of the input."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)


def main() -> int:
    """Perform one order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed is no line of ours

    def say(line: Mapping[str, Any]) -> None:
        out.write(json.dumps(line, separators=(",", ":")) + "\n")
        out.flush()

    try:
        perform(sys.stdin.readline(), say)
    except KeyboardInterrupt:
        return STOPPED
    except (HarnessError, ValueError, OSError) as error:
        print(f"{type(error).__name__ if isinstance(error, ValueError) else 'error'}: {error}", file=sys.stderr)
        return FAILED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the input may end at any moment now, and changes nothing
    return 0


if __name__ == "__main__":
    # The thread that reads the input is not waited for.
    code = main()
    sys.stderr.flush()
    os._exit(code)
