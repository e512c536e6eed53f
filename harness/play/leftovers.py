"""What the machine shows of a play: whether the endpoint listens, and what is left when all is over."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from harness import clock
from harness.machine.network.sockets import Listener, inodes_of, listeners, owners_of
from harness.machine.process.children import Children, command_of
from harness.values.errors import HarnessError
from harness.values.ops import OK, Op
from harness.worlds.base import Host, WorldSession

GLANCE_NS = 200_000
"""Between two looks for a listener: asking the kernel takes half of it."""

LOOK_AGAIN_NS = 5_000_000
"""Between two looks: no event says that a socket was closed."""

MOST_OF_COMMAND = 100
"""Characters of a command line: enough to know the program."""

LIMIT_NS = 1_000_000_000
"""How long the system may take to clean up: the kernel closes sockets of ended processes at once, threads may stay."""


def left_behind(
    session: WorldSession, standing: Collection[int], ports: Collection[int], shared_network: bool = False
) -> dict[str, Any]:
    """What is left, looked at until nothing is, or `LIMIT_NS` have passed.

    Args:
        standing: pids that were there before the ranks: the zygote, the proxy server.
        ports: of all endpoints; no socket may listen on one, on any host.
        shared_network: whether others use this network too; then only sockets of this world's processes count.
    """
    begun_ns = clock.now_ns()
    while True:
        # The time is read before the look: if this process stood still after a look, it looks once more.
        waited_ns = clock.now_ns() - begun_ns
        found = _listening(session.hosts, ports)
        own = _of_descendants(session.children, found) if shared_network else found
        left = {"processes": _strays(session.children, standing), "sockets": [str(one.address) for one in own]}
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


def listened_at(session: WorldSession, ports: Collection[int], shared_network: bool) -> frozenset[int]:
    """Those ports at which somebody listens inside the world; a stranger on a shared network does not count."""
    found = _listening(session.hosts, ports)
    own = _of_descendants(session.children, found) if shared_network else found
    return frozenset(one.address.port for one in own)


def _strays(children: Children, standing: Collection[int]) -> list[str]:
    return [f"{pid} {command_of(pid)}".strip() for pid in children.others() if pid not in standing]


def require_ports(session: WorldSession, ports: Collection[int]) -> None:
    """Raises HarnessError, which names the holders, if a process of somebody else listens at one of these ports."""
    found = _listening(session.hosts, ports)
    own = _of_descendants(session.children, found)
    others = [one for one in found if one not in own]
    if others:
        holders = owners_of(one.inode for one in others)
        names = ", ".join(f"{one.address} by {_holder(holders.get(one.inode))}" for one in others)
        raise HarnessError(
            f"a port of this world is held by a process that is not part of it: {names}; end that process, take "
            "another port, or let the world have a network of its own (--isolation private)"
        )


def _holder(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    command = command_of(pid)[:MOST_OF_COMMAND]
    return f"pid {pid} ({command})" if command else f"pid {pid}"


def _of_descendants(children: Children, sockets: Sequence[Listener]) -> list[Listener]:
    """Those sockets that a descendant of this process holds."""
    inodes = {inode for pid in children.others() for inode in inodes_of(pid)} if sockets else set()
    return [one for one in sockets if one.inode in inodes]


def _listening(hosts: Sequence[Host], ports: Collection[int]) -> list[Listener]:
    found: list[Listener] = []
    for host in hosts:
        with host.inside():
            found += [one for one in listeners(owners=False) if one.address.port in ports]
    return found
