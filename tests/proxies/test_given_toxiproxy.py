"""Links through a server that was given by its URL, and that other users may use too."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from link_helpers import LIMIT_SECONDS, NOWHERE, await_true, echoed, specs

from harness.engine.launch import launch
from harness.machine.process.children import Children
from harness.machine.toxiproxy import token
from harness.machine.toxiproxy.client import Api
from harness.machine.toxiproxy.given import parse_url, require_answer
from harness.machine.toxiproxy.server import END_GRACE_NS, RunningServer
from harness.proxies.toxiproxy import Toxiproxy
from harness.values.endpoint import Endpoint
from harness.values.errors import ProxyLost, UsageError


@pytest.mark.needs_toxiproxy
def test_two_users_of_one_server_do_not_disturb_each_other(
    running: RunningServer, children: Children, tmp_path: Path, master: socket.socket
):
    """Each removes the proxies with its own prefix; the server and all other proxies stay."""
    url = f"http://{running.api}"
    one, other = (Toxiproxy.start(children, tmp_path / "unused.log", url=url) for _ in range(2))
    (ours,), (theirs,) = one.make(specs(master, 1)), other.make(specs(master, 1))
    assert ours.name != theirs.name
    one.remove([ours])
    one.close()
    assert echoed(theirs, master, b"still") == b"still"
    other.make(specs(master, 2))
    other.close()
    assert list(Api(running.api).proxies()) == [running.sentinel]
    assert children.is_running(running.pid)
    assert not (tmp_path / "unused.log").exists()
    children.end(running.pid)


@pytest.mark.needs_toxiproxy
def test_a_server_that_is_not_ours_is_not_restarted(running: RunningServer, children: Children, tmp_path: Path):
    """Another user may be using it."""
    given = Toxiproxy.start(children, tmp_path / "unused.log", url=str(running.api))
    with pytest.raises(ProxyLost, match="not ours to restart"):
        given.restart()
    assert given.describe().endswith(f"(given: http://{running.api})")
    assert given.log() == ""
    given.close()
    children.end(running.pid)


@pytest.mark.needs_toxiproxy
def test_what_a_given_server_swallows_is_seen_if_its_sockets_can_be_read(
    running: RunningServer, children: Children, tmp_path: Path, master: socket.socket
):
    """Without its log a connection may come and go unseen, so the absence of traffic is not claimed."""
    given = Toxiproxy.start(children, tmp_path / "unused.log", url=str(running.api))
    (link,) = given.make(specs(master, 1))
    link.add_toxic("hole", "timeout", "downstream", 1.0, {"timeout": 0})
    with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS):
        server, _ = master.accept()
        with server:
            server.sendall(b"lost")
            await_true(lambda: [entry.bytes for entry in link.traffic().held] == [4])
    assert link.traffic().accepted == 1
    assert not link.traffic().complete
    given.close()
    children.end(running.pid)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8474", Endpoint("127.0.0.1", 8474)),
        ("127.0.0.1:9000/", Endpoint("127.0.0.1", 9000)),
        ("localhost", Endpoint("127.0.0.1", 8474)),
        ("http://[::1]:8474", Endpoint("::1", 8474)),
    ],
)
def test_a_url_on_loopback_is_taken(url: str, address: Endpoint):
    """With or without a scheme and a port."""
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1:8474", "http://example.org", "https://127.0.0.1:8474", "http://127.0.0.1:x", "0.0.0.0:8474"],
)
def test_any_other_url_is_refused(url: str):
    """Traffic never leaves loopback."""
    with pytest.raises(UsageError, match=r"write http://127\.0\.0\.1:8474"):
        parse_url(url)


def test_a_url_where_nothing_answers_is_a_usage_error(children: Children, tmp_path: Path):
    """The user gave the URL."""
    with pytest.raises(UsageError, match="no Toxiproxy answers"):
        Toxiproxy.start(children, tmp_path / "unused.log", url=str(NOWHERE))


def test_a_given_engine_gets_its_token_from_the_environment(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without it, the error says which variable to set."""
    engine = launch(children, tmp_path / "engine.log")
    url = f"http://{engine.api}"
    with pytest.raises(UsageError, match="RDZV_TOXIPROXY_TOKEN"):
        Toxiproxy.start(children, tmp_path / "unused.log", url=url)
    monkeypatch.setenv("RDZV_TOXIPROXY_TOKEN", engine.token)
    given = Toxiproxy.start(children, tmp_path / "unused.log", url=url)
    assert "embedded engine" in given.describe()
    given.close()
    children.end(engine.pid, END_GRACE_NS)


def test_a_server_is_asked_before_any_world_starts(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers is taken; with a wrong token, or after its end, it is refused."""
    engine = launch(children, tmp_path / "engine.log")
    monkeypatch.setenv(token.VARIABLE, engine.token)
    require_answer(f"http://{engine.api}")
    monkeypatch.setenv(token.VARIABLE, "another")
    with pytest.raises(UsageError, match=token.VARIABLE):
        require_answer(f"http://{engine.api}")
    children.end(engine.pid, END_GRACE_NS)
    with pytest.raises(UsageError, match=f"^--toxiproxy http://{engine.api}: no Toxiproxy answers there"):
        require_answer(f"http://{engine.api}")
