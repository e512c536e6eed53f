"""Disciplines on the interfaces of hosts: bytes take the time of the rate, in both directions."""

from __future__ import annotations

import shutil

import pytest
from users import User

from harness.machine.network.shaping import token_bucket

pytestmark = [
    pytest.mark.usefixtures("namespaces_allowed"),
    pytest.mark.skipif(shutil.which("tc", path="/usr/sbin:/sbin:/usr/bin") is None, reason="needs tc"),
]


@pytest.mark.parametrize("way", ["out", "in", "both"])
def test_bytes_take_the_time_of_the_rate(user: User, way: str) -> None:
    """100 KB at 100 KB/s, of which the bucket holds 3200 bytes: no faster, and packets wait in every way asked for."""
    saw = user.ask_privately("network_faults.py", "rate", way)
    assert saw["slow_ns"] > 900_000_000
    assert saw["counted"] == {one: [True, True] for one in (["out", "in"] if way == "both" else [way])}


def test_an_interface_takes_one_discipline_at_a_time(user: User) -> None:
    """The second is refused with what to do, and the first stays as it is."""
    saw = user.ask_privately("network_faults.py", "rate", "in")
    assert saw["second"] == "r0 has such a fault already; let the first end before the next"


@pytest.mark.parametrize(
    ("rate", "discipline"),
    [
        (1_000, "tbf rate 1000bps burst 3200b limit 18340b"),
        (125_000_000, "tbf rate 125000000bps burst 1250000b limit 26250000b"),
    ],
)
def test_a_bucket_holds_the_largest_packet_and_the_bytes_of_one_tick(rate: int, discipline: str) -> None:
    """With less the slowest rate would pass nothing, and the fastest would not be reached."""
    assert token_bucket(rate) == discipline
