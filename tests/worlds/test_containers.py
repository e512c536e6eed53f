"""What only a world of containers has: isolation and limits, hosts that outlive ranks, and nothing left in Docker."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from bodies import HEAD, cell_of, printed

from harness import clock
from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.machine.docker import leases
from harness.machine.docker.client import Client
from harness.machine.docker.engine import DockerEngine
from harness.machine.launch.zygote_client import doorbell_pipe
from harness.machine.network import sockets
from harness.machine.process.children import Children
from harness.machine.toxiproxy import server as proxy_server
from harness.machine.toxiproxy.server import ServerLauncher
from harness.play.options import RunOptions
from harness.proxies.base import LinkSpec
from harness.proxies.toxiproxy import Toxiproxy
from harness.values.endpoint import Endpoint
from harness.values.errors import Unsupported
from harness.worlds.base import Isolation, WorldHost, WorldResources, WorldSession
from harness.worlds.containers import Containers

pytestmark = pytest.mark.needs_toxiproxy

LIMIT_NS = 180_000_000_000
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into the network of a container")

# What a rank finds around it.
RANK = """
import json, os, socket
def writes(path):
    try:
        open(path, "w").close()
        os.unlink(path)
    except OSError as error:
        return error.strerror
    return True
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "host": socket.gethostname(), "user": os.getuid(), "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(), "root": writes("/x"), "etc": writes("/etc/x"),
    "tmp": writes("/tmp/x"), "first": os.getpid() == 1,
    "names": {name: socket.gethostbyname(name) for name in ("r0", "r1", "px")},
    "master": os.environ["MASTER_ADDR"],
}))
"""


@pytest.fixture
def play(docker_engine: DockerEngine, tmp_path: Path) -> Callable[..., Result]:
    """Plays a world with a program for each rank that reports what it finds."""

    def play(world: str, *command: str, **options: Any) -> Result:
        argv = command or ("python3", "-S", "-c", RANK)  # the image's
        settings = RunOptions(
            subject="command", command=argv, world="containers", jobs=1, runs_dir=tmp_path / "runs", **options
        )
        with Runner(settings) as runner:
            return runner.play(cell_of(world))

    return play


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[Client]:
    made = Client(docker_engine.url)
    yield made
    made.close()


@pytest.fixture
def world(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Containers]:
    """A world in this process, with ranks that need no torch."""
    reader, writer = doorbell_pipe()
    with Children() as children:
        resources = WorldResources(
            children, Path(sys.executable), Isolation("host"), writer, tmp_path, needs_torch=False
        )
        made = Containers(resources)
        yield made
        made.close()
        leases.end_reaper()
    for descriptor in (reader, writer):
        os.close(descriptor)


@contextlib.contextmanager
def opened(
    world: Containers, folder: Path, text: str = "world: {size: 2, timeout: 5s, route: direct}\n"
) -> Iterator[WorldSession]:
    """The world with its hosts made."""
    folder.mkdir()
    with world.open(cell_of(text), folder) as session:
        yield session


def host(session: WorldSession, rank: int) -> WorldHost:
    found = session.host_of(rank)
    assert isinstance(found.address, str)
    return found  # type: ignore[return-value]


def containers_of(session: WorldSession) -> dict[str, str]:
    """By host, the id of the container that holds it."""
    return {one.name: one.container for one in session.hosts}  # type: ignore[attr-defined]


def everything(client: Client) -> set[str]:
    """Containers and networks that the engine has of this process's descendants, and of harnesses that have ended.

    Other tests use the engine at the same time; what they leave when they are killed is taken away as well.
    """
    found = {**client.containers(leases.OWNER), **client.networks(leases.OWNER)}
    family = {process.pid for process in psutil.Process().children(recursive=True)}
    owners = {name: leases.Owner.from_json(labels[leases.OWNER]) for name, labels in found.items()}
    return {name for name, owner in owners.items() if owner.pid in family or owner.lives() is False}


# -- ranks -----------------------------------------------------------------------------------------------------------


def test_a_rank_can_do_no_more_than_it_needs(play: Callable[..., Result]) -> None:
    """It is an ordinary user without capabilities, and can write to /tmp only; signals work as in any world."""
    found = printed(play("world: {size: 2, timeout: 5s}\n"), 1)
    assert found["user"] != 0
    assert found["capabilities"] == 0
    assert found["no_new_privileges"] == "1"
    assert (found["root"], found["tmp"]) == ("Read-only file system", True)
    assert found["etc"] is not True
    # The first process of a tree ignores what it has no handler for: SIGABRT of a crash, its own SIGKILL.
    assert found["first"] is False


def test_a_job_and_the_harness_see_the_same_run_directory(docker_engine: DockerEngine, tmp_path: Path) -> None:
    """Each by its own path: what the program makes at `{run_dir}` is the moment at which it is killed."""
    text = (
        f"{HEAD}world: {{size: 1, kind: containers, guard: 60s}}\n"
        "job: {argv: [sh, -c, 'echo 1 > \"$0/sign\" && exec sleep 60', '{run_dir}']}\n"
        "faults:\n  - {inject: kill, after: {file: '{run_dir}/sign'}}\n"
        "expect:\n  - {step: exit, is: died, within: 30s, since: {file: '{run_dir}/sign'}}\n"
    )
    (cell,) = load_text(text, tmp_path / "job.rdzv.yaml")
    with Runner(RunOptions(subject="command", jobs=1, runs_dir=tmp_path / "runs")) as runner:
        result = runner.play(cell)
    assert result.status == "passed", result.judgement.because
    assert result.run_dir is not None
    assert (result.run_dir / "sign").read_text() == "1\n"


def test_hosts_have_names_and_addresses_for_tests(play: Callable[..., Result]) -> None:
    """They are in one small subnet of 198.18.0.0/15; each knows all names, and a link is given by its address."""
    result = play("world: {size: 2, timeout: 5s}\n")
    found = [printed(result, rank) for rank in range(2)]
    assert [one["host"] for one in found] == ["r0", "r1"]
    assert found[0]["names"] == found[1]["names"]
    addresses = [ipaddress.ip_address(address) for address in found[0]["names"].values()]
    assert len({ipaddress.ip_network(f"{address}/27", strict=False) for address in addresses}) == 1
    assert all(address in ipaddress.ip_network("198.18.0.0/15") for address in addresses)
    assert (found[0]["master"], found[1]["master"]) == ("r0", found[1]["names"]["px"])


def test_an_interpreter_that_does_not_run_there_is_named(docker_engine: DockerEngine, world: Containers) -> None:
    """The error comes before any play, with the interpreter's own message."""
    world._warm().processes._python = replace(world._warm().processes._python, executable="/rdzv/nothing")
    with pytest.raises(Exception, match="/rdzv/nothing"):
        world.versions()


