"""missing_name: a name cannot be found until the fault is healed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from fault_context import fault
from named_hosts import town

from harness.faults.base import FAULTS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")


@pytest.mark.parametrize(("written", "name", "other"), [(None, "r0", "r2"), ("r2", "r2", "r0")])
def test_there_is_no_such_host_until_it_is_healed(written: str | None, name: str, other: str, tmp_path: Path):
    """By default the master's name is missing; other names keep their addresses."""
    with town(tmp_path) as here, here.asker("r1") as asker:
        member = FAULTS["missing_name"](fault("missing_name", 1, name=written))
        with member.hold(here) as evidence:
            missing = asker.ask("addresses", name)
            assert missing == {"error": "gaierror", "number": socket.EAI_NONAME}
            assert asker.ask("addresses", other) == {"ok": [here.by_name[other].address]}
            found = evidence()
        assert (found.touched, found.facts["names"]) == (True, {name: 2})
        assert asker.ask("addresses", name) == {"ok": [here.by_name[name].address]}


def test_it_touched_nothing_if_nobody_asked_for_the_name(tmp_path: Path):
    """Neither another name nor a look-up on another host counts."""
    with town(tmp_path) as here, here.asker("r1") as asker, here.asker("r2") as other:
        with FAULTS["missing_name"](fault("missing_name", 1, name=None)).hold(here) as evidence:
            assert asker.ask("addresses", "no-such-thing")["error"] == "gaierror"
            assert other.ask("addresses", "r0") == {"ok": [here.by_name["r0"].address]}
            assert evidence().touched is False
