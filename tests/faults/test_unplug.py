"""unplug: the cable is out, no error is reported, and packets that were sent without effect are the evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_connections import exchange, member, needs
from named_hosts import town
from proxied_links import await_true

pytestmark = needs()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_nothing_passes_the_cable_until_it_is_back(family: str, tmp_path: Path):
    """Neither way, on open and new connections; then the open one delivers what it had to send."""
    with town(tmp_path, family) as here, exchange(here) as at:
        line, aside = at.line("r1", "r0"), at.line("r2", "px")
        with member("unplug", 0).hold(here) as evidence:
            assert not line.passes(b"a")
            assert not line.passes_back(b"b")
            assert at.reached("r2", "r0") == "TimeoutError"
            assert aside.passes()
            found = evidence()
        assert found.touched
        assert line.heard() == (b"a", b"b")
        assert at.reached("r2", "r0") == "connected"


def test_what_others_send_to_it_counts(tmp_path: Path):
    """The unplugged host sends nothing; a host that sends to it gets no answer, and is named."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with member("unplug", 0).hold(here) as evidence:
            line.near.sendall(b"x")
            found = evidence()
    assert found.touched
    assert found.facts["hosts"]["r1"]["unanswered"] == 1
    assert set(found.facts["hosts"]) == {"r1"}


def test_it_touched_nothing_if_nobody_sends(tmp_path: Path):
    """An open, silent connection and the host's own loopback are not affected: the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        at.line("r1", "r0")
        own, aside = at.line("r0", "r0"), at.line("r1", "px")
        with member("unplug", 0).hold(here) as evidence:
            assert own.passes()
            assert aside.passes()
            found = evidence()
    assert (found.touched, found.facts["hosts"]) == (False, {})


def test_an_attempt_that_was_given_up_counts(tmp_path: Path):
    """Its socket is gone, but the kernel waited for an answer that did not come."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with member("unplug", 0, 1).hold(here) as evidence:
            assert not line.passes()
            # 0.2 s after it was sent, or later if the machine is busy
            await_true(lambda: evidence().facts["hosts"].get("r1", {}).get("timeouts"))
            line.near.close()
            line.far.close()
            found = evidence()
    assert found.facts["hosts"]["r1"]["timeouts"] >= 1
    assert found.touched
