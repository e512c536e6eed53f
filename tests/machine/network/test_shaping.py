"""Disciplines on the interfaces of hosts: bytes take the time that the rate says, whichever way they go."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from users import User, answer

from harness.machine.network.shaping import token_bucket

pytestmark = [
    pytest.mark.usefixtures("namespaces_allowed"),
    pytest.mark.skipif(shutil.which("tc", path="/usr/sbin:/sbin:/usr/bin") is None, reason="needs tc"),
]


def tried(user: User, *words: str) -> Any:
    """What a program of `network_faults` saw."""
    script = str(user.tree / "tests" / "machine" / "network_faults.py")
    return answer(user.run_booted("private", [user.python, script, *words]))


@pytest.mark.parametrize("way", ["out", "in", "both"])
def test_bytes_take_the_time_that_the_rate_says(user: User, way: str) -> None:
    """100 KB at 100 KB/s, of which the bucket holds 3200 bytes: no faster, and every way that is asked for waits."""
    saw = tried(user, "rate", way)
    assert saw["slow_ns"] > 900_000_000
    assert saw["told"] == {one: [True, True] for one in (["out", "in"] if way == "both" else [way])}


def test_an_interface_takes_one_discipline_at_a_time(user: User) -> None:
    """The second is refused with what to do, and takes nothing away from the first."""
    saw = tried(user, "rate", "in")
    assert saw["second"] == "r0 has such a fault already; let the first end before the next"


@pytest.mark.parametrize(
    ("rate", "discipline"),
    [
        (1_000, "tbf rate 1000bps burst 3200b limit 18340b"),
        (125_000_000, "tbf rate 125000000bps burst 1250000b limit 26250000b"),
    ],
)
def test_a_bucket_holds_the_largest_packet_and_what_comes_between_two_ticks(rate: int, discipline: str) -> None:
    """Else the slowest rate would let nothing pass, and the fastest would not be reached."""
    assert token_bucket(rate) == discipline
