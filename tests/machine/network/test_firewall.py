"""Rules in the networks of hosts: which traffic they affect, how they are counted, and that they are removed."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from users import User

from harness.machine.network import network_tools
from harness.machine.network.network_tools import path_of
from harness.values.errors import Unsupported

pytestmark = [
    pytest.mark.usefixtures("namespaces_allowed"),
    pytest.mark.skipif(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="needs nft"),
]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_packets_of_one_host_are_dropped_where_they_come_in(user: User, family: str) -> None:
    """Handshakes fail in both directions and open connections fall silent; other hosts and its loopback go on."""
    saw = user.ask_privately("network_faults.py", "drop", family)
    assert saw["seen"] == {
        "r1 to r0": "TimeoutError",
        "open from r1 to r0": "TimeoutError",
        "r0 to r1": "TimeoutError",
        "px to r0": "connected",
        "r0 to itself": "connected",
    }
    # A SYN, the answer to a SYN, and a byte, each at least once.
    met, stopped = saw["met"]["r0"][0]
    assert met == stopped >= 3
    # Nothing was lost for good: TCP sends again what was not acknowledged.
    assert (saw["after"], saw["open after"]) == ("connected", "all")


def test_what_a_rule_lets_pass_does_not_count_as_stopped(user: User) -> None:
    """The packets met the rule and had its verdict, and a later hook has seen them all."""
    said, met, stopped = user.ask_privately("network_faults.py", "accepted")
    assert said == "connected"
    assert met > 0
    assert stopped == 0


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_firewall_that_resets_ends_connections_and_refuses_new_ones(user: User, family: str) -> None:
    """In both directions, and only while the rules are installed."""
    saw = user.ask_privately("network_faults.py", "reset", family)
    assert saw == ["ConnectionResetError", "ConnectionRefusedError", "ConnectionRefusedError", "connected"]


def test_a_refused_rule_is_an_error_and_leaves_no_table_on_any_host(user: User) -> None:
    """The error names the host and shows the complaint."""
    saw = user.ask_privately("network_faults.py", "refused_rule")
    assert "nft -f - on r1" in saw["error"]
    assert "nonsense" in saw["error"]
    assert saw["left"] == ""


def test_a_missing_program_is_reported_with_its_package(monkeypatch: pytest.MonkeyPatch, user: User) -> None:
    """The cell is skipped, with a reason that ends with what to do."""
    monkeypatch.setenv("PATH", str(user.folder))
    monkeypatch.setattr(network_tools, "_FOLDERS", ())
    with pytest.raises(Unsupported, match=r"no nft on this machine; install it: apt-get install nftables$"):
        path_of("nft")


def test_programs_are_found_in_the_administrators_folders(monkeypatch: pytest.MonkeyPatch, user: User) -> None:
    """The PATH of an ordinary user has no sbin."""
    monkeypatch.setenv("PATH", os.path.dirname(shutil.which("sh") or "/bin/sh"))
    assert subprocess.run([path_of("nft"), "--version"], capture_output=True).returncode == 0
