"""wrong_address: a name leads to another host, or to an address that no host has."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fault_context import LIMIT_SECONDS, fault
from named_hosts import PORT, town

from harness.faults.base import FAULTS
from harness.values.errors import HarnessError

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")


def wrong_address(to: str, first: bool = False):
    """The fault on the host of rank 1, for the master's name."""
    return FAULTS["wrong_address"](fault("wrong_address", 1, to=to, name=None, first=first))


def test_a_connection_to_the_name_reaches_the_other_host(tmp_path: Path):
    """Both hosts listen; after the healing, the name leads to its own host again."""
    with town(tmp_path) as here, here.asker("r0") as r0, here.asker("r1") as r1, here.asker("r2") as r2:
        for listener in (r0, r2):
            listener.ask("listen", PORT)
        with wrong_address("r2").hold(here) as evidence:
            assert r1.ask("connect", "r0", PORT, LIMIT_SECONDS) == {"ok": here.by_name["r2"].address}
            found = evidence()
        assert (found.touched, found.facts["address"]) == (True, here.by_name["r2"].address)
        assert r1.ask("connect", "r0", PORT, LIMIT_SECONDS) == {"ok": here.by_name["r0"].address}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_nobody_cannot_be_reached(family: str, tmp_path: Path):
    """It is not even refused: the kernel finds no host with this address, and says so after some seconds."""
    with town(tmp_path, family) as here, here.asker("r1") as asker:
        with wrong_address("nobody").hold(here) as evidence:
            answer = asker.ask("connect", "r0", PORT, LIMIT_SECONDS)
            assert evidence().facts["address"] not in [host.address for host in here.hosts]
    assert answer == {"error": "OSError", "number": errno.EHOSTUNREACH}


def test_the_true_address_may_follow_the_wrong_one(tmp_path: Path):
    """The client's own address is preferred by the C library; the second one is the master's."""
    with town(tmp_path) as here, here.asker("r1") as r1:
        true, own = here.by_name["r0"].address, here.by_name["r1"].address
        with wrong_address("r1", first=True).hold(here) as evidence:
            assert r1.ask("addresses", "r0") == {"ok": sorted([own, true])}
            assert evidence().touched
        assert r1.ask("addresses", "r0") == {"ok": [true]}


def test_a_host_that_is_not_there_is_told_with_those_that_are(tmp_path: Path):
    """The error lists the hosts: a mistake in the file says nothing about the subject."""
    with (
        town(tmp_path) as here,
        pytest.raises(HarnessError, match=r"no host 'r9'; write one of .*r0, r1, r2, or `nobody`"),
    ):
        with wrong_address("r9").hold(here):
            pass
