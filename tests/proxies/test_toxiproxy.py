"""Links through Toxiproxy: made at once, taken away one by one, counted, and safe from the traps on the way."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from toxiproxy.api import APIConsumer

from harness.machine import proxy_server, sockets, toxiproxy_client
from harness.machine.children import Children
from harness.machine.proxy_server import RunningServer
from harness.machine.toxiproxy_client import Api, check_toxic
from harness.proxies import toxiproxy
from harness.proxies.base import PROXIES, Link, LinkSpec
from harness.proxies.direct import Direct
from harness.proxies.toxiproxy import Toxiproxy, parse_url
from harness.words.endpoint import Endpoint
from harness.words.errors import HarnessError, ProxyLost, Unsupported, UsageError

LIMIT_SECONDS = 10
NOWHERE = Endpoint("127.0.0.1", 9)


@pytest.fixture
def children() -> Iterator[Children]:
    """Whoever starts and ends processes; none is left."""
    with Children() as made:
        yield made


@pytest.fixture
def own(children: Children, tmp_path: Path) -> Iterator[Toxiproxy]:
    """A server of our own."""
    try:
        server = Toxiproxy.start(children, tmp_path / "proxy.log")
    except Unsupported as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture
def running(children: Children, tmp_path: Path) -> RunningServer:
    """A server that somebody else started."""
    try:
        return proxy_server.launch(children, proxy_server.require_server(), tmp_path / "somebody.log")
    except Unsupported as missing:
        pytest.skip(str(missing))


@pytest.fixture
def master() -> Iterator[socket.socket]:
    """A listening socket that links lead to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_SECONDS)
        yield listener


def specs(master: socket.socket, *ranks: int) -> list[LinkSpec]:
    """A link to the master for each rank."""
    return [LinkSpec(rank, Endpoint(*master.getsockname())) for rank in ranks]


def echoed(link: Link, master: socket.socket, message: bytes) -> bytes:
    """What comes back of a message that is sent through the link."""
    with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS) as client:
        client.sendall(message)
        server, _ = master.accept()
        with server:
            server.sendall(server.recv(len(message)))
            return client.recv(len(message))


