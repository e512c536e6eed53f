"""Hosts on a switch: who reaches whom, what a pulled cable and a moved address do, and that nothing stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from users import User, answer

FAMILIES = pytest.mark.parametrize("family", ["ipv4", "ipv6"])
OF_MINE = pytest.mark.usefixtures("namespaces_of_mine")
OF_USER = pytest.mark.usefixtures("namespaces_allowed")


def ask(user: User, name: str, **arguments: Any) -> Any:
    """The answer of one of `networks`, run in private namespaces."""
    script = str(user.tree / "tests" / "machine" / "networks.py")
    return answer(user.run_booted("private", [user.python, script, name, json.dumps(arguments)]))


@OF_USER
def test_every_host_reaches_the_others_under_its_own_address(user: User) -> None:
    """As root and as an ordinary user; the proxy's host is the process's own network, and is as it was afterwards."""
    told = ask(user, "look", names=["r0", "r1", "r2"], family="ipv4")
    assert [host["address"] for host in told["hosts"].values()] == [
        *("198.18.0.1", "198.18.1.1", "198.18.1.2", "198.18.1.3")
    ]
    for host in told["hosts"].values():
        assert host["reached"]
        assert host["interfaces"] == ["lo", "eth0"]
        assert (host["ipv4"], host["ipv6"]) == ([host["address"]], [])
    assert told["before"] == told["after"] == ["lo"]


@OF_USER
def test_a_network_of_ipv6_has_no_other_addresses(user: User) -> None:
    """One address for each host, and of IPv4 loopback alone."""
    told = ask(user, "look", names=["r0", "r1"], family="ipv6")
    assert [host["address"] for host in told["hosts"].values()] == ["2001:2::1", "2001:2::1:1", "2001:2::1:2"]
    for host in told["hosts"].values():
        assert host["reached"]
        assert (host["ipv4"], host["ipv6"]) == ([], [host["address"]])
    assert told["after"] == ["lo"]


@OF_MINE
@FAMILIES
@pytest.mark.parametrize("which", ["r0", "r1"])
def test_nothing_passes_a_cable_that_is_pulled(me: User, family: str, which: str) -> None:
    """Neither a connection's bytes nor a new connection; the host sees it, and what was sent comes when it is back."""
    told = ask(me, "unplugged", family=family, which=which)
    assert told["seen"] == ["before", "nothing", "meanwhile"]
    assert told["told"] == [True, True]
    assert told["refusal"] in ("EAGAIN", "EHOSTUNREACH", "ENETUNREACH")


@OF_MINE
def test_a_pulled_cable_is_one_hosts_alone(me: User) -> None:
    """The others talk on."""
    assert ask(me, "others_while_unplugged") == "heard"


@OF_MINE
@FAMILIES
def test_a_host_that_moves_is_found_under_its_new_address_only(me: User, family: str) -> None:
    """At once, and by nobody who has the old one: old connections hear nothing, and each move is to a new place."""
    told = ask(me, "moved", family=family)
    assert told["addresses"] == [told["new"]]
    assert not told["old_reached"]
    assert told["heard"] == "nothing"
    assert len({told["old"], told["new"], told["again"]}) == 3
    assert told["now"] == told["again"]


@OF_USER
def test_a_host_is_no_router_whatever_the_machine_is(user: User) -> None:
    """One would tell others what has become of an address that it had, and so change what they meet."""
    assert ask(user, "forwarding") == ["0", "0"]


@OF_MINE
@FAMILIES
def test_two_hundred_hosts_can_be_used_at_once(me: User, family: str) -> None:
    """Each has an address of its own, which can be bound the moment it is told."""
    told = ask(me, "at_once", family=family, count=200)
    assert len(set(told["addresses"])) == 201
    assert told["addresses"][-1] == {"ipv4": "198.18.1.200", "ipv6": "2001:2::1:c8"}[family]


@OF_MINE
def test_a_failure_leaves_what_was_there(me: User) -> None:
    """The error names the host that could not be joined and what to look at."""
    told = ask(me, "cable_taken")
    assert "join the host px to the switch" in told["said"]
    assert "rdzv-harness doctor" in told["said"]
    assert told["interfaces"] == ["lo", "eth0"]


@OF_USER
@FAMILIES
def test_a_resident_has_the_network_the_name_and_the_name_files_of_its_host(user: User, family: str) -> None:
    """Every name is answered from the file, forward and reverse, a stranger's at once; outside nothing has changed."""
    told = ask(user, "resident", folder=str(user.folder), family=family)
    inside, addresses = told["inside"], told["addresses"]
    assert inside["name"] == "r1"
    assert inside["addresses"] == [addresses["r1"]]
    assert inside["forward"] == [addresses["r0"]]
    assert inside["reverse"] == "r0"
    # A name server elsewhere is refused by its kernel six times, and after that once a second.
    assert max(inside["unknown_seconds"]) < 1
    assert told["outside_same"]


@OF_MINE
def test_a_hosts_file_that_is_changed_in_place_is_seen_by_residents(me: User) -> None:
    """So a fault can move a name under running processes."""
    assert ask(me, "resident", folder=str(me.folder), family="ipv4")["changed"]


@OF_USER
@pytest.mark.parametrize("user", ["ordinary"], indirect=True)
def test_what_the_kernel_refuses_is_told_with_the_remedy(user: User) -> None:
    """No room for network namespaces, for one; the limit of the real root is everybody's, so it is not touched."""
    told = ask(user, "refused")
    assert "make a network namespace" in told
    assert "rdzv-harness doctor" in told
