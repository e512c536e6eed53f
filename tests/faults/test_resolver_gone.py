"""resolver_gone: every look-up is refused at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from fault_context import fault
from named_hosts import timed, town

from harness.faults.base import FAULTS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")

SECONDS_OF_A_SILENT_SERVER = 5


def test_every_look_up_is_refused_at_once_until_it_is_healed(tmp_path: Path):
    """Twenty in a row: a kernel that reports a closed port only once a second would make them wait."""
    with town(tmp_path) as here, here.asker("r1") as asker:
        with FAULTS["resolver_gone"](fault("resolver_gone", 1)).hold(here) as evidence:
            for _ in range(20):
                took_s, answer = timed(asker, "addresses", "r0")
                assert answer == {"error": "gaierror", "number": socket.EAI_AGAIN}
                assert took_s < SECONDS_OF_A_SILENT_SERVER
            found = evidence()
        assert (found.touched, sorted(found.facts["refused"])) == (True, ["r1"])
        assert found.facts["refused"]["r1"] >= 20
        assert asker.ask("addresses", "r0") == {"ok": [here.by_name["r0"].address]}


def test_it_touched_nothing_if_its_hosts_asked_for_nothing(tmp_path: Path):
    """Look-ups on another host are answered, and do not count."""
    with town(tmp_path) as here, here.asker("r2") as other:
        with FAULTS["resolver_gone"](fault("resolver_gone", 1)).hold(here) as evidence:
            assert other.ask("addresses", "r0") == {"ok": [here.by_name["r0"].address]}
            assert evidence().touched is False