def await_true(fact: Callable[[], object]) -> None:
    """Wait until a fact is so; fails after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# -- a server of our own ---------------------------------------------------------------------------------------------


@pytest.mark.needs_toxiproxy
def test_links_are_made_in_the_order_asked_for(own: Toxiproxy, master: socket.socket):
    """Each on a port of its own on loopback, with a name that says whose it is, and it carries bytes."""
    links = own.make(specs(master, 3, 1, 2))
    assert [link.rank for link in links] == [3, 1, 2]
    assert {link.address.host for link in links} == {"127.0.0.1"}
    assert len({link.address.port for link in links}) == 3
    assert all(link.name.endswith(f"-rank{link.rank}") for link in links)
    assert [echoed(link, master, b"hello") for link in links] == [b"hello"] * 3
    own.remove(links)


@pytest.mark.needs_toxiproxy
def test_one_rank_may_have_links_to_several_endpoints(own: Toxiproxy, master: socket.socket):
    """A rank with two handlers is told two endpoints."""
    first, second = own.make([*specs(master, 1), LinkSpec(1, NOWHERE)])
    assert (first.rank, second.rank, second.upstream) == (1, 1, NOWHERE)
    assert echoed(first, master, b"hello") == b"hello"


@pytest.mark.needs_toxiproxy
def test_removing_leaves_only_the_sentinel(own: Toxiproxy, master: socket.socket):
    """Ports are closed, proxies and toxics gone, and one that is gone already is no error."""
    links = own.make(specs(master, 1, 2))
    links[0].add_toxic("slow", "latency", "downstream", 1.0, {"latency": 1})
    own.remove(links)
    assert all(sockets.port_is_bindable(*link.address.connectable) for link in links)
    assert list(own._api.proxies()) == [own._own.sentinel]
    own.remove(links)


@pytest.mark.needs_toxiproxy
def test_no_links_need_no_request(own: Toxiproxy):
    """A world in which everybody is told rank 0."""
    assert own.make([]) == ()


@pytest.mark.needs_toxiproxy
def test_it_is_named_in_every_report(own: Toxiproxy):
    """Version and origin."""
    assert own.describe().startswith("toxiproxy-server ")
    assert own.describe().endswith(")")


@pytest.mark.needs_toxiproxy
def test_worlds_leave_nothing_behind_in_the_server(own: Toxiproxy, master: socket.socket):
    """Descriptors of the server are back to where they were; `/reset` would have kept its listeners."""
    own.remove(own.make(specs(master, *range(1, 8))))
    before = len(os.listdir(f"/proc/{own._own._running.pid}/fd"))
    for _ in range(5):
        links = own.make(specs(master, *range(1, 8)))
        assert echoed(links[0], master, b"hello") == b"hello"
        own.remove(links)
    await_true(lambda: len(os.listdir(f"/proc/{own._own._running.pid}/fd")) == before)


@pytest.mark.needs_toxiproxy
def test_closing_leaves_nothing_behind(children: Children, tmp_path: Path, master: socket.socket):
    """No process, no descriptor, no file but the log."""
    descriptors = len(os.listdir("/proc/self/fd"))
    server = Toxiproxy.start(children, tmp_path / "proxy.log")
    server.make(specs(master, 1))
    assert len(children.others()) == 1
    server.close()
    assert children.others() == []
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert os.listdir(tmp_path) == ["proxy.log"]


@pytest.mark.needs_toxiproxy
def test_a_server_that_died_is_lost_at_once_and_can_be_replaced(
    own: Toxiproxy, children: Children, master: socket.socket
):
    """Every call after the first failure fails without waiting for a time-out again."""
    (link,) = own.make(specs(master, 1))
    children.kill(own._own._running.pid)
    with pytest.raises(ProxyLost, match="no answer"):
        link.disable()
    with pytest.raises(ProxyLost, match="was lost before"):
        own.make(specs(master, 1))
    own.restart()
    (link,) = own.make(specs(master, 1))
    assert echoed(link, master, b"again") == b"again"
    assert len(children.others()) == 1


@pytest.mark.needs_toxiproxy
def test_a_frozen_server_is_lost_and_replaced(
    own: Toxiproxy, children: Children, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """A call that is not answered in time raises, and a server that ignores SIGTERM is killed."""
    monkeypatch.setattr(toxiproxy_client, "READ_S", 0.1)
    monkeypatch.setattr(proxy_server, "END_GRACE_NS", 50_000_000)
    children.send(own._own._running.pid, 19)
    with pytest.raises(ProxyLost, match="no answer"):
        own.make(specs(master, 1))
    own.restart()
    assert len(children.others()) == 1
    own.make(specs(master, 1))


@pytest.mark.needs_toxiproxy
def test_a_server_is_renewed_before_its_counters_grow_too_many(
    own: Toxiproxy, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The server forgets no proxy it ever had."""
    monkeypatch.setattr(toxiproxy, "WORLDS_PER_SERVER", 3)
    pids = set()
    for _ in range(4):
        own.remove(own.make(specs(master, 1)))
        pids.add(own._own._running.pid)
    assert len(pids) == 2


@pytest.mark.needs_toxiproxy
def test_its_log_is_that_of_the_last_world(own: Toxiproxy, master: socket.socket):
    """What goes into the run directory is about this run only."""
    first = own.make(specs(master, 1))
    own.remove(first)
    (second,) = own.make(specs(master, 2))
    assert first[0].name not in own.log()
    assert second.name in own.log()


