"""What a play left behind: processes, listening sockets and connections that should be gone."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

from harness import clock
from harness.machine.children import Children
from harness.machine.sockets import listeners
from harness.words.endpoint import Endpoint

LIMIT_NS = 1_000_000_000
"""How long the system may take to let go: the kernel closes sockets of ended processes at once, threads may linger."""


def left_behind(children: Children, endpoints: Sequence[str], poll: select.poll) -> dict[str, Any]:
    """What is left, looked at until nothing is, or `LIMIT_NS` have passed."""
    begun_ns = clock.now_ns()
    ports = {Endpoint.parse(endpoint).port for endpoint in endpoints}
    while True:
        left = {"processes": _strays(children), "sockets": _sockets(ports)}
        waited_ns = clock.now_ns() - begun_ns
        if not any(left.values()) or waited_ns > LIMIT_NS:
            return {**left, "waited_ns": waited_ns}
        poll.poll(5)
        children.reap()


def _strays(children: Children) -> list[str]:
    return [str(pid) for pid in children.others()]


def _sockets(ports: set[int]) -> list[str]:
    return [str(Endpoint(one.address, one.port)) for one in listeners() if one.port in ports]
