"""Watches the owners of leases and of proxies, and removes what each left in Docker or on a server when it has ended.

It is a process in a session of its own. Each line on its standard input is the path of a lease, or a JSON object: the
proxies of one owner on a server that is not the harness's own. It ends when that pipe is closed and no owner is left to
watch, so it outlives its parent for as long as Docker takes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness import clock
from harness.machine.docker import leases
from harness.machine.docker.client import Client
from harness.machine.docker.leases import Lease
from harness.machine.toxiproxy import owners, token
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError

TRIES, TRY_AGAIN_NS = 20, 1_000_000_000
"""A Docker that restarts answers after some seconds; what is left after these tries is removed by the next sweep."""

_INPUT = 0


class Watch:
    """The living owners by their pidfds, and a Docker client for each of their engines."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(_INPUT, select.POLLIN)
        self._owned: dict[int, Callable[[], None]] = {}
        self._clients: dict[str, Client] = {}
        self._input_open = True
        self._rest = b""

    def run(self) -> None:
        """Run until no further lease can be announced and all owners have ended."""
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
            if line.startswith(b"{"):
                self._watch_proxies(**json.loads(line))
            elif (lease := leases.read(Path(line.decode()))) is not None:
                self._watch_lease(lease)

    def _watch_proxies(self, server: str, prefix: str, pid: int) -> None:
        self._watch(
            pid,
            lambda: owners.lives(prefix),
            partial(owners.remove_all, Endpoint.parse(server), prefix, os.environ.get(token.VARIABLE, "")),
        )

    def _watch_lease(self, lease: Lease) -> None:
        # Made now, because loading the SDK takes a quarter of a second, which would delay the removal.
        with contextlib.suppress(HarnessError):
            self._clients.setdefault(lease.url, Client(lease.url))
        self._watch(lease.owner.pid, lambda: bool(lease.owner.lives()), partial(self._remove, lease))

    def _watch(self, pid: int, lives: Callable[[], bool], remove: Callable[[], None]) -> None:
        """Call `remove` when the process with that pid has ended, or at once if that is not the owner."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            remove()
            return
        if lives():
            self._owned[descriptor] = remove
            self._poll.register(descriptor, select.POLLIN)
        else:
            os.close(descriptor)
            remove()

    def _settle(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        self._owned.pop(descriptor)()

    def _remove(self, lease: Lease) -> None:
        """Remove what is left of its world, and try again while Docker does not answer."""
        if leases.read(lease.path) is None:
            return  # it was released
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
    """Watch until the pipe on standard input is closed and all owners have ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Watch().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
