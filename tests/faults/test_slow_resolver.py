"""slow_resolver: the C library of a process waits for slow answers, on the named hosts only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_context import fault
from named_hosts import timed, town

from harness.faults.base import FAULTS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")

DELAY_S = 0.3


def slow_resolver(*ranks: int, answers: str = "late", delay: int = int(DELAY_S * 1e9), one_in: int = 1):
    """The fault, on these ranks' hosts."""
    return FAULTS["slow_resolver"](fault("slow_resolver", *ranks, answers=answers, delay=delay, one_in=one_in))


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_look_up_takes_as_long_as_the_answer_and_is_right(family: str, tmp_path: Path):
    """Of a name and of an address; after the healing, the hosts file answers again."""
    with town(tmp_path, family) as here, here.asker("r1") as asker:
        address = here.by_name["r0"].address
        with slow_resolver(1).hold(here):
            for act, given, found in (("addresses", "r0", [address]), ("name_of", address, "r0")):
                took_s, answer = timed(asker, act, given)
                assert (answer, took_s >= DELAY_S) == ({"ok": found}, True)
        took_s, answer = timed(asker, "addresses", "r0")
        assert (answer, took_s < DELAY_S) == ({"ok": [address]}, True)


def test_an_ipv4_address_in_ipv6_notation_is_asked_for_too(tmp_path: Path):
    """A dual-stack server sees its peers like that, and no hosts file has them (F11)."""
    with town(tmp_path) as here, here.asker("r0") as asker, slow_resolver(0).hold(here) as evidence:
        took_s, answer = timed(asker, "name_of", f"::ffff:{here.by_name['r1'].address}")
        assert (answer, took_s >= DELAY_S) == ({"ok": "r1"}, True)
        assert evidence().facts["kinds"] == {"PTR": 1}


def test_other_hosts_are_answered_by_their_hosts_files(tmp_path: Path):
    """Only the hosts of its ranks are slow, and only their queries are counted."""
    with town(tmp_path) as here, here.asker("r2") as other:
        with slow_resolver(1).hold(here) as evidence:
            took_s, answer = timed(other, "addresses", "r0")
            found = evidence()
        assert (answer, took_s < DELAY_S) == ({"ok": [here.by_name["r0"].address]}, True)
        assert (found.touched, found.facts["hit"]) == (False, 0)


def test_an_answer_that_never_comes_is_waited_for_five_seconds(tmp_path: Path):
    """Only the first answer is lost: the C library asks again, and gets one at once."""
    with town(tmp_path) as here, here.asker("r1") as asker:
        with slow_resolver(1, answers="never", one_in=50).hold(here) as evidence:
            took_s, answer = timed(asker, "addresses", "r0")
            found = evidence()
        assert answer == {"ok": [here.by_name["r0"].address]}
    assert took_s >= 5
    assert (found.touched, found.facts["hit"]) == (True, 1)


def test_two_at_once_share_the_name_server(tmp_path: Path):
    """Each acts on its own ranks, in whatever order they are healed."""
    with town(tmp_path) as here, here.asker("r1") as one, here.asker("r2") as two:
        with slow_resolver(2).hold(here):
            first = FAULTS["missing_name"](fault("missing_name", 1, name=None))
            with first.hold(here):
                assert "error" in one.ask("addresses", "r0")
                assert timed(two, "addresses", "r0")[0] >= DELAY_S
            assert one.ask("addresses", "r0") == {"ok": [here.by_name["r0"].address]}
            assert timed(two, "addresses", "r0")[0] >= DELAY_S


def test_two_on_one_host_are_taken_back_in_any_order(tmp_path: Path):
    """After both, the files are as before; between, the remaining fault's change is in place."""
    with town(tmp_path) as here:
        files = [here.by_name["r1"].etc / name for name in ("hosts", "resolv.conf")]
        before = [path.read_text() for path in files]
        slow, missing = slow_resolver(1), FAULTS["missing_name"](fault("missing_name", 1, name=None))
        first, second = slow.hold(here), missing.hold(here)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        with here.asker("r1") as asker:
            assert "error" in asker.ask("addresses", "r0")
            assert asker.ask("addresses", "r2") == {"ok": [here.by_name["r2"].address]}
        second.__exit__(None, None, None)
        assert [path.read_text() for path in files] == before


def test_a_delay_of_what_never_comes_is_refused():
    """The loader reports it at the fault."""
    member = FAULTS["slow_resolver"]
    assert member.problems({"answers": "never", "delay": 1}) != ()
    assert member.problems({"answers": "never", "delay": 2_000_000_000}) == ()
    assert member.problems({"answers": "late", "delay": 1}) == ()
