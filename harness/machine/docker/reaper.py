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
from harness.machine.docker import leases
from harness.machine.docker.client import Client
from harness.machine.docker.leases import Lease
from harness.values.errors import HarnessError

TRIES, TRY_AGAIN_NS = 20, 1_000_000_000
"""An engine that is starting again answers after some seconds; what is left then is for the next run's sweep."""

_INPUT = 0


class Watch:
    """The owners that live, by a descriptor of each, readable when it has ended; and an engine's client for each."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(_INPUT, select.POLLIN)
        self._owned: dict[int, Lease] = {}
        self._clients: dict[str, Client] = {}
        self._input_open = True
        self._rest = b""

    def run(self) -> None:
        """Until nobody can tell of another lease, and all owners have ended."""
        while self._input_open or self._owned:
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
        # Made now, because loading the SDK takes a quarter of a second, and shall not when it matters.
        with contextlib.suppress(HarnessError):
            self._clients.setdefault(lease.url, Client(lease.url))
        try:
            descriptor = os.pidfd_open(lease.owner.pid)
        except ProcessLookupError:
            self._let_go(lease)
            return
        if lease.owner.lives():
            self._owned[descriptor] = lease
            self._poll.register(descriptor, select.POLLIN)
        else:
            os.close(descriptor)
            self._let_go(lease)

    def _settle(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        lease = self._owned.pop(descriptor)
        # A lease that was released is not there any more.
        if leases.read(lease.path) is not None:
            self._let_go(lease)

    def _let_go(self, lease: Lease) -> None:
        """Take away what is left of it, trying again while the engine does not answer."""
        for _ in range(TRIES):
            try:
                client = self._clients.pop(lease.url, None) or Client(lease.url)
                leases.remove_world(client, lease.world)
                leases.release(lease)
                self._clients[lease.url] = client
                return
            except HarnessError:
                clock.sleep_ns(TRY_AGAIN_NS)


def main() -> int:
    """Serve until the pipe on standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Watch().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
