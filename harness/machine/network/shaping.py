"""Queueing disciplines on the interfaces of hosts, for outgoing packets and, by a detour, for incoming ones."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.machine.network import netns
from harness.machine.network.network_tools import CabledHost, Host, Task, path_of, run
from harness.values.errors import HarnessError, Unsupported

OUT, IN = "out", "in"
DETOUR = "rdzv-in"
"""Incoming packets are redirected through this interface, because a discipline acts on packets that leave one."""

# The highest index: a search for the host's interface finds its own first.
_DETOUR_INDEX = 0x3FFFFFFF

# A bucket must hold the largest packet (1514 bytes) and the bytes of one tick of the kernel's clock (10 ms).
_SMALLEST_BURST_BYTES, _TICKS_PER_SECOND = 3200, 100
# Packets that would wait longer are dropped, as a router does.
_QUEUE_SECONDS, _SMALLEST_QUEUE_BYTES = 0.2, 15140


@dataclass(frozen=True)
class Passed:
    """The counters of a discipline.

    Attributes:
        packets: that passed it, were dropped, or wait in it.
        held: how often a packet had to wait; 0 if the discipline does not count it.
        dropped: because too many waited already.
    """

    packets: int
    held: int
    dropped: int


Passage = Mapping[str, Mapping[str, Passed]]
"""The counters by host name and way."""


def ways(way: str) -> tuple[str, ...]:
    """The ways of `out`, `in` or `both`."""
    return (OUT, IN) if way == "both" else (way,)


def token_bucket(bytes_per_second: int) -> str:
    """A discipline that passes so many bytes per second, with a short queue."""
    burst = max(_SMALLEST_BURST_BYTES, bytes_per_second // _TICKS_PER_SECOND)
    limit = burst + max(_SMALLEST_QUEUE_BYTES, round(bytes_per_second * _QUEUE_SECONDS))
    return f"tbf rate {bytes_per_second}bps burst {burst}b limit {limit}b"  # tc calls bytes a second `bps`


@functools.cache
def check(discipline: str, way: str) -> None:
    """Raise Unsupported, with what is missing, where a discipline cannot be used; it is tried in a trial network."""
    for tool in ("tc", "ip"):
        path_of(tool)
    with contextlib.closing(TrialNetwork()) as host:
        try:
            with shaped([host], discipline, way):
                pass
        except HarnessError as error:
            kind = discipline.split()[0]
            raise Unsupported(kind, f"this kernel refuses it ({error}); take a kernel that has it") from error


@contextlib.contextmanager
def shaped(hosts: Sequence[CabledHost], discipline: str, way: str) -> Iterator[Callable[[], Passage]]:
    """Keep a discipline (`tbf ...`, `netem ...`, in tc's syntax) on each host's interface for the block.

    Yields a function that reads the counters. Packets that still wait at the end are lost. Raises HarnessError, also
    where the interface already has a discipline.
    """
    with contextlib.ExitStack() as held:
        for host in hosts:
            if OUT in ways(way):
                held.enter_context(_outward(host, discipline))
            if IN in ways(way):
                held.enter_context(_inward(host, discipline))
        yield lambda: {host.name: {one: _passed(host, one) for one in ways(way)} for host in hosts}


@contextlib.contextmanager
def _outward(host: CabledHost, discipline: str) -> Iterator[None]:
    _tc(host, f"qdisc add dev {host.device} root {discipline}")
    try:
        yield
    finally:
        _tc(host, f"qdisc del dev {host.device} root")


@contextlib.contextmanager
def _inward(host: CabledHost, discipline: str) -> Iterator[None]:
    with contextlib.ExitStack() as undone:
        _batch(host, "ip", f"link add {DETOUR} index {_DETOUR_INDEX} type ifb", f"link set {DETOUR} up")
        undone.callback(run, Task(host, ("ip", "link", "del", DETOUR)))
        _tc(host, f"qdisc add dev {host.device} handle ffff: ingress")
        undone.callback(_tc, host, f"qdisc del dev {host.device} ingress")
        _tc(
            host,
            f"qdisc add dev {DETOUR} root {discipline}",
            f"filter add dev {host.device} parent ffff: protocol all u32 match u32 0 0 "
            f"action mirred egress redirect dev {DETOUR}",
        )
        yield


def _tc(host: Host, *lines: str) -> None:
    _batch(host, "tc", *lines)


def _batch(host: Host, program: str, *lines: str) -> None:
    try:
        run(Task(host, (program, "-batch", "-"), "\n".join(lines) + "\n"))
    except HarnessError as error:
        if "Exclusivity flag on" in str(error) or "File exists" in str(error):
            raise HarnessError(f"{host.name} has such a fault already; let the first end before the next") from error
        raise


def _passed(host: CabledHost, way: str) -> Passed:
    device = host.device if way == OUT else DETOUR
    output = run(Task(host, ("tc", "-s", "-j", "qdisc", "show", "dev", device, "root")))
    try:
        found: dict[str, Any] = next(one for one in json.loads(output) if one.get("root"))
    except (ValueError, StopIteration) as error:
        raise HarnessError(
            f"the discipline of {host.name} is gone; has another fault removed its interface?"
        ) from error
    packets = int(found["packets"]) + int(found["qlen"]) + int(found["drops"])
    return Passed(packets, int(found["overlimits"]), int(found["drops"]))


class TrialNetwork:
    """A network namespace in which a mechanism is tried; a `CabledHost`."""

    name, device = "a trial network", "lo"

    def __init__(self) -> None:
        self._descriptor = netns.create()

    def inside(self) -> contextlib.AbstractContextManager[None]:
        return netns.inside(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
