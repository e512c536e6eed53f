"""Proxies that a killed harness left on a server that is not its own are removed, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backends import Backend, started
from link_helpers import await_true

from harness.machine.docker import leases
from harness.machine.process import namespaces
from harness.machine.process.children import Children
from harness.machine.toxiproxy import owners
from harness.proxies.toxiproxy import Toxiproxy

FOREIGN = ["mine", "rdzv-owner", "rdzv-owner-0-1", "rdzv-12ab34cd-1-0-rank1", f"x-rdzv-owner-{'0' * 32}-1"]
"""Names that no harness gave."""

# Makes two links on the server at a URL, announces them, says so, and waits to be killed.
HOLDER = """
import sys
from pathlib import Path
from harness.machine.docker import leases
from harness.machine.process.children import Children
from harness.proxies.base import LinkSpec
from harness.proxies.toxiproxy import Toxiproxy
from harness.values.endpoint import Endpoint
announce = leases.announce_proxies if sys.argv[2] == "announced" else None
given = Toxiproxy.start(Children(), Path("unused.log"), url=sys.argv[1], announce=announce)
given.make([LinkSpec(rank, Endpoint("127.0.0.1", 9)) for rank in (1, 2)])
print("made", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=[pytest.param("real", marks=pytest.mark.needs_toxiproxy), "embedded"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A server that somebody else started and uses."""
    with started(request.param, tmp_path) as backend:
        for name in FOREIGN:
            backend.make("127.0.0.1:9", name)
        yield backend


def others(server: Backend) -> list[str]:
    """The proxies that were not there from the start."""
    there = server.ask("GET", "/proxies").json
    assert set(FOREIGN) <= set(there)
    return sorted(set(there) - set(FOREIGN))


@contextmanager
def holder(server: Backend, how: str = "alone") -> Iterator[subprocess.Popen[str]]:
    """Another harness, as far as its proxies go; it is killed."""
    argv = [sys.executable, "-c", HOLDER, str(server.api), how]
    environment = {name: value for name, value in os.environ.items() if name != leases.REAPER_FD}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        yield process
        process.kill()


def test_the_next_start_removes_the_proxies_of_an_ended_owner(server: Backend, tmp_path: Path) -> None:
    """Those of a living one stay, and those that no harness made."""
    with holder(server):
        theirs = others(server)
        with holder(server):
            assert len(others(server)) == 4
        with Children() as children:
            mine = Toxiproxy.start(children, tmp_path / "unused.log", url=str(server.api))
            assert others(server) == theirs
            mine.close()
        assert others(server) == theirs


def test_the_reaper_removes_the_proxies_of_a_killed_owner(server: Backend) -> None:
    """Without any later run."""
    with holder(server):
        theirs = others(server)
        with holder(server, "announced"):
            assert len(others(server)) == 4
        await_true(lambda: others(server) == theirs)


def test_an_owner_in_another_process_tree_lives() -> None:
    """Its pid says nothing here, and its socket is in the network that both share."""
    owner = owners.Owner()
    names = [f"{owner.prefix}-1-0-rank1", *FOREIGN]
    assert (owners.lives(owner.prefix), owners.of_ended_owners(names)) == (True, [])
    if namespaces.probe().possible:
        program = f"from harness.machine.toxiproxy import owners; print(owners.lives({owner.prefix!r}))"
        look = ["unshare", "--user", "--map-root-user", "--pid", "--fork", sys.executable, "-c", program]
        assert subprocess.run(look, stdout=subprocess.PIPE, text=True).stdout == "True\n"
    owner.close()
    assert (owners.lives(owner.prefix), owners.of_ended_owners(names)) == (False, names[:1])
