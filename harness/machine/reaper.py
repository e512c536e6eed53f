"""Watches over the owners of leases, and lets go of what each has left in an engine when it has ended.

A process of its own session, told by lines on its standard input where leases lie. It ends when that pipe has ended
and nothing is left to watch over, so it outlives whoever started it by as long as the engine takes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from pathlib import Path

from harness import clock
from harness.machine import leases
from harness.machine.containers import Client
from harness.machine.leases import Lease
from harness.words.errors import HarnessError

TRIES, TRY_AGAIN_NS = 5, 1_000_000_000
"""An engine that is starting again answers after some seconds; what is left then is for the next run's sweep."""

_INPUT = 0


class Watch:
    """The owners that live, by a descriptor of each; readable when it has ended."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(_INPUT, select.POLLIN)
        self._owners: dict[int, list[Lease]] = {}
        self._input_open = True
        self._rest = b""

    def run(self) -> None:
        """Until nobody can tell of another lease, and all owners have ended or released theirs."""
        while self._input_open or self._owners:
            for descriptor, _ in self._poll.poll():
                if descriptor == _INPUT:
                    self._listen()
                else:
                    self._settle(descriptor)

    def _listen(self) -> None:
        data = os.read(_INPUT, 65536)
        if not data:
            self._input_open = False
            self._poll.unregister(_INPUT)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            lease = leases.read(Path(line.decode()))
            if lease is not None:
                self._watch(lease)

    def _watch(self, lease: Lease) -> None:
        try:
            descriptor = os.pidfd_open(lease.owner.pid)
        except ProcessLookupError:
            return let_go(lease)
        if lease.owner.lives() is False:
            os.close(descriptor)
            return let_go(lease)
        self._owners[descriptor] = [lease]
        self._poll.register(descriptor, select.POLLIN)
        return None

    def _settle(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        for lease in self._owners.pop(descriptor):
            # A lease that was released is not there any more.
            if leases.read(lease.path) is not None:
                let_go(lease)


def let_go(lease: Lease) -> None:
    """Take away what is left of it, trying again while the engine does not answer."""
    for _ in range(TRIES):
        try:
            with contextlib.closing(Client(lease.url)) as client:
                leases.let_go(client, lease.world)
        except HarnessError:
            clock.sleep_ns(TRY_AGAIN_NS)
        else:
            return leases.release(lease)
    return None


def main() -> int:
    """Serve until the pipe on standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The SDK takes a quarter of a second to import, and must be there when it is needed.
    import docker  # noqa: F401

    Watch().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
