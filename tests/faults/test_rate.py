"""rate: bytes that pass the host's cable take their time, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_connections import exchange, member, needs, sent
from named_hosts import town

pytestmark = needs("tc", "ip")

SIZE, RATE = 60_000, 100_000
AT_LEAST_NS = (SIZE - 3200) * 10**9 // RATE


@pytest.mark.parametrize(
    ("way", "source", "target"), [("out", "r1", "r0"), ("in", "r0", "r1"), ("both", "r0", "r1"), ("both", "r1", "px")]
)
def test_bytes_take_the_time_that_the_rate_says(way: str, source: str, target: str, tmp_path: Path):
    """60 KB at 100 KB/s; a burst of 3200 bytes passes at once."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line(source, target)
        with member("rate", 1, rate=RATE, way=way).hold(here) as evidence:
            assert sent(line, SIZE) >= AT_LEAST_NS
            found = evidence()
        assert line.passes()
    assert found.touched
    ways = {"both": {"out", "in"}}.get(way, {way})
    assert set(found.facts["hosts"]["r1"]) == ways
    assert any(one["held"] for one in found.facts["hosts"]["r1"].values())


def test_who_does_not_pass_the_cable_is_not_limited(tmp_path: Path):
    """Neither traffic between two other hosts nor that of the host with itself."""
    with town(tmp_path) as here, exchange(here) as at:
        aside, own = at.line("r2", "r0"), at.line("r1", "r1")
        with member("rate", 1, rate=100).hold(here):
            assert sent(aside, SIZE) < AT_LEAST_NS
            assert sent(own, SIZE) < AT_LEAST_NS


def test_it_touched_nothing_if_the_host_is_silent(tmp_path: Path):
    """Other hosts send, this one does not: the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        aside = at.line("r2", "r0")
        with member("rate", 1, rate=RATE).hold(here) as evidence:
            assert aside.passes()
            found = evidence()
    assert found.touched is False


def test_it_can_be_had_here(tmp_path: Path):
    """Arming tries it in a network of its own, before any rank starts."""
    with town(tmp_path) as here:
        member("rate", 1, rate=RATE).arm(here)
