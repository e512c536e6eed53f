"""A toxiproxy-server of the harness: found, launched, verified, ended."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from freezing import freeze

from harness.machine.network import sockets
from harness.machine.process.children import Children
from harness.machine.toxiproxy import server as proxy_server
from harness.values.errors import HarnessError, ProxyLost, Unsupported


@pytest.fixture
def children() -> Iterator[Children]:
    """Starts and ends processes; afterwards none is left but those that this process had before."""
    with Children() as made:
        before = set(made.others())
        yield made
        assert set(made.others()) <= before


@pytest.fixture
def server(real_server: Path) -> Path:
    """A real toxiproxy-server."""
    return real_server


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a server; the folder on its PATH."""
    monkeypatch.delenv(proxy_server.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


SAYS_ITS_VERSION = 'echo "toxiproxy-server version 2.12.0"'


@pytest.mark.needs_toxiproxy
def test_it_comes_up_as_ours_and_ends(children: Children, server: Path, tmp_path: Path):
    """It listens on the port of its API and on no other, and is gone afterwards."""
    descriptors = set(os.listdir("/proc/self/fd"))
    running = proxy_server.launch(children, server, tmp_path / "proxy.log")
    assert {one.address for one in sockets.listeners() if one.pid == running.pid} == {running.api}
    proxy_server.stop(children, running)
    assert children.status_of(running.pid) == 0
    assert sockets.port_is_bindable(*running.api.connectable)
    assert set(os.listdir("/proc/self/fd")) == descriptors
    assert os.listdir(tmp_path) == ["proxy.log"]


@pytest.mark.needs_toxiproxy
def test_it_listens_on_ipv4_loopback_only(children: Children, server: Path, tmp_path: Path):
    """Its default is `localhost`, which may be of either family."""
    running = proxy_server.launch(children, server, tmp_path / "proxy.log")
    assert running.api.host == "127.0.0.1"
    proxy_server.stop(children, running)


@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("other", ["stranger", "toxiproxy"])
def test_a_taken_api_port_is_noticed(children: Children, server: Path, tmp_path: Path, other: str):
    """A server that cannot listen keeps running, and another one would answer in its place."""
    if other == "toxiproxy":
        port = proxy_server.launch(children, server, tmp_path / "other.log").api.port
        holder = None
    else:
        holder = socket.create_server(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    before = len(children.others())
    with pytest.raises(ProxyLost, match="address already in use"):
        proxy_server.launch(children, server, tmp_path / "proxy.log", api_port=port)
    assert len(children.others()) == before
    children.end_all()
    if holder is not None:
        holder.close()


@pytest.mark.needs_toxiproxy
def test_another_port_is_tried_when_one_is_taken_in_between(
    children: Children, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A free port may be gone by the time the server binds it."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        ports = iter([holder.getsockname()[1], proxy_server._free_port()])
        monkeypatch.setattr(proxy_server, "_free_port", lambda: next(ports))
        running = proxy_server.launch(children, server, tmp_path / "proxy.log")
        assert running.api.port != holder.getsockname()[1]
        proxy_server.stop(children, running)


@pytest.mark.needs_toxiproxy
def test_a_frozen_server_is_killed(children: Children, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """SIGTERM does not end a stopped process; after the grace period SIGKILL does."""
    monkeypatch.setattr(proxy_server, "END_GRACE_NS", 50_000_000)
    running = proxy_server.launch(children, server, tmp_path / "proxy.log")
    freeze(children, running.pid)
    proxy_server.stop(children, running)
    status = children.status_of(running.pid)
    assert status is not None
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_the_log_of_a_program_that_ends_at_once_is_quoted(children: Children, tmp_path: Path):
    """The output of a program that is not a server shows that."""
    impostor = script(tmp_path / "toxiproxy-server", "echo no such flag; exit 2")
    with pytest.raises(ProxyLost, match=r"its log: no such flag; run `rdzv-harness toxiproxy install`"):
        proxy_server.launch(children, impostor, tmp_path / "proxy.log")


def test_a_missing_program_is_named(children: Children, tmp_path: Path):
    """With its path."""
    with pytest.raises(ProxyLost, match="nowhere cannot be started"):
        proxy_server.launch(children, tmp_path / "nowhere", tmp_path / "proxy.log")


def test_a_program_that_never_answers_is_ended(children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """At the deadline, and nothing is left."""
    monkeypatch.setattr(proxy_server, "READY_WITHIN_NS", 50_000_000)
    mute = script(tmp_path / "toxiproxy-server", "echo thinking; exec /bin/sleep 60")
    before = set(children.others())
    with pytest.raises(ProxyLost, match="did not answer"):
        proxy_server.launch(children, mute, tmp_path / "proxy.log")
    assert set(children.others()) <= before


def test_without_a_server_the_ways_to_get_one_are_named(no_server: Path):
    """The error ends with what to do."""
    assert proxy_server.find_server() is None
    with pytest.raises(Unsupported, match=r"rdzv-harness toxiproxy install.*--toxiproxy URL"):
        proxy_server.require_server()


def test_path_comes_before_the_cache(no_server: Path):
    """And reports distinguish them."""
    cached = script(proxy_server.cache_path(), SAYS_ITS_VERSION)
    assert (proxy_server.find_server(), proxy_server.origin(cached)) == (cached, "found in the cache")
    on_path = script(no_server / "toxiproxy-server", SAYS_ITS_VERSION)
    assert (proxy_server.find_server(), proxy_server.origin(on_path)) == (on_path, "found on PATH")


def test_another_program_of_that_name_is_skipped(no_server: Path):
    """A program that does not report itself as a toxiproxy-server is not one."""
    script(no_server / "toxiproxy-server", "echo hello")
    cached = script(proxy_server.cache_path(), SAYS_ITS_VERSION)
    assert proxy_server.find_server() == cached


def test_the_environment_comes_first(no_server: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A server that is named explicitly is used, whatever its path."""
    script(no_server / "toxiproxy-server", SAYS_ITS_VERSION)
    named = script(tmp_path / "server", SAYS_ITS_VERSION)
    monkeypatch.setenv(proxy_server.VARIABLE, str(named))
    assert (proxy_server.find_server(), proxy_server.require_server()) == (named, named)
    assert proxy_server.origin(named) == "named by RDZV_TOXIPROXY_SERVER"


def test_a_wrong_name_in_the_environment_is_an_error(no_server: Path, monkeypatch: pytest.MonkeyPatch):
    """Skipping it silently would use another server than the one asked for."""
    monkeypatch.setenv(proxy_server.VARIABLE, str(no_server / "nothing"))
    with pytest.raises(HarnessError, match="correct it or unset it"):
        proxy_server.find_server()
