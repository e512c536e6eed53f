"""What the machine shows of a play: whether the endpoint listens, and what is left when all is over."""

from __future__ import annotations

import select
from collections.abc import Collection, Sequence
from typing import Any

from harness import clock
from harness.machine.children import Children, command_of
from harness.machine.sockets import listeners
from harness.words.endpoint import Endpoint

GLANCE_NS = 200_000
"""Between two looks for a listener: asking the kernel takes half of it."""

LOOK_AGAIN_NS = 5_000_000
"""Between two looks: a socket that closes tells nobody."""

LIMIT_NS = 1_000_000_000
"""How long the system may take to let go: the kernel closes sockets of ended processes at once, threads may linger."""


def left_behind(children: Children, standing: Collection[int], endpoints: Sequence[str]) -> dict[str, Any]:
    """What is left, looked at until nothing is, or `LIMIT_NS` have passed.

    Args:
        standing: pids that were there before the ranks: the zygote, the proxy server.
    """
    begun_ns = clock.now_ns()
    ports = {Endpoint.parse(endpoint).port for endpoint in endpoints}
    while True:
        left = {"processes": _strays(children, standing), "sockets": _sockets(ports)}
        waited_ns = clock.now_ns() - begun_ns
        if not any(left.values()) or waited_ns > LIMIT_NS:
            return {**left, "waited_ns": waited_ns}
        select.select([children.fileno()], [], [], LOOK_AGAIN_NS / 1e9)
        children.reap()


def await_listener(port: int, within_ns: int) -> bool:
    """Whether something listens on that port, waiting for it at most `within_ns`."""
    deadline_ns = clock.now_ns() + within_ns
    while not _sockets({port}):
        if clock.now_ns() > deadline_ns:
            return False
        select.select([], [], [], GLANCE_NS / 1e9)
    return True


def _strays(children: Children, standing: Collection[int]) -> list[str]:
    return [f"{pid} {command_of(pid)}".strip() for pid in children.others() if pid not in standing]


def _sockets(ports: set[int]) -> list[str]:
    return [str(one.address) for one in listeners(owners=False) if one.address.port in ports]
