"""What only a world of hosts has: an address, a name and hosts files for each rank, and one host for all masters."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bodies import HEAD, cell_of, printed

from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.machine.process.namespaces import probe_elsewhere
from harness.play.options import RunOptions
from harness.worlds.namespaces import places

# What a rank finds: its host's name and addresses, and what the names of all hosts mean to it.
RANK = """
import json, os, socket, sys
def reverse(address):
    return socket.getnameinfo((address, 1), socket.NI_NAMEREQD)[0]
names = {}
for line in open("/etc/hosts"):
    address, *given = line.split()
    if not given[0].startswith(("localhost", "ip6")):
        found = {entry[4][0] for entry in socket.getaddrinfo(given[0], 1)}
        names[given[0]] = [found == {address}, reverse(address) == given[0], address]
print(json.dumps({
    "host": socket.gethostname(), "names": names, "master": os.environ["MASTER_ADDR"], "rank": os.environ["RANK"],
    "interfaces": [name for _, name in socket.if_nameindex()],
}))
"""
COMMAND = (sys.executable, "-S", "-c", RANK)
CAP_SYS_ADMIN, PR_CAPBSET_DROP = 21, 24


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Result]:
    """Plays a world with a program for each rank that reports what it finds."""
    found = probe_elsewhere()
    if not found.possible:
        pytest.skip(f"no namespaces: {found.reason}")

    def play(world: str, **options: Any) -> Result:
        with Runner(_options(tmp_path, **options)) as runner:
            return runner.play(cell_of(world))

    return play


def _options(folder: Path, **options: Any) -> RunOptions:
    return RunOptions(
        subject="command", command=COMMAND, world="namespaces", jobs=1, runs_dir=folder / "runs", seed=1, **options
    )


def test_each_rank_is_on_a_host_of_its_own_that_knows_all_names(play: Callable[..., Result]) -> None:
    """Its hosts file resolves all names both ways, the proxy's too; without a proxy the master is named r0."""
    result = play("world: {size: 3, timeout: 5s, route: direct}\n")
    for rank in range(3):
        found = printed(result, rank)
        assert (found["host"], found["master"]) == (f"r{rank}", "r0")
        assert found["names"] == {
            "px": [True, True, "198.18.0.1"],
            "r0": [True, True, "198.18.1.1"],
            "r1": [True, True, "198.18.1.2"],
            "r2": [True, True, "198.18.1.3"],
        }
        assert found["interfaces"] == ["lo", "eth0"]


def test_the_begin_of_a_history_tells_of_the_hosts(play: Callable[..., Result]) -> None:
    """It has kind, isolation, family, and that look-ups cost nothing."""
    world = play("world: {size: 2, timeout: 5s, route: direct}\n").history.begin["world"]
    assert (world["kind"], world["family"], world["private_network"]) == ("namespaces", "ipv4", True)
    assert world["isolation"].startswith("private namespaces")
    assert "hosts file" in world["lookups"]


def test_a_world_of_ipv6_has_names_for_no_other_addresses(play: Callable[..., Result]) -> None:
    """It has the same names, with addresses of 2001:2::/48."""
    result = play("world: {size: 2, timeout: 5s, route: direct, family: ipv6}\n")
    assert printed(result, 1)["names"] == {
        "px": [True, True, "2001:2::1"],
        "r0": [True, True, "2001:2::1:1"],
        "r1": [True, True, "2001:2::1:2"],
    }


def test_a_fresh_rank_is_on_its_host_too(play: Callable[..., Result]) -> None:
    """A new interpreter enters its host before it does anything else."""
    result = play("world: {size: 2, timeout: 5s, route: direct, fresh: true}\n")
    assert [printed(result, rank)["host"] for rank in range(2)] == ["r0", "r1"]


@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_links_are_at_the_proxys_host(play: Callable[..., Result], family: str) -> None:
    """The master gets its own name as the endpoint, every other rank the numeric address of px."""
    result = play(f"world: {{size: 2, timeout: 5s, family: {family}}}\n")
    assert printed(result, 0)["master"] == "r0"
    assert printed(result, 1)["master"] == {"ipv4": "198.18.0.1", "ipv6": "2001:2::1"}[family]