@pytest.mark.needs_toxiproxy
def test_a_toxic_is_compared_with_what_was_asked(
    own: Toxiproxy, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The client throws the server's answer away; a toxic that is not there, or differs, is no toxic."""
    (link,) = own.make(specs(master, 1))
    link.add_toxic("slow", "latency", "upstream", 0.3, {"latency": 7})
    link.update_toxic("slow", 0.7, {"latency": 8})
    monkeypatch.setattr(type(link._proxy), "add_toxic", lambda *_, **__: None)
    with pytest.raises(ProxyLost, match="the server has nothing"):
        link.add_toxic("missing", "latency", "upstream", 1.0, {"latency": 7})


@pytest.mark.needs_toxiproxy
def test_a_toxic_that_is_gone_is_no_error_and_one_that_is_there_twice_is(own: Toxiproxy, master: socket.socket):
    """Healing twice is harmless; the server's refusals keep their words."""
    (link,) = own.make(specs(master, 1))
    link.add_toxic("slow", "latency", "upstream", 1.0, {"latency": 7})
    with pytest.raises(HarnessError, match="toxic already exists"):
        link.add_toxic("slow", "latency", "upstream", 1.0, {"latency": 7})
    link.remove_toxic("slow")
    link.remove_toxic("slow")
    with pytest.raises(HarnessError, match="toxic not found"):
        link.update_toxic("slow", 1.0, {})


@pytest.mark.needs_toxiproxy
def test_disabling_and_enabling_is_verified(own: Toxiproxy, master: socket.socket, monkeypatch: pytest.MonkeyPatch):
    """The client believes whatever it asked for; we ask the server."""
    (link,) = own.make(specs(master, 1))
    link.disable()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(link.address.connectable)
    link.enable()
    assert echoed(link, master, b"back") == b"back"
    monkeypatch.setattr(type(link._proxy), "disable", lambda _: True)
    with pytest.raises(ProxyLost, match="should be disabled"):
        link.disable()


@pytest.mark.needs_toxiproxy
def test_a_port_taken_while_down_is_not_believed(own: Toxiproxy, master: socket.socket):
    """The client takes the server's 500 for a success."""
    (link,) = own.make(specs(master, 1))
    link.disable()
    with socket.create_server(link.address.connectable), pytest.raises(ProxyLost, match="address already in use"):
        link.enable()


# -- what has passed ---------------------------------------------------------------------------------------------------


@pytest.mark.needs_toxiproxy
def test_traffic_of_a_connection_that_came_and_went_unseen_is_counted(own: Toxiproxy, master: socket.socket):
    """Accepted by the server's log, bytes by its own counters."""
    used, unused = own.make(specs(master, 1, 2))
    assert echoed(used, master, b"12345") == b"12345"
    await_true(lambda: used.traffic().upstream_bytes == used.traffic().downstream_bytes == 5)
    assert (used.traffic().accepted, used.traffic().open, used.traffic().ended) == (1, 0, 1)
    assert (unused.traffic().accepted, unused.traffic().upstream_bytes) == (0, 0)
    assert used.traffic().complete


@pytest.mark.needs_toxiproxy
def test_traffic_only_grows(own: Toxiproxy, master: socket.socket):
    """Connections that end take nothing with them, and are not counted twice."""
    (link,) = own.make(specs(master, 1))
    seen = [link.traffic()]
    for number in range(1, 6):
        with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS) as client:
            server, _ = master.accept()
            with server:
                client.sendall(b"four")
                server.recv(4)
                seen.append(link.traffic())
        await_true(lambda: link.traffic().open == 0)
        seen.append(link.traffic())
        assert (seen[-1].accepted, seen[-1].upstream_bytes) == (number, 4 * number)
    for old, new in itertools.pairwise(seen):
        assert old.accepted <= new.accepted
        assert old.upstream_bytes <= new.upstream_bytes


@pytest.mark.needs_toxiproxy
def test_a_master_that_cannot_be_reached_is_told_apart(own: Toxiproxy):
    """The link accepts, and closes again: those refusals are the proxy's own."""
    (link,) = own.make([LinkSpec(1, NOWHERE)])
    with socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS) as client:
        assert client.recv(1) == b""
    assert (link.traffic().accepted, link.traffic().unreached) == (1, 1)


@pytest.mark.needs_toxiproxy
def test_bytes_in_flight_are_never_surely_held(own: Toxiproxy, master: socket.socket):
    """A busy link beside one that could hold bytes back: what is on its way may be anybody's, and nobody is blamed."""
    busy, holding = own.make(specs(master, 1, 2))
    holding.add_toxic("hole", "timeout", "downstream", 1.0, {"timeout": 0})
    with socket.create_connection(busy.address.connectable, timeout=LIMIT_SECONDS) as client:
        server, _ = master.accept()
        server.settimeout(LIMIT_SECONDS)
        with server:
            stop = threading.Event()
            chat = threading.Thread(target=_chat, args=(client, server, stop))
            chat.start()
            for _ in range(50):
                holding.traffic()
            stop.set()
            chat.join()
            at_rest = len(holding.traffic().held)
            assert len(holding.traffic().held) == at_rest
    assert {entry.links for entry in holding.traffic().held} <= {frozenset({busy.name, holding.name})}


