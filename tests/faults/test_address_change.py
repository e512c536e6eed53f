"""address_change: a host moves to another address and keeps its name."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fault_context import LIMIT_SECONDS, fault
from named_hosts import PORT, town

from harness.faults.base import FAULTS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")

SILENT_SECONDS = 0.5


def address_change(names: str = "follow"):
    """The fault on the master's host."""
    return FAULTS["address_change"](fault("address_change", names=names))


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_the_name_leads_to_the_new_address_and_stays_so(family: str, tmp_path: Path):
    """No host has the old address; healing does not bring it back."""
    with town(tmp_path, family) as here, here.asker("r0") as r0, here.asker("r1") as r1:
        r0.ask("listen", PORT)
        old = here.by_name["r0"].address
        with address_change().hold(here) as evidence:
            new = here.by_name["r0"].address
            assert new != old
            assert r1.ask("connect", "r0", PORT, LIMIT_SECONDS) == {"ok": new}
            assert r1.ask("connect", old, PORT, SILENT_SECONDS)["error"] == "TimeoutError"
            found = evidence()
        assert (found.touched, found.facts["moved"]) == (True, {"r0": [old, new]})
        assert found.facts["begun"] == 2
        assert r0.ask("addresses", "r0") == r1.ask("addresses", "r0") == {"ok": [new]}


def test_an_open_connection_hangs(tmp_path: Path):
    """Neither side gets an error; the connection was open when the host moved, and is counted."""
    with town(tmp_path) as here, here.asker("r0") as r0, here.asker("r1") as r1:
        r0.ask("listen", PORT)
        r1.ask("connect", "r0", PORT, LIMIT_SECONDS)
        r0.ask("accept", LIMIT_SECONDS)
        assert (r1.ask("send", "before"), r0.ask("receive", LIMIT_SECONDS)) == ({"ok": 6}, {"ok": "before"})
        with address_change().hold(here) as evidence:
            assert r1.ask("send", "after") == {"ok": 5}
            assert r0.ask("receive", SILENT_SECONDS)["error"] == "TimeoutError"
            found = evidence()
    assert (found.touched, found.facts["left_hanging"]) == (True, 1)


def test_a_stale_name_leads_nowhere_until_it_is_healed(tmp_path: Path):
    """The host itself knows its new address; the others get it when the fault is healed."""
    with town(tmp_path) as here, here.asker("r0") as r0, here.asker("r1") as r1:
        r0.ask("listen", PORT)
        with address_change("stale").hold(here) as evidence:
            assert r0.ask("connect", "r0", PORT, LIMIT_SECONDS) == {"ok": here.by_name["r0"].address}
            assert r1.ask("connect", "r0", PORT, SILENT_SECONDS)["error"] == "TimeoutError"
            assert evidence().facts["begun"] == 2
        assert r1.ask("connect", "r0", PORT, LIMIT_SECONDS) == {"ok": here.by_name["r0"].address}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_who_goes_to_the_old_address_hears_that_it_cannot_be_reached(family: str, tmp_path: Path):
    """Even a client that was connected a moment ago, whose kernel knew where to send."""
    with town(tmp_path, family) as here, here.asker("r0") as r0, here.asker("r1") as r1:
        r0.ask("listen", PORT)
        old = here.by_name["r0"].address
        assert r1.ask("connect", "r0", PORT, LIMIT_SECONDS) == {"ok": old}
        with address_change("stale").hold(here):
            refusal = r1.ask("connect", "r0", PORT, LIMIT_SECONDS)
        assert refusal == {"error": "OSError", "number": errno.EHOSTUNREACH}


def test_it_touched_nothing_if_nobody_was_or_became_connected(tmp_path: Path):
    """A host that moves without any connection is not touched: the cell will be vacuous."""
    with town(tmp_path) as here, address_change().hold(here) as evidence:
        assert evidence().touched is False


def test_a_name_that_is_hidden_meanwhile_has_the_new_address_afterwards(tmp_path: Path):
    """Two faults change one hosts file, and neither undoes what the other did."""
    with town(tmp_path) as here, here.asker("r1") as r1:
        with FAULTS["missing_name"](fault("missing_name", 1, name=None)).hold(here):
            with address_change().hold(here):
                assert r1.ask("addresses", "r0")["error"] == "gaierror"
        assert r1.ask("addresses", "r0") == {"ok": [here.by_name["r0"].address]}
