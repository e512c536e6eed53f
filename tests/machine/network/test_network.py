"""Hosts on a switch: which reach each other, what a pulled cable and a moved address do, and that nothing is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from users import User

FAMILIES = pytest.mark.parametrize("family", ["ipv4", "ipv6"])
OF_MINE = pytest.mark.usefixtures("namespaces_of_mine")
OF_USER = pytest.mark.usefixtures("namespaces_allowed")


def ask(user: User, name: str, **arguments: Any) -> Any:
    """The answer of a function of `networks`."""
    return user.ask_privately("networks.py", name, json.dumps(arguments))


@OF_USER
def test_every_host_reaches_the_others_under_its_own_address(user: User) -> None:
    """As root and as an ordinary user; px is the process's own network, which is unchanged afterwards."""
    seen = ask(user, "look", names=["r0", "r1", "r2"], family="ipv4")
    assert [host["address"] for host in seen["hosts"].values()] == [
        *("198.18.0.1", "198.18.1.1", "198.18.1.2", "198.18.1.3")
    ]
    for host in seen["hosts"].values():
        assert host["reached"]
        assert host["interfaces"] == ["lo", "eth0"]
        assert (host["ipv4"], host["ipv6"]) == ([host["address"]], [])
    assert seen["before"] == seen["after"] == ["lo"]


@OF_USER
def test_a_network_of_ipv6_has_no_other_addresses(user: User) -> None:
    """One address for each host, and of IPv4 only loopback."""
    seen = ask(user, "look", names=["r0", "r1"], family="ipv6")
    assert [host["address"] for host in seen["hosts"].values()] == ["2001:2::1", "2001:2::1:1", "2001:2::1:2"]
    for host in seen["hosts"].values():
        assert host["reached"]
        assert (host["ipv4"], host["ipv6"]) == ([], [host["address"]])
    assert seen["after"] == ["lo"]


@OF_MINE
@FAMILIES
@pytest.mark.parametrize("which", ["r0", "r1"])
def test_nothing_passes_a_cable_that_is_pulled(me: User, family: str, which: str) -> None:
    """Neither bytes nor new connections; the host loses its carrier, and bytes arrive when the cable is back."""
    seen = ask(me, "unplugged", family=family, which=which)
    assert seen["seen"] == ["before", "nothing", "meanwhile"]
    assert seen["carrier"] == [True, True]
    assert seen["refusal"] in ("EAGAIN", "EHOSTUNREACH", "ENETUNREACH")


@OF_MINE
def test_a_pulled_cable_affects_one_host_only(me: User) -> None:
    """The others still reach each other."""
    assert ask(me, "others_while_unplugged") == "heard"


@OF_MINE
@FAMILIES
def test_a_host_that_moves_is_found_under_its_new_address_only(me: User, family: str) -> None:
    """At once; the old address and old connections are dead, and each move gives an address that was never used."""
    seen = ask(me, "moved", family=family)
    assert seen["addresses"] == [seen["new"]]
    assert not seen["old_reached"]
    assert seen["heard"] == "nothing"
    assert len({seen["old"], seen["new"], seen["again"]}) == 3
    assert seen["now"] == seen["again"]


@OF_USER
def test_a_host_is_no_router_whatever_the_machine_is(user: User) -> None:
    """A router would send ICMP errors about an address that it gave up, and so change what other hosts see."""
    assert ask(user, "forwarding") == ["0", "0"]


@OF_MINE
@FAMILIES
def test_two_hundred_hosts_can_be_used_at_once(me: User, family: str) -> None:
    """Each has an address of its own, which can be bound as soon as the network exists."""
    seen = ask(me, "at_once", family=family, count=200)
    assert len(set(seen["addresses"])) == 201
    assert seen["addresses"][-1] == {"ipv4": "198.18.1.200", "ipv6": "2001:2::1:c8"}[family]


@OF_MINE
def test_a_failure_leaves_what_was_there(me: User) -> None:
    """The error names the host that could not join, and ends with what to do."""
    seen = ask(me, "cable_taken")
    assert "join the host px to the switch" in seen["error"]
    assert "rdzv-harness doctor" in seen["error"]
    assert seen["interfaces"] == ["lo", "eth0"]


@OF_USER
@FAMILIES
def test_a_resident_has_the_network_the_name_and_the_name_files_of_its_host(user: User, family: str) -> None:
    """Names resolve from the file, forward and reverse, unknown ones fail at once; outside nothing has changed."""
    seen = ask(user, "resident", folder=str(user.folder), family=family)
    inside, addresses = seen["inside"], seen["addresses"]
    assert inside["name"] == "r1"
    assert inside["addresses"] == [addresses["r1"]]
    assert inside["forward"] == [addresses["r0"]]
    assert inside["reverse"] == "r0"
    # A kernel elsewhere refuses six queries at once, and then one in a second.
    assert max(inside["unknown_seconds"]) < 1
    assert seen["outside_same"]


@OF_MINE
def test_residents_see_changes_of_their_hosts_file(me: User) -> None:
    """When it is changed in place; so a fault can move a name under running processes."""
    assert ask(me, "resident", folder=str(me.folder), family="ipv4")["changed"]


@OF_USER
@pytest.mark.parametrize("user", ["ordinary"], indirect=True)
def test_what_the_kernel_refuses_is_reported_with_the_remedy(user: User) -> None:
    """For example a limit of 0 network namespaces; not as root, whose limit is the machine's."""
    refusal = ask(user, "refused")
    assert "make a network namespace" in refusal
    assert "rdzv-harness doctor" in refusal
