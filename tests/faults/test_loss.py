"""loss: a share of the packets is dropped, and each lost packet is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_connections import Post, evidence_when, exchange, member, needs
from named_hosts import town

pytestmark = needs("nft")

PACKETS = 200


@pytest.mark.parametrize(
    ("way", "sender", "receiver"), [("in", "r0", "r1"), ("out", "r1", "r0"), ("both", "r0", "r1"), ("both", "r1", "px")]
)
def test_what_is_sent_is_received_or_counted_as_lost(way: str, sender: str, receiver: str, tmp_path: Path):
    """Half of 200 datagrams are lost, and the sender gets no error."""
    with town(tmp_path) as here, Post(here.by_name[sender], here.by_name[receiver]) as post:
        with member("loss", 1, share=0.5, way=way).hold(here) as evidence:
            post.send(PACKETS)
            found = evidence_when(evidence, lambda one: one.facts["packets"] == PACKETS)
            lost = found.facts["lost_packets"]
            assert post.received() == PACKETS - lost
    assert 50 < lost < 150
    assert found.touched
    assert found.facts["lost_on_the_way_to"][receiver] == lost


@pytest.mark.parametrize(("way", "sender", "receiver"), [("in", "r1", "r0"), ("out", "r0", "r1"), ("both", "r0", "r2")])
def test_the_other_way_and_other_hosts_lose_nothing(way: str, sender: str, receiver: str, tmp_path: Path):
    """No packet passed that could have been lost: the cell will be vacuous."""
    with town(tmp_path) as here, Post(here.by_name[sender], here.by_name[receiver]) as post:
        with member("loss", 1, share=1, way=way).hold(here) as evidence:
            post.send(PACKETS)
            found = evidence()
            assert post.received() == PACKETS
    assert (found.touched, found.facts["packets"]) == (False, 0)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_tcp_comes_through_a_loss_of_one_in_three(family: str, tmp_path: Path):
    """TCP sends lost packets again; if all are lost, nothing arrives."""
    with town(tmp_path, family) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with member("loss", 1, share=0.3).hold(here):
            assert all(line.passes(within_s=60) for _ in range(3))
        with member("loss", 1, share=1.0).hold(here):
            assert not line.passes()
