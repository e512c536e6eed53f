"""delay: packets come late, by the mechanism that the evidence names."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_connections import exchange, member, needs
from named_hosts import town

from harness import clock
from harness.faults.base import FAULTS

pytestmark = needs("nft")

DELAY_NS = 200_000_000


def round_trip_ns(line) -> int:
    """How long an answer takes."""
    begun_ns = clock.now_ns()
    assert line.passes(within_s=10)
    assert line.passes_back(within_s=10)
    return clock.now_ns() - begun_ns


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize(("way", "times"), [("out", 1), ("in", 1), ("both", 2)])
def test_an_answer_comes_late_by_the_delay_of_each_way(way: str, times: int, family: str, tmp_path: Path):
    """After the healing it comes at once; hosts that are not hit are not late."""
    with town(tmp_path, family) as here, exchange(here) as at:
        line, aside = at.line("r1", "r0"), at.line("r2", "r0")
        with member("delay", 1, delay=DELAY_NS, way=way).hold(here) as evidence:
            assert round_trip_ns(line) >= times * DELAY_NS
            assert round_trip_ns(aside) < DELAY_NS
            found = evidence()
        assert round_trip_ns(line) < times * DELAY_NS
    assert found.touched
    assert found.facts["by"] in ("netem", "nfqueue", "nfqueue through iptables")
    assert found.facts["packets"] >= 2
    assert found.facts["longest_ns"] >= DELAY_NS


def test_several_hosts_are_late_at_once(tmp_path: Path):
    """One process delays the packets of all of them."""
    with town(tmp_path) as here, exchange(here) as at:
        lines = [at.line("r1", "px"), at.line("r2", "px")]
        with member("delay", 1, 2, delay=DELAY_NS, way="in").hold(here):
            assert all(round_trip_ns(line) >= DELAY_NS for line in lines)


def test_it_touched_nothing_if_the_host_is_silent(tmp_path: Path):
    """Other hosts send, this one does not: the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        aside = at.line("r2", "r0")
        with member("delay", 1, delay=DELAY_NS).hold(here) as evidence:
            assert aside.passes()
            found = evidence()
    assert (found.touched, found.facts["packets"]) == (False, 0)


def test_two_delays_of_a_host_can_follow_each_other(tmp_path: Path):
    """The first leaves nothing behind that would block the second."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        for _ in range(2):
            with member("delay", 1, delay=DELAY_NS).hold(here):
                assert round_trip_ns(line) >= 2 * DELAY_NS


def test_a_jitter_larger_than_the_delay_is_refused():
    """The loader reports it at the fault."""
    assert FAULTS["delay"].problems({"delay": 5, "jitter": 6})
    assert not FAULTS["delay"].problems({"delay": 5, "jitter": 5})