def test_all_who_are_told_rank_0_share_a_host(play: Callable[..., Result]) -> None:
    """Masters share one host, so a port conflict is one here too; each other rank has its own."""
    result = play(
        "world: {size: 3, timeout: 5s, route: direct, ranks: {2: {as_rank: 0, world_size: 1, run_id: other}}}\n"
    )
    assert [printed(result, rank)["host"] for rank in range(3)] == ["r0", "r1", "r0"]


def test_two_plays_of_one_controller_have_their_own_hosts(tmp_path: Path) -> None:
    """The second one does not know the hosts of the first, and its addresses start from the beginning."""
    with Runner(_options(tmp_path)) as runner:
        runner.play(cell_of("world: {size: 3, timeout: 5s, route: direct}\n"))
        second = runner.play(cell_of("world: {size: 1, timeout: 5s, route: direct}\n"))
    if second.status == "skipped":
        pytest.skip(second.judgement.because)
    assert printed(second, 0)["names"] == {"px": [True, True, "198.18.0.1"], "r0": [True, True, "198.18.1.1"]}


def test_without_private_namespaces_the_scenario_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """The reason says what is missing, why, and what to do."""
    with Runner(_options(tmp_path, isolation="host")) as runner:
        result = runner.play(cell_of("world: {size: 1, timeout: 5s, route: direct}\n"))
    assert result.status == "skipped"
    assert "hosts need private namespaces" in result.judgement.because
    assert "--isolation auto" in result.judgement.because


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be without a capability and still read everything")
def test_hosts_need_no_privilege_but_that_of_a_user_namespace(tmp_path: Path) -> None:
    """A user who may not make namespaces makes the same world as root of a user namespace."""
    if not probe_elsewhere(as_user=True).possible:
        pytest.skip("the kernel gives ordinary users no namespaces")
    path = tmp_path / "hosts.rdzv.yaml"
    path.write_text(HEAD + "world: {size: 2, timeout: 5s, route: direct, kind: namespaces}\n" + JOBS_END)
    program = "import sys; from harness.cli import main; sys.exit(main())"
    words = ["run", str(path), "--subject", "command", "--runs-dir", str(tmp_path / "runs"), "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--", *COMMAND],
        preexec_fn=_give_up_privilege,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as an ordinary user" in done.stdout
    (log,) = (tmp_path / "runs").glob("*/logs/rank-1.life-1.log")
    assert json.loads(log.read_text())["host"] == "r1"


JOBS_END = "job: {}\nexpect:\n  - {step: exit, is: ok}\n"


def _give_up_privilege() -> None:
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0)


# -- who lives where -----------------------------------------------------------------------------------------------


def test_the_masters_host_bears_the_lowest_number_of_a_master() -> None:
    """The number is that of the process, not the rank that it was given."""
    world = (
        "world: {size: 4, timeout: 5s, ranks: {0: {as_rank: 1, world_size: 2}, 1: {as_rank: 0, world_size: 2}, "
        "3: {as_rank: 0, world_size: 2}}}\n"
    )
    assert places(cell_of(world)) == ("r1", ["r0", "r1", "r2", "r1"])


def test_who_is_told_another_endpoint_is_no_master_of_the_worlds() -> None:
    """It serves its own endpoint, on a host of its own."""
    world = "world: {size: 2, timeout: 5s, ranks: {1: {as_rank: 0, world_size: 1, host: r1}}}\n"
    assert places(cell_of(world)) == ("r0", ["r0", "r1"])


def test_a_world_without_a_master_has_its_host_all_the_same() -> None:
    """The endpoint that all ranks get has a host, though no process serves there."""
    world = "world: {size: 2, timeout: 5s, ranks: {0: {as_rank: 1, world_size: 3}, 1: {as_rank: 2, world_size: 3}}}\n"
    assert places(cell_of(world)) == ("r0", ["r0", "r1"])
