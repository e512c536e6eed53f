"""Queueing disciplines on the interfaces of hosts: what leaves a host passes one, and, by a detour, what comes in."""

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
"""The interface through which packets that come in are led, so that they leave one and meet a discipline."""

# Last in any order: who looks for a host's interface finds its own first.
_DETOUR_INDEX = 0x3FFFFFFF

# A bucket must hold the largest packet (1514 bytes) and what comes between two ticks of the kernel's clock (10 ms).
_SMALLEST_BURST_BYTES, _TICKS_PER_SECOND = 3200, 100
# What waits longer is dropped, as a router does it.
_QUEUE_SECONDS, _SMALLEST_QUEUE_BYTES = 0.2, 15140


@dataclass(frozen=True)
class Passed:
    """What a discipline has met.

    Attributes:
        packets: that have passed it, or wait in it.
        held: how often a packet had to wait; 0 for a discipline that does not count it.
        dropped: because too many waited already.
        waiting_bytes: at this moment.
    """

    packets: int
    held: int
    dropped: int
    waiting_bytes: int


Passage = Mapping[str, Mapping[str, Passed]]
"""By host name and way."""


def ways(way: str) -> tuple[str, ...]:
    """`both` is two."""
    return (OUT, IN) if way == "both" else (way,)


def token_bucket(bytes_per_second: int) -> str:
    """A discipline that lets so many bytes pass each second, with a short queue before it."""
    burst = max(_SMALLEST_BURST_BYTES, bytes_per_second // _TICKS_PER_SECOND)
    limit = burst + max(_SMALLEST_QUEUE_BYTES, round(bytes_per_second * _QUEUE_SECONDS))
    return f"tbf rate {bytes_per_second}bps burst {burst}b limit {limit}b"  # tc calls bytes a second `bps`


@functools.cache
def check(discipline: str, way: str) -> None:
    """Raise Unsupported, which says what is missing, where this cannot be had: tried in a network made for it."""
    for tool in ("tc", "ip"):
        path_of(tool)
    with contextlib.closing(Throwaway()) as place:
        try:
            with shaped([place], discipline, way):
                pass
        except HarnessError as error:
            kind = discipline.split()[0]
            raise Unsupported(kind, f"this kernel refuses it ({error}); take a kernel that has it") from error


@contextlib.contextmanager
def shaped(places: Sequence[CabledHost], discipline: str, way: str) -> Iterator[Callable[[], Passage]]:
    """Hold a discipline (`tbf ...`, `netem ...`, as tc writes it) on each host's interface; yields what it has met.

    Packets that still wait when it ends are lost. Raises HarnessError, also where the interface has one already.
    """
    with contextlib.ExitStack() as held:
        for place in places:
            if OUT in ways(way):
                held.enter_context(_outward(place, discipline))
            if IN in ways(way):
                held.enter_context(_inward(place, discipline))
        yield lambda: {place.name: {one: _passed(place, one) for one in ways(way)} for place in places}


@contextlib.contextmanager
def _outward(place: CabledHost, discipline: str) -> Iterator[None]:
    _tc(place, f"qdisc add dev {place.device} root {discipline}")
    try:
        yield
    finally:
        _tc(place, f"qdisc del dev {place.device} root")


@contextlib.contextmanager
def _inward(place: CabledHost, discipline: str) -> Iterator[None]:
    with contextlib.ExitStack() as undone:
        _batch(place, "ip", f"link add {DETOUR} index {_DETOUR_INDEX} type ifb", f"link set {DETOUR} up")
        undone.callback(run, Task(place, ("ip", "link", "del", DETOUR)))
        _tc(place, f"qdisc add dev {place.device} handle ffff: ingress")
        undone.callback(_tc, place, f"qdisc del dev {place.device} ingress")
        _tc(
            place,
            f"qdisc add dev {DETOUR} root {discipline}",
            f"filter add dev {place.device} parent ffff: protocol all u32 match u32 0 0 "
            f"action mirred egress redirect dev {DETOUR}",
        )
        yield


def _tc(place: Host, *lines: str) -> None:
    _batch(place, "tc", *lines)


def _batch(place: Host, program: str, *lines: str) -> None:
    try:
        run(Task(place, (program, "-batch", "-"), "\n".join(lines) + "\n"))
    except HarnessError as error:
        if "Exclusivity flag on" in str(error) or "File exists" in str(error):
            raise HarnessError(f"{place.name} has such a fault already; let the first end before the next") from error
        raise


def _passed(place: CabledHost, way: str) -> Passed:
    device = place.device if way == OUT else DETOUR
    told = run(Task(place, ("tc", "-s", "-j", "qdisc", "show", "dev", device, "root")))
    try:
        found: dict[str, Any] = next(one for one in json.loads(told) if one.get("root"))
    except (ValueError, StopIteration) as error:
        raise HarnessError(f"the discipline of {place.name} is gone; did somebody take its interface away?") from error
    packets = int(found["packets"]) + int(found["qlen"]) + int(found["drops"])
    return Passed(packets, int(found["overlimits"]), int(found["drops"]), int(found["backlog"]))


class Throwaway:
    """A network in which things are tried."""

    name, device = "a trial network", "lo"

    def __init__(self) -> None:
        self._descriptor = netns.create()

    def inside(self) -> contextlib.AbstractContextManager[None]:
        return netns.inside(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
