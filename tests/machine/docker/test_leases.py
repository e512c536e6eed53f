"""Leases: what would outlive a killed harness is recorded before it exists, and others remove it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness import clock
from harness.machine.docker import images, leases
from harness.machine.docker.client import Client, Recipe
from harness.machine.docker.engine import DockerEngine
from harness.machine.docker.hosts import ContainerNetwork
from harness.machine.docker.leases import Lease, Owner

NOBODY = "65534:65534"
LIMIT_NS = 60_000_000_000
FUTURE, PAST = 1 << 40, 1

# Takes a lease, makes hosts and a network, prints the world's name, and waits to be killed.
HOLDER = f"""
import sys
from harness.machine.docker import images, leases
from harness.machine.docker.hosts import ContainerNetwork
from harness.machine.docker.client import Client
client = Client(sys.argv[1])
lease = leases.take(client.url)
ContainerNetwork(client, lease, images.RANK, "{NOBODY}").need(["r0", "r1"])
print(lease.world, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_leases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder of leases for this test only, and a reaper of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(leases.REAPER_FD, raising=False)
    yield leases.folder()
    leases.end_reaper()


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[Client]:
    """A client of Docker."""
    made = Client(docker_engine.url)
    yield made
    made.close()


@pytest.fixture
def lease(client: Client) -> Iterator[Lease]:
    """A lease of this process; everything with its labels is removed afterwards."""
    taken = leases.take(client.url)
    yield taken
    leases.remove_world(client, taken.world)
    leases.release(taken)


def ended() -> Owner:
    """A process that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = Owner.of(process.pid)
        process.kill()
    return owner


def me() -> Owner:
    return Owner.of(os.getpid())


def left(client: Client, world: str) -> tuple[int, int]:
    """How many containers and networks of a world exist."""
    label = f"{leases.WORLD}={world}"
    return len(client.containers(label)), len(client.networks(label))


def await_true(fact: Callable[[], bool], what: str) -> None:
    deadline_ns = clock.now_ns() + LIMIT_NS
    while not fact():
        assert clock.now_ns() < deadline_ns, what
        clock.sleep_ns(20_000_000)


def container(client: Client, labels: dict[str, str], name: str = "") -> str:
    """A container that stays until it is removed."""
    recipe = Recipe(
        name=name or f"rdzv-test-{uuid.uuid4().hex[:8]}",
        image=images.RANK,
        command=["sleep", "600"],
        user=NOBODY,
        labels=labels,
        memory_bytes=64 << 20,
        pids=16,
    )
    return client.start(recipe)


class NothingThere:
    """A client of a Docker that has nothing with the labels."""

    url = "unix:///another"

    def containers(self, label: str) -> dict[str, dict[str, str]]:
        return {}

    networks = containers


# -- owners ----------------------------------------------------------------------------------------------------------


def test_an_owner_lives_as_long_as_its_process():
    """A pid that another process has now, or one of another boot, is not the owner's."""
    assert me().lives() is True
    assert ended().lives() is False
    assert replace(me(), start=me().start - 1).lives() is False
    assert replace(me(), boot="another").lives() is False


def test_an_owner_in_another_process_tree_cannot_be_judged():
    """A harness in a container shares Docker with this machine, but not the pids."""
    assert replace(me(), tree="pid:[1]").lives() is None


@pytest.mark.parametrize(
    ("owner", "expires", "is_over"),
    [
        (me, FUTURE, False),
        (me, PAST, True),
        (ended, FUTURE, True),
        (lambda: replace(me(), tree="pid:[1]"), FUTURE, False),
        (lambda: replace(me(), tree="pid:[1]"), PAST, True),
    ],
)
def test_a_lease_is_over_with_its_owner_or_its_time(owner: Callable[[], Owner], expires: int, is_over: bool):
    """Whichever comes first; the lease of an owner that cannot be seen lasts until it expires."""
    assert Lease("w", "unix:///nowhere", owner(), expires).is_over is is_over


def test_a_sweep_releases_leases_of_docker_engines_that_are_gone(own_leases: Path, tmp_path: Path):
    """A stopped private engine cannot be asked any more; leases of a running one are left to its own sweep."""
    own_leases.mkdir(parents=True)
    (tmp_path / "docker.sock").touch()
    gone, there = (Lease(name, f"unix://{tmp_path}/{name}.sock", ended(), FUTURE) for name in ("gone", "docker"))
    for lease in (gone, there):
        lease.path.write_text(json.dumps(asdict(lease)))
    assert leases.sweep(NothingThere()) == []  # type: ignore[arg-type]
    assert [lease.world for lease in leases.all_leases()] == ["docker"]


def test_a_lease_is_recorded_until_it_is_released(own_leases: Path):
    """With all that another process needs to find what belongs to it."""
    lease = leases.take("unix:///nowhere")
    assert list(leases.all_leases()) == [lease]
    assert lease.owner == me()
    assert lease.labels[leases.WORLD] == lease.world
    leases.release(lease)
    assert list(own_leases.iterdir()) == []


# -- Docker ----------------------------------------------------------------------------------------------------------


def test_removing_a_world_removes_everything_of_it(client: Client, lease: Lease):
    """Hosts, a paused container, a throttled one, one that has ended, and the network."""
    network = ContainerNetwork(client, lease, images.RANK, NOBODY)
    network.need(["r0"])
    paused, throttled, over = (container(client, dict(lease.labels)) for _ in range(3))
    client._api.pause(paused)
    client.limit_processor(throttled, 1000, 1_000_000)
    client.kill(over)
    assert left(client, lease.world) == (4, 1)
    leases.remove_world(client, lease.world)
    assert left(client, lease.world) == (0, 0)


def test_a_sweep_removes_worlds_that_are_over_and_nothing_else(client: Client, lease: Lease):
    """Not those of a living owner, nor containers with such a name but no labels, or with labels of another writer.

    Other harnesses that share Docker sweep too, and may have been first.
    """
    dead = Lease(f"dead-{lease.world}", client.url, ended(), FUTURE)
    unseen = Lease(f"unseen-{lease.world}", client.url, replace(me(), tree="pid:[1]"), PAST)
    odd = {leases.WORLD: f"odd-{lease.world}", leases.OWNER: "{}", leases.EXPIRES: "1"}
    kept = [
        container(client, dict(lease.labels)),
        container(client, {}, name=f"rdzv-{dead.world}-r0"),
        container(client, odd),
    ]
    swept = [container(client, dict(one.labels)) for one in (dead, unseen)]
    try:
        assert set(leases.sweep(client)) <= {dead.world, unseen.world}
        assert all(client.state(one).running for one in kept)
        await_true(lambda: not any(left(client, one.world)[0] for one in (dead, unseen)), "the sweep left something")
    finally:
        for one in [*kept, *swept]:
            client.remove(one)


def test_a_reaper_removes_what_a_killed_process_left(client: Client):
    """The process started the reaper itself and gets SIGKILL; lease, hosts and network are removed."""
    command = [sys.executable, "-c", HOLDER, client.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        world = holder.stdout.readline().strip()
        assert left(client, world) == (2, 1)
        holder.send_signal(signal.SIGKILL)
    await_true(lambda: left(client, world) == (0, 0), f"the reaper left {left(client, world)}")
    await_true(lambda: not list(leases.all_leases()), "the reaper left the lease")


def test_a_reaper_watches_every_process_that_inherits_its_pipe(client: Client):
    """As a controller does, whose own children end with it; what belongs to another owner stays."""
    pipe = leases.reaper_fd()
    environment = {**os.environ, leases.REAPER_FD: str(pipe)}
    command = [sys.executable, "-c", HOLDER, client.url]
    with ExitStack() as stack:
        killed, living = (
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, pass_fds=[pipe]
                )
            )
            for _ in range(2)
        )
        worlds = [one.stdout.readline().strip() for one in (killed, living) if one.stdout is not None]
        killed.kill()
        await_true(lambda: left(client, worlds[0]) == (0, 0), "the reaper left something")
        assert left(client, worlds[1]) == (2, 1)
        living.kill()
        await_true(lambda: left(client, worlds[1]) == (0, 0), "the reaper left something")
