"""What the machine shows of a play: whether the endpoint listens, and what is left when all is over."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from harness import clock
from harness.machine.network.sockets import listeners
from harness.machine.process.children import Children, command_of
from harness.values.ops import OK, Op
from harness.worlds.base import Host, WorldSession

GLANCE_NS = 200_000
"""Between two looks for a listener: asking the kernel takes half of it."""

LOOK_AGAIN_NS = 5_000_000
"""Between two looks: no event says that a socket was closed."""

LIMIT_NS = 1_000_000_000
"""How long the system may take to clean up: the kernel closes sockets of ended processes at once, threads may stay."""


def left_behind(session: WorldSession, standing: Collection[int], ports: Collection[int]) -> dict[str, Any]:
    """What is left, looked at until nothing is, or `LIMIT_NS` have passed.

    Args:
        standing: pids that were there before the ranks: the zygote, the proxy server.
        ports: of all endpoints; no socket may listen on one, on any host.
    """
    begun_ns = clock.now_ns()
    while True:
        # The time is read before the look: if this process stood still after a look, it looks once more.
        waited_ns = clock.now_ns() - begun_ns
        left = {"processes": _strays(session.children, standing), "sockets": _listening(session.hosts, ports)}
        if not any(left.values()) or waited_ns > LIMIT_NS:
            return {**left, "waited_ns": clock.now_ns() - begun_ns}
        select.select([session.fileno()], [], [], LOOK_AGAIN_NS / 1e9)
        session.reap()


def end_forked(session: WorldSession, ops: Iterable[Op]) -> None:
    """End what ranks have forked with `fork_child`: it outlives them on purpose, but not the play."""
    forked = {op.value["pid"] for op in ops if (op.f, op.type) == ("fork_child", OK)}
    # Only descendants, whatever the rank said; and the process table is read only if a rank has forked.
    for pid in forked.intersection(session.children.others()) if forked else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def await_listener(host: Host, port: int, within_ns: int) -> bool:
    """Whether something listens on that port of a host, waiting for it at most `within_ns`."""
    deadline_ns = clock.now_ns() + within_ns
    while not _listening((host,), {port}):
        if clock.now_ns() > deadline_ns:
            return False
        select.select([], [], [], GLANCE_NS / 1e9)
    return True


def _strays(children: Children, standing: Collection[int]) -> list[str]:
    return [f"{pid} {command_of(pid)}".strip() for pid in children.others() if pid not in standing]


def _listening(hosts: Sequence[Host], ports: Collection[int]) -> list[str]:
    found: list[str] = []
    for host in hosts:
        with host.inside():
            found += [str(one.address) for one in listeners(owners=False) if one.address.port in ports]
    return found