def test_versions_are_told_by_the_interpreter_in_a_container(world: Containers) -> None:
    """Not by the interpreter of this machine."""
    assert world.versions() == {"python": ".".join(map(str, sys.version_info[:3]))}


# -- hosts -----------------------------------------------------------------------------------------------------------


def test_hosts_are_kept_for_the_next_play(world: Containers, tmp_path: Path) -> None:
    """Making them takes most of the time; a play removes only what it made."""
    with opened(world, tmp_path / "one") as session:
        first = containers_of(session)
    with opened(world, tmp_path / "two") as session:
        second = containers_of(session)
    assert sorted(first) == ["px", "r0", "r1"]
    assert second == first


@NEEDS_ROOT
def test_a_host_that_is_not_as_new_is_made_anew(world: Containers, tmp_path: Path) -> None:
    """One moved, one has lost its cable: both are made again; their neighbour is kept."""
    text = "world: {size: 3, timeout: 5s, route: direct}\n"
    with opened(world, tmp_path / "one", text) as session:
        first = containers_of(session)
        old = host(session, 0).address
        assert host(session, 0).move() != old
        host(session, 1).unplug()
    with opened(world, tmp_path / "two", text) as session:
        second = containers_of(session)
        assert [second[name] == first[name] for name in ("px", "r0", "r1", "r2")] == [True, False, False, True]
        assert host(session, 0).address == old


@NEEDS_ROOT
def test_inside_a_host_is_its_network(world: Containers, tmp_path: Path) -> None:
    """Its neighbours reach what listens there at its address; this machine does not see it."""
    with opened(world, tmp_path / "one") as session, listening(master := host(session, 0)) as port:
        worker = host(session, 1)
        assert port in ports(master)
        assert port not in ports(worker)
        assert reaches(worker, master.address, port)
        master.unplug()
        assert not reaches(worker, master.address, port)
        master.plug()
        assert reaches(worker, master.address, port)
        new = master.move()
        assert reaches(worker, new, port)


