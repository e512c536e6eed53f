"""A hosts file and a resolv.conf that several faults change in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machine.names import hosts_file, resolv_conf

HOSTS = "# written by hand\n127.0.0.1 localhost\n::1 localhost\n198.18.0.2 r0 master # the first\n198.18.0.3 r1\n"
RESOLVER = "search example\nnameserver 127.0.0.1\noptions timeout:1\n"


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text(HOSTS)
    return path


@pytest.fixture
def resolver(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text(RESOLVER)
    return path


def readable(path: Path) -> dict[str, str]:
    """What the C library finds: the first address of each name."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name, address)
    return found


def test_hiding_all_names_spares_loopback(hosts: Path):
    """Without localhost a process could not reach itself."""
    hosts_file.hide(hosts, "a fault: odd")
    assert readable(hosts) == {"localhost": "127.0.0.1"}
    assert hosts_file.address_of(hosts, "master") == "198.18.0.2"
    hosts_file.show(hosts, "a fault: odd")
    assert set(readable(hosts)) == {"localhost", "r0", "master", "r1"}


def test_one_of_several_names_of_an_address_can_be_hidden(hosts: Path):
    """The other names still resolve."""
    hosts_file.hide(hosts, "fault", ("master",))
    assert readable(hosts) == {"localhost": "127.0.0.1", "r0": "198.18.0.2", "r1": "198.18.0.3"}


def test_a_name_that_two_faults_hide_is_hidden_until_both_show_it(hosts: Path):
    """In either order."""
    for first, second in (("one", "two"), ("two", "one")):
        hosts_file.hide(hosts, "one")
        hosts_file.hide(hosts, "two", ("r0",))
        hosts_file.show(hosts, first)
        assert "r0" not in readable(hosts)
        hosts_file.show(hosts, second)
        assert "r0" in readable(hosts)


def test_a_hidden_name_moves_too(hosts: Path):
    """It has the new address when it is shown again."""
    hosts_file.hide(hosts, "fault")
    hosts_file.move(hosts, "198.18.0.2", "198.18.9.9")
    hosts_file.show(hosts, "fault")
    assert (readable(hosts)["r0"], readable(hosts)["r1"]) == ("198.18.9.9", "198.18.0.3")


def test_the_file_stays_the_same_file(hosts: Path, resolver: Path):
    """It keeps its inode, so a bind mount of it shows the change."""
    for path, change in (
        (hosts, lambda: hosts_file.hide(hosts, "f")),
        (resolver, lambda: resolv_conf.point(resolver, "f", "::1")),
    ):
        before = path.stat().st_ino
        change()
        assert path.stat().st_ino == before


def test_look_ups_go_to_one_server_only_and_back(resolver: Path):
    """Without the former options; other lines stay."""
    resolv_conf.point(resolver, "fault", "198.18.0.1")
    lines = [line.partition(" #")[0] for line in resolver.read_text().splitlines() if not line.startswith("#")]
    assert lines == ["search example", "nameserver 198.18.0.1"]
    resolv_conf.point_back(resolver, "fault")
    assert resolver.read_text() == RESOLVER


def test_the_latest_fault_decides_the_server_until_it_is_undone(resolver: Path):
    """And the one before decides again, whichever is undone first."""

    def servers() -> list[str]:
        return [line.split()[1] for line in resolver.read_text().splitlines() if line.startswith("nameserver")]

    resolv_conf.point(resolver, "one", "198.18.0.1")
    resolv_conf.point(resolver, "two", "127.0.0.1")
    assert servers() == ["127.0.0.1"]
    resolv_conf.point_back(resolver, "one")
    assert servers() == ["127.0.0.1"]
    resolv_conf.point(resolver, "one", "198.18.0.1")
    resolv_conf.point_back(resolver, "one")
    assert servers() == ["127.0.0.1"]
    resolv_conf.point_back(resolver, "two")
    assert resolver.read_text() == RESOLVER
