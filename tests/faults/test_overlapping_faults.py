"""Two faults of one kind on one target: healing the first leaves the second in force, and the last one restores."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fault_context import FakeFaultContext, fault, rank_processes
from host_connections import NEEDS_ROOT
from named_hosts import town
from proxied_links import await_true

from harness.faults.base import FAULTS
from harness.faults.parts.layers import Layers
from harness.machine.names import hosts_file, resolution
from harness.machine.network import own_interface
from harness.machine.process import pidfd

ENDLESS = "print('ready', flush=True); import time; time.sleep(600)"


def held(kind: str, context: Any, *ranks: int, **attributes: Any) -> AbstractContextManager[Any]:
    """One fault of a kind, to be entered by the test."""
    return FAULTS[kind](fault(kind, *ranks, **attributes)).hold(context)


def in_turn(
    first: AbstractContextManager[Any], second: AbstractContextManager[Any], look: Callable[[], Any]
) -> list[Any]:
    """What a look shows before, with the first fault, with both, with the second alone, and with none."""
    shown = [look()]
    first.__enter__()
    shown.append(look())
    second.__enter__()
    shown.append(look())
    first.__exit__(None, None, None)
    shown.append(look())
    second.__exit__(None, None, None)
    return [*shown, look()]


@pytest.mark.parametrize("spares", [(0, 5), (5, 0)])
def test_the_lowest_file_limit_is_in_force_and_the_last_heal_restores_the_first_limit(spares: tuple[int, int]):
    """In either order; the limit from before both comes back."""
    with rank_processes(ENDLESS, 0) as context:
        pid = context.ranks[0].pid
        one, other = (held("file_limit", context, 0, spare=spare) for spare in spares)
        before, first, both, second, after = in_turn(
            one, other, lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        )
    assert both == min(first, second)
    assert second - first == spares[1] - spares[0]
    assert before == after > max(first, second)


def test_a_process_stays_frozen_until_the_last_pause_is_healed():
    """Its hang guard is record once that it stops, and once that it goes on."""
    with rank_processes(ENDLESS, 0) as context, pidfd.hold(context.ranks[0].pid) as process:
        shown = in_turn(held("pause", context, 0), held("pause", context, 0), process.stopped)
    assert shown == [False, True, True, True, False]
    assert context.calls == [("paused", 0, True), ("paused", 0, False)]


@NEEDS_ROOT
def test_the_last_kernel_limit_of_a_host_is_in_force(tmp_path: Path):
    """And the value from before both comes back, whichever heals first."""
    setting = Path("/proc/sys/net/ipv4/tcp_retries2")

    def look() -> int:
        with here.by_name["r1"].inside():
            return int(setting.read_text())

    with town(tmp_path) as here:
        one, other = (held("host_limits", here, 1, tcp_retries2=number) for number in (3, 5))
        before, *shown, after = in_turn(one, other, look)
    assert (shown, after) == ([3, 5, 5], before)


@NEEDS_ROOT
def test_a_cable_stays_out_until_it_is_put_back_twice(tmp_path: Path):
    """The host's kernel sees none meanwhile; it says so a moment after the cable is out."""
    expected = [True, False, False, False, True]
    steps = iter(expected)

    def has_carrier() -> bool:
        with here.by_name["r1"].inside():
            return own_interface.has_carrier(here.by_name["r1"].device)

    def look() -> bool:
        wanted = next(steps)
        await_true(lambda: has_carrier() is wanted)
        return wanted

    with town(tmp_path) as here:
        shown = in_turn(held("unplug", here, 1), held("unplug", here, 1), look)
    assert shown == expected


@NEEDS_ROOT
def test_every_host_learns_the_last_address_of_one_that_moved_twice(tmp_path: Path):
    """Also where the first fault, with the old address, is healed last."""
    with town(tmp_path) as here:
        stale, follow = (held("address_change", here, names=names) for names in ("stale", "follow"))
        stale.__enter__()
        follow.__enter__()
        follow.__exit__(None, None, None)
        stale.__exit__(None, None, None)
        known = {hosts_file.address_of(resolution.hosts_of(host), "r0") for host in here.hosts}
        assert known == {here.by_name["r0"].address}


@pytest.mark.parametrize(
    ("kind", "attributes", "orders"),
    [
        ("down", {}, ["disable", "enable"]),
        ("disconnect", {}, ["disconnect", "connect"]),
        ("cpu_limit", {"run": 2_000_000, "every": 1_000_000_000}, ["limit 2000 of 1000000", "unlimit"]),
    ],
)
def test_what_a_target_is_told_once_by_two_equal_faults(
    kind: str, attributes: dict[str, int], orders: list[str], monkeypatch: pytest.MonkeyPatch
):
    """The first order with the first fault, the second with the last healing."""
    record: list[str] = []
    target = _target(record)
    monkeypatch.setattr(f"harness.faults.{kind}.traffic_of", lambda links: [], raising=False)
    monkeypatch.setattr(f"harness.faults.{kind}.refusals", lambda *_: lambda: 0, raising=False)
    monkeypatch.setattr(f"harness.faults.{kind}._open", lambda host: 0, raising=False)
    context = FakeFaultContext(known_links=[target], world_host=target, ranks={0: SimpleNamespace()})
    shown = in_turn(held(kind, context, 0, **attributes), held(kind, context, 0, **attributes), record.copy)
    assert shown == [[], orders[:1], orders[:1], orders[:1], orders]


def test_what_cannot_be_applied_is_undone_and_the_others_stay():
    """A second fault that the system refuses leaves the first in force, and nothing is kept after it."""
    layers: Layers[int] = Layers()
    applied: list[int] = []

    def refuse(value: int) -> None:
        if value == 3:
            raise OSError("refused")
        applied.append(value)

    with layers.hold("target", 2, 1, refuse):
        with pytest.raises(OSError, match="refused"), layers.hold("target", 3, 2, refuse):
            pass
        assert applied == [2, 2]
    with layers.hold("target", 5, 4, refuse):
        assert applied == [2, 2, 1, 5]
    assert applied == [2, 2, 1, 5, 4]


def _target(record: list[str]) -> Any:
    """A link, a container's host and its container in one; it notes what it is record."""
    names = ("disable", "enable", "disconnect", "connect")
    target = SimpleNamespace(name="target", rank=0, **{name: lambda name=name: record.append(name) for name in names})
    target.container_of = lambda rank: target
    target.throttled_ns = lambda: 0
    target.limit_processor = lambda run, every: record.append(f"limit {run} of {every}")
    target.unlimit_processor = lambda: record.append("unlimit")
    return target
