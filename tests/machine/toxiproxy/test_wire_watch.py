"""Moments on the wire: the engine stalls its links at a message, reports it, and goes on when asked to."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import clock
from harness.machine.network import sockets
from harness.machine.process.children import Children
from harness.machine.toxiproxy.engine_client import EngineApi
from harness.machine.toxiproxy.wire_watch import EngineWatch, key_pattern
from harness.play.local_engine import LocalEngineLauncher
from harness.proxies.base import Link, LinkSpec
from harness.proxies.toxiproxy import Toxiproxy
from harness.scenario.moment import WireMoment
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError, ProxyLost

LIMIT_SECONDS = 10.0
GREETING = b"\x00" + struct.pack("<I", 0x3C85F7CE)


def add(key: str) -> bytes:
    """An `add` query of torch's store."""
    name = f"/train/{key}".encode()
    return b"\x04" + struct.pack("<Q", len(name)) + name + struct.pack("<q", 1)


@dataclass
class Stage:
    """An engine with links of ranks 1 and 2 to a master."""

    server: Toxiproxy
    links: dict[int, Link]
    listener: socket.socket
    children: Children

    def connect(self, rank: int) -> tuple[socket.socket, socket.socket]:
        """A greeted connection: the rank's end and the master's."""
        client = socket.create_connection(self.links[rank].address.connectable, timeout=LIMIT_SECONDS)
        client.sendall(GREETING)
        master, _ = self.listener.accept()
        master.settimeout(LIMIT_SECONDS)
        assert take(master, 5) == GREETING
        return client, master

    def watch(self, *moments: WireMoment, stands: bool = False) -> EngineWatch:
        watch = self.server.watch(list(self.links.values()), dict.fromkeys(moments, stands))
        assert isinstance(watch, EngineWatch)
        return watch


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Children() as children, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_SECONDS)
        server = Toxiproxy.start(children, tmp_path / "proxy.log", place=LocalEngineLauncher(children))
        with closing(server):
            links = server.make([LinkSpec(rank, Endpoint(*listener.getsockname())) for rank in (1, 2)])
            yield Stage(server, {link.rank: link for link in links}, listener, children)


def take(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (part := end.recv(count - len(data))):
        data += part
    return data


def next_passed(watch: EngineWatch) -> list[tuple[WireMoment, int]]:
    """The next messages that passed."""
    while select.select([watch], [], [], LIMIT_SECONDS)[0]:
        if passed := list(watch.read()):
            return passed
    raise AssertionError("no message has passed")


def stalled(*ends: socket.socket) -> bool:
    """Whether nothing arrives at these ends for a while."""
    return not select.select(ends, [], [], 0.15)[0]


def test_the_n_th_message_of_a_kind_and_key_is_reported_with_its_time(stage: Stage) -> None:
    """Over all connections of the named ranks; other kinds, keys and ranks do not count."""
    moment = WireMoment("query", "add", (1,), "n", 2)
    first, master = stage.connect(1)
    second, other = stage.connect(1)
    stranger, third = stage.connect(2)
    with closing(stage.watch(moment)) as watch:
        for client, end, key in ((first, master, "n"), (stranger, third, "n"), (first, master, "m")):
            client.sendall(add(key))
            take(end, len(add(key)))
        began_ns = clock.now_ns()
        second.sendall(add("n"))
        ((passed, time_ns),) = next_passed(watch)
        assert passed == moment
        assert began_ns <= time_ns <= clock.now_ns()
        assert take(other, len(add("n"))) == add("n")


def test_all_links_stall_at_the_message_until_they_may_go_on(stage: Stage) -> None:
    """The message itself passes; the very next byte waits, both ways, on every link, and is not lost."""
    client, master = stage.connect(1)
    bystander, theirs = stage.connect(2)
    with closing(stage.watch(WireMoment("query", "add"), stands=True)) as watch:
        client.sendall(add("n") + add("n"))
        assert take(master, len(add("n"))) == add("n")
        next_passed(watch)
        master.sendall(b"answer!!")
        bystander.sendall(add("m"))
        assert stalled(master, client, theirs)
        watch.go_on()
        assert take(master, len(add("n"))) == add("n")
        assert take(client, 8) == b"answer!!"
        assert take(theirs, len(add("m"))) == add("m")


def test_a_closed_watch_leaves_no_link_stalled(stage: Stage) -> None:
    """Neither by a message that passed, nor by one that did not."""
    client, master = stage.connect(1)
    watch = stage.watch(WireMoment("query", "add"), WireMoment("query", "add", count=2), stands=True)
    client.sendall(add("n") * 3)
    next_passed(watch)
    watch.close()
    assert take(master, 3 * len(add("n"))) == add("n") * 3


def test_a_rank_without_a_link_is_refused(stage: Stage) -> None:
    """None of its messages could ever pass."""
    with pytest.raises(HarnessError, match="no link on which it could pass"):
        stage.watch(WireMoment("query", "add", (0,)))


def test_an_engine_that_ended_is_reported(stage: Stage) -> None:
    """The watch raises ProxyLost at once."""
    watch = stage.watch(WireMoment("query", "add"))
    listening = next(one for one in sockets.listeners() if one.address == stage.server._server.api.address)
    assert listening.pid is not None
    stage.children.kill(listening.pid)
    with pytest.raises(ProxyLost, match="lost while it was watched"):
        watch.read()


def test_a_missing_server_is_a_lost_proxy() -> None:
    """Nothing listens at the address."""
    with pytest.raises(ProxyLost):
        EngineApi(Endpoint("127.0.0.1", 9)).about()


@pytest.mark.parametrize(("key", "pattern"), [("n", "*/n"), ("a/n", "a/n"), ("n*", "n*"), ("init/", "init/")])
def test_a_plain_key_is_one_of_the_workload(key: str, pattern: str) -> None:
    """Torch and the run add prefixes; a key with a slash or a wildcard is the whole key."""
    assert key_pattern(key) == pattern