@pytest.mark.needs_toxiproxy
def test_held_bytes_are_told_from_passing_ones_at_rest(own: Toxiproxy, master: socket.socket):
    """Once traffic rests, the count is exact, and the link that holds them is named."""
    passing, holding = own.make(specs(master, 1, 2))
    with contextlib.ExitStack() as ends:
        pairs = []
        for link in (passing, holding):
            client = ends.enter_context(socket.create_connection(link.address.connectable, timeout=LIMIT_SECONDS))
            pairs.append((client, ends.enter_context(master.accept()[0])))
        holding.add_toxic("hole", "timeout", "downstream", 1.0, {"timeout": 0})
        for _, server in pairs:
            server.sendall(b"seven b")
        assert pairs[0][0].recv(7) == b"seven b"
        assert [(e.bytes, e.links) for e in holding.traffic().held] == [(7, frozenset({holding.name}))]


def _chat(client: socket.socket, server: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        server.sendall(b"ping")
        client.recv(4)


# -- a server that was given -------------------------------------------------------------------------------------------


@pytest.mark.needs_toxiproxy
def test_two_users_of_one_server_do_not_disturb_each_other(
    running: RunningServer, children: Children, tmp_path: Path, master: socket.socket
):
    """Each takes away what carries its own prefix; the server and everybody else's proxies stay."""
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
    """Somebody else uses it."""
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
    """Without its log a connection may come and go unseen, so what was not seen is not denied."""
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
    """With or without scheme and port."""
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
    """The user typed it."""
    with pytest.raises(UsageError, match="no Toxiproxy answers"):
        Toxiproxy.start(children, tmp_path / "unused.log", url=str(NOWHERE))


# -- traps of the client and of the API --------------------------------------------------------------------------------


@contextlib.contextmanager
def answering(status: int, body: str = "", hangs: bool = False) -> Iterator[Endpoint]:
    """An HTTP server that answers every request alike, or never."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if hangs:
                over.wait(LIMIT_SECONDS)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Endpoint("127.0.0.1", server.server_address[1])
        finally:
            over.set()
            server.shutdown()
            thread.join()


EVERY_CALL = [
    lambda api: api.proxies(),
    lambda api: api.version(),
    lambda api: api.proxy("name"),
    lambda api: api.populate([("name", NOWHERE)]),
    lambda api: api.received_bytes(),
    lambda api: api.delete(_remote()),
    lambda api: api.switch(_remote(), True),
    lambda api: api.add_toxic(_remote(), "name", "latency", "upstream", 1.0, {}),
    lambda api: api.update_toxic(_remote(), "name", 1.0, {}),
    lambda api: api.remove_toxic(_remote(), "name"),
]


def _remote() -> toxiproxy_client.RemoteProxy:
    return toxiproxy_client.RemoteProxy(name="name", upstream="u", enabled=True, listen="l")


@pytest.mark.parametrize("call", EVERY_CALL)
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_a_lost_proxy(call: Callable[[Api], object], status: int):
    """The client takes it for a success, or dies of a KeyError."""
    with answering(status, "<html>Timeout</html>") as address, contextlib.closing(Api(address)) as api:
        with pytest.raises(ProxyLost, match=f"answered {status}: <html>Timeout"):
            call(api)


@pytest.mark.parametrize("call", EVERY_CALL)
def test_a_hang_is_a_lost_proxy(call: Callable[[Api], object], monkeypatch: pytest.MonkeyPatch):
    """The client would wait for ever."""
    monkeypatch.setattr(toxiproxy_client, "READ_S", 0.05)
    with answering(200, hangs=True) as address, contextlib.closing(Api(address)) as api:
        with pytest.raises(ProxyLost, match="no answer"):
            call(api)


@pytest.mark.parametrize(("status", "body"), [(403, "User agent not allowed"), (405, ""), (302, ""), (200, "<html>")])
def test_something_else_that_answers_is_an_error(status: int, body: str):
    """Neither lost nor believed."""
    with answering(status, body) as address, contextlib.closing(Api(address)) as api:
        with pytest.raises(HarnessError, match="is it a toxiproxy-server") as error:
            api.proxies()
        assert not isinstance(error.value, ProxyLost)


@pytest.mark.parametrize(
    ("body", "version"),
    [('{"version": "2.12.0"}\n', "2.12.0"), ('{"version": "2.6.0"}\\n', "2.6.0"), ("2.5.0", "2.5.0"), ("git", "git")],
)
def test_the_version_is_read_from_every_release(body: str, version: str):
    """2.6 answers JSON that is none, older ones plain text."""
    with answering(200, body) as address, contextlib.closing(Api(address)) as api:
        assert api.version() == version


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch):
    """HTTP_PROXY would send every call of the client somewhere else."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{NOWHERE}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with answering(200, "{}") as address, contextlib.closing(Api(address)) as api:
        assert api.proxies() == {}


@pytest.mark.needs_toxiproxy
def test_a_launch_under_http_proxy_works(
    children: Children, tmp_path: Path, master: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    """The whole way, from the readiness check on."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{NOWHERE}")
    monkeypatch.setenv("http_proxy", f"http://{NOWHERE}")
    server = Toxiproxy.start(children, tmp_path / "proxy.log")
    server.remove(server.make(specs(master, 1)))
    server.close()


def test_a_second_address_in_one_process_is_an_error_not_cross_talk():
    """The client keeps its address on a class."""
    with answering(200, "{}") as first, answering(200, "{}") as second:
        api = Api(first)
        api.proxies()
        with contextlib.closing(Api(second)) as other:
            assert other.proxies() == {}
        with pytest.raises(HarnessError, match="one address per process"):
            api.proxies()
        APIConsumer.host, APIConsumer.port = first.host, first.port
        assert api.proxies() == {}
        api.close()


def test_other_users_of_requests_keep_theirs():
    """The client's module is lent our transport for the length of a call."""
    before = toxiproxy_client.toxiproxy.api.requests
    with answering(200, "{}") as address, contextlib.closing(Api(address)) as api:
        api.proxies()
    assert toxiproxy_client.toxiproxy.api.requests is before


@pytest.mark.parametrize(
    ("kind", "stream", "toxicity", "attributes", "said"),
    [
        ("slicer", "upstream", 1.0, {}, "at least 1"),
        ("slicer", "upstream", 1.0, {"average_size": 5, "size_variation": 5}, "above size_variation"),
        ("bandwidth", "upstream", 1.0, {"rate": -1}, "no whole number"),
        ("latency", "upstream", 1.0, {"latency": 1.5}, "no whole number"),
        ("latency", "upstream", 1.0, {"latency": True}, "no whole number"),
        ("latency", "upstream", 1.0, {"rate": 1}, "has no attribute 'rate'"),
        ("latency", "both", 1.0, {}, "neither upstream nor downstream"),
        ("latency", "upstream", 1.5, {}, "between 0 and 1"),
        ("blackhole", "upstream", 1.0, {}, "no toxic 'blackhole'"),
    ],
)
def test_what_would_harm_the_server_is_not_sent(kind: str, stream: str, toxicity: float, attributes: dict, said: str):
    """Some of these end the server, and every proxy with it."""
    with pytest.raises(HarnessError, match=said):
        check_toxic(kind, stream, toxicity, attributes)


def test_counters_are_read_by_proxy_and_direction():
    """As the server prints them."""
    name = "toxiproxy_proxy_received_bytes_total"
    body = "\n".join(
        [
            f"# HELP {name}",
            f'{name}{{direction="upstream",listener="l",proxy="a-1",upstream="u"}} 12',
            f'{name}{{direction="downstream",listener="l",proxy="a-1",upstream="u"}} 1.5e+07',
            'toxiproxy_proxy_sent_bytes_total{direction="upstream",listener="l",proxy="a-1",upstream="u"} 99',
        ]
    )
    with answering(200, body) as address, contextlib.closing(Api(address)) as api:
        assert api.received_bytes() == {("a-1", "upstream"): 12, ("a-1", "downstream"): 15_000_000}
    with answering(404, json.dumps({})) as address, contextlib.closing(Api(address)) as api:
        assert api.received_bytes() is None


# -- no proxy ----------------------------------------------------------------------------------------------------------


def test_direct_has_no_links():
    """The do-nothing member does nothing, and refuses what it cannot do."""
    direct = Direct()
    assert direct.make([]) == ()
    with pytest.raises(HarnessError, match="no links"):
        direct.make([LinkSpec(1, NOWHERE)])
    direct.remove([])
    direct.restart()
    direct.close()
    assert (direct.describe(), direct.log()) == ("none (direct)", "")


def test_both_members_are_registered():
    """By file name."""
    assert list(PROXIES) == ["direct", "toxiproxy"]
