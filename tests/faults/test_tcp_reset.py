"""tcp_reset: open connections to the endpoint are reset, new ones refused, and others left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_connections import FakeLink, exchange, member, needs
from named_hosts import PORT, Town, town

from harness.values.endpoint import Endpoint
from harness.values.errors import NothingToHit

pytestmark = needs("nft")


def endpoint_at(here: Town, host: str = "r0") -> Endpoint:
    return Endpoint(here.by_name[host].address, PORT)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_who_sends_is_told_that_the_other_side_has_reset_it(family: str, tmp_path: Path):
    """Both ends get the reset when they next send; connecting is refused until it is healed."""
    with town(tmp_path, family) as here, exchange(here) as at:
        here.endpoint = endpoint_at(here)
        line, aside = at.line("r1", "r0"), at.line("r2", "r0")
        with member("tcp_reset", 1).hold(here) as evidence:
            for one, other in ((line.near, line.far), (line.far, line.near)):
                one.sendall(b"x")
                with pytest.raises(ConnectionResetError):
                    one.recv(1)
                del other
            assert at.reached("r1", "r0") == "ConnectionRefusedError"
            assert at.reached("r2", "r0") == "connected"
            assert aside.passes()
            found = evidence()
        assert at.reached("r1", "r0") == "connected"
    assert found.touched
    assert found.facts["rejected_segments"]["r1"] >= 3


def test_a_rank_with_a_link_meets_it_at_the_link(tmp_path: Path):
    """Connections to the proxy server's port are reset; those to the master, which it does not use, are not."""
    with town(tmp_path) as here, exchange(here) as at:
        here.endpoint = endpoint_at(here)
        here.known_links = [FakeLink(1, endpoint_at(here, "px"))]
        with member("tcp_reset", 1).hold(here):
            assert at.reached("r1", "px") == "ConnectionRefusedError"
            assert at.reached("r1", "r0") == at.reached("r2", "px") == "connected"


def test_on_the_masters_host_it_is_all_that_comes_by_the_cable(tmp_path: Path):
    """The master's connection to itself goes on."""
    with town(tmp_path) as here, exchange(here) as at:
        here.endpoint = endpoint_at(here)
        own = at.line("r0", "r0")
        with member("tcp_reset", 0).hold(here) as evidence:
            assert at.reached("r1", "r0") == at.reached("px", "r0") == "ConnectionRefusedError"
            assert own.passes()
            assert evidence().facts["rejected_segments"] == {"r0": 2}


def test_it_touched_nothing_if_nobody_sends(tmp_path: Path):
    """An open, silent connection is not affected: the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        here.endpoint = endpoint_at(here)
        at.line("r1", "r0")
        with member("tcp_reset", 1).hold(here) as evidence:
            found = evidence()
    assert found.touched is False


def test_no_rank_is_nothing_to_hit(tmp_path: Path):
    """The cell will be vacuous."""
    with town(tmp_path) as here, pytest.raises(NothingToHit), member("tcp_reset").hold(here):
        pass