def test_more_ranks_than_it_has_hosts_for_are_skipped(world: Containers, tmp_path: Path) -> None:
    """The reason names the kind of world that has more."""
    with pytest.raises(Unsupported, match="--world namespaces"):
        with opened(world, tmp_path / "one", "world: {size: 17, timeout: 5s, route: direct}\n"):
            pass


# -- the proxy server ------------------------------------------------------------------------------------------------


@NEEDS_ROOT
def test_the_proxy_server_is_on_a_host_of_its_own(world: Containers, tmp_path: Path) -> None:
    """Links listen at that host's address; their traffic is counted there, with the server's log."""
    place: ServerLauncher = world.server_launcher()
    with opened(world, tmp_path / "one") as session, listening(host(session, 0)) as port:
        proxies = Toxiproxy.start(session.children, tmp_path / "proxy.log", place=place)
        address = session.proxy_host.address
        try:
            (link,) = proxies.make([LinkSpec(1, Endpoint(host(session, 0).address, port))], address)
            assert link.address.host == address
            assert reaches(host(session, 1), link.address.host, link.address.port)
            await_true(lambda: link.traffic().accepted == 1)
            await_true(lambda: "Accepted client" in proxies.log())
            proxies.remove([link])
            proxies.restart()
            assert proxies.describe().endswith("(in a container of its own)")
        finally:
            proxies.close()


# -- what is left ----------------------------------------------------------------------------------------------------


def test_nothing_is_left_in_the_engine(
    play: Callable[..., Result], client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No container, network or lease is left once the runner is done."""
    before = everything(client)  # of a runner that this process keeps for scenarios
    monkeypatch.setenv(proxy_server.VARIABLE, str(proxy_server.find_server()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # others' leases come and go beside ours
    assert play("world: {size: 2, timeout: 5s}\n").status == "passed"
    await_true(lambda: everything(client) <= before)
    assert leases.folder().is_dir()
    await_true(lambda: not list(leases.all_leases()))  # a lease ends after what it is for


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_harness_leaves_nothing_in_the_engine(
    docker_engine: DockerEngine, client: Client, tmp_path: Path, signal_number: int
) -> None:
    """Its command line is killed while ranks run; the reaper, a separate process, removes their containers."""
    file = tmp_path / "stays.rdzv.yaml"
    file.write_text(
        HEAD
        + "world: {size: 2, timeout: 5s}\nworkload:\n  - {do: rendezvous}\n  - {do: sleep, for: 60s}\n"
        + "expect:\n  - {step: sleep, is: ok}\n"
    )
    before = everything(client)
    argv = [sys.executable, "-m", "harness.cli", "run", str(file), "--subject", "echo", "--world", "containers"]
    harness = subprocess.Popen([*argv, "--runs-dir", str(tmp_path / "runs")], stdout=subprocess.DEVNULL)
    with harness:
        # The proxy server and two ranks on three hosts, and their network.
        await_true(lambda: len(everything(client) - before) == 7)
        harness.send_signal(signal_number)
    await_true(lambda: everything(client) <= before)


def test_without_an_engine_the_cell_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason says what to do."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    options = RunOptions(subject="echo", world="containers", jobs=1, runs_dir=tmp_path / "runs")
    with Runner(options) as runner:
        result = runner.play(cell_of("world: {size: 2, timeout: 5s}\n"))
    assert result.status == "skipped"
    assert "DOCKER_HOST" in result.judgement.because


# -- helpers ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listening(host: WorldHost) -> Iterator[int]:
    """A listening socket on a host, and its port."""
    import socket

    with host.inside():
        listener = socket.create_server(("0.0.0.0", 0))
    with listener:
        yield listener.getsockname()[1]


def ports(host: WorldHost) -> Sequence[int]:
    with host.inside():
        return [one.address.port for one in sockets.listeners(owners=False)]


def reaches(host: WorldHost, address: str, port: int) -> bool:
    """Whether a host can connect within half a second, in which the kernel sends a second time."""
    import socket

    with host.inside():
        near = socket.socket()
    with near:
        near.settimeout(1.5)
        return near.connect_ex((address, port)) == 0


def await_true(fact: Callable[[], bool]) -> None:
    deadline_ns = clock.now_ns() + LIMIT_NS
    while not fact():
        assert clock.now_ns() < deadline_ns
        clock.sleep_ns(20_000_000)
