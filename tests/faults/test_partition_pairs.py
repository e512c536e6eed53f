"""partition with pairs: packets are lost between two hosts, and between no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_connections import FakeLink, exchange, member, needs
from named_hosts import PORT, town

from harness.faults.base import FAULTS
from harness.values.endpoint import Endpoint
from harness.values.errors import NothingToHit, Unsupported

pytestmark = needs("nft")

ONE_AND_ZERO = (((1,), (0,)),)


def cut(stream: str = "both", pairs=ONE_AND_ZERO):
    """The fault between these ranks."""
    return member("partition", stream=stream, pairs=pairs)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_pair_is_cut_and_no_other(family: str, tmp_path: Path):
    """Both ways are cut; what was sent meanwhile arrives after the healing."""
    with town(tmp_path, family) as here, exchange(here) as at:
        line, aside = at.line("r1", "r0"), at.line("r2", "r0")
        with cut().hold(here) as evidence:
            assert not line.passes(b"a")
            assert not line.passes_back(b"b")
            assert at.reached("r1", "r0") == at.reached("r0", "r1") == "TimeoutError"
            assert at.reached("r1", "r2") == at.reached("r1", "px") == "connected"
            assert aside.passes()
            found = evidence()
        assert found.touched
        assert min(found.facts["dropped_packets"].values()) >= 2
        assert set(found.facts["dropped_packets"]) == {"r1 to r0", "r0 to r1"}
        assert line.heard() == (b"a", b"b")


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_one_way_is_cut_from_the_first_to_the_second_or_back(stream: str, tmp_path: Path):
    """Bytes of the other way arrive; a new connection needs both ways, whichever side makes it."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with cut(stream).hold(here) as evidence:
            assert line.passes(b"a") is (stream == "downstream")
            assert line.passes_back(b"b") is (stream == "upstream")
            assert at.reached("r1", "r0") == at.reached("r0", "r1") == "TimeoutError"
            found = evidence()
    way = "r1 to r0" if stream == "upstream" else "r0 to r1"
    assert list(found.facts["dropped_packets"]) == [way]
    assert found.facts["dropped_packets"][way] >= 2


def test_the_way_to_the_master_leads_through_its_links_too(tmp_path: Path):
    """If rank 1 has a link, its way to the proxy server is cut as well as the one to rank 0; rank 2's is not."""
    with town(tmp_path) as here, exchange(here) as at:
        here.known_links = [FakeLink(rank, Endpoint(here.by_name["px"].address, PORT)) for rank in (1, 2)]
        with cut().hold(here) as evidence:
            assert at.reached("r1", "px") == at.reached("r1", "r0") == "TimeoutError"
            assert at.reached("r2", "px") == at.reached("px", "r0") == "connected"
            found = evidence()
    assert set(found.facts["dropped_packets"]) == {"r1 to px", "px to r1", "r1 to r0", "r0 to r1"}


def test_groups_are_cut_in_every_pair(tmp_path: Path):
    """Ranks 0 and 1 are in one rack, rank 2 in another: every pair across them is cut."""
    with town(tmp_path) as here, exchange(here) as at:
        with cut(pairs=(((0, 1), (2,)),)).hold(here):
            assert at.reached("r0", "r2") == at.reached("r2", "r1") == "TimeoutError"
            assert at.reached("r0", "r1") == "connected"


def test_the_sender_believes_its_packets_sent(tmp_path: Path):
    """They are dropped on arrival, so the sender gets no error."""
    with town(tmp_path) as here, exchange(here) as at:
        line = at.line("r1", "r0")
        with cut("upstream").hold(here):
            line.near.sendall(b"a")
            line.near.sendall(b"b")
        assert at.line("r1", "r0").passes()


def test_it_touched_nothing_if_nobody_sends(tmp_path: Path):
    """An open, silent connection is not affected: the cell will be vacuous."""
    with town(tmp_path) as here, exchange(here) as at:
        at.line("r1", "r0")
        aside = at.line("r2", "r0")
        with cut().hold(here) as evidence:
            assert aside.passes()
            found = evidence()
    assert found.touched is False


def test_ranks_of_one_host_have_no_way_to_cut(tmp_path: Path):
    """No packet between them passes a cable: the cell will be vacuous."""
    with (
        town(tmp_path) as here,
        pytest.raises(NothingToHit, match="run on one host"),
        cut(pairs=(((0,), (0,)),)).hold(here),
    ):
        pass


def test_pairs_need_hosts_and_links_do_not(tmp_path: Path):
    """Without `pairs` a partition works in every world."""
    assert FAULTS["partition"].needed(cut().fault) == {"hosts"}
    assert FAULTS["partition"].needed(member("partition", 1).fault) == set()


def test_a_machine_without_nft_is_told_before_any_rank_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The cell is skipped with the reason."""
    monkeypatch.setattr("harness.machine.network.network_tools.shutil.which", lambda *_, **__: None)
    with town(tmp_path) as here, pytest.raises(Unsupported, match="install it"):
        cut().arm(here)
