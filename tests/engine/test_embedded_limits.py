"""What clients of the API may take from the engine: bytes, time, connections and descriptors are bounded."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from backends import LIMIT_SECONDS, Backend, Upstream, is_open, started

from harness.engine.http import MOST_CONNECTIONS
from harness.engine.log import MOST_MESSAGES, BoundedHandler
from harness.values.endpoint import Endpoint

MEGABYTE = 1_000_000
SLOW = ("--read-timeout", "0.3")


def api_socket(engine: Backend) -> socket.socket:
    """A bare connection to the API."""
    return socket.create_connection((engine.api.host, engine.api.port), timeout=LIMIT_SECONDS)


def answer_to(sock: socket.socket) -> bytes:
    """All that comes until the engine closes the connection, which it may do with RST."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(1 << 16):
            data += part
    return data


def await_true(claim: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not claim():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


def memory(engine: Backend) -> int:
    return int(psutil.Process(engine.pid).memory_info().rss)


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["length", "chunks"])
def test_a_large_body_is_not_kept(tmp_path: Path, way: str):
    """It is answered with 413, and the engine does not grow by it; a client may give up earlier."""
    head = b"POST /populate HTTP/1.1\r\nHost: localhost\r\n"
    block = bytes(MEGABYTE)
    if way == "length":
        head, part = head + b"Content-Length: 100000000\r\n\r\n", block
    else:
        head, part = head + b"Transfer-Encoding: chunked\r\n\r\n", b"f4240\r\n" + block + b"\r\n"
    with started("embedded", tmp_path) as engine, api_socket(engine) as sock:
        before = memory(engine)
        sock.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                sock.sendall(part)
        assert memory(engine) - before < 10 * MEGABYTE
        assert engine.ask("GET", "/version").status == 200


def test_a_body_that_is_a_little_too_large_gets_its_answer(engine: Backend):
    """As JSON in the form of the other errors; the connection ends with it."""
    for length in (1 << 20, (1 << 20) + 1):
        answer = engine.ask("POST", "/populate", raw=b"[]".ljust(length))
        assert answer.status == (201 if length == 1 << 20 else 413)
    assert (answer.json["status"], answer.headers["connection"]) == (413, "close")
    assert "1048576 bytes" in answer.error


def test_a_body_that_a_client_offers_is_refused_before_it_is_sent(engine: Backend):
    """With `Expect: 100-continue`, as curl sends it."""
    with api_socket(engine) as sock:
        sock.sendall(
            b"POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert answer_to(sock).startswith(b"HTTP/1.1 413 ")


def test_thousands_of_proxies_fit_into_one_request(tmp_path: Path):
    """They are disabled, so they need no descriptors."""
    proxies = [
        {"name": f"proxy-of-rank-{n}", "upstream": "127.0.0.1:29500", "listen": "127.0.0.1:0", "enabled": False}
        for n in range(8000)
    ]
    with started("embedded", tmp_path) as engine:
        assert len(engine.ask("POST", "/populate", proxies).json["proxies"]) == 8000


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """An engine that waits 0.3 s for a request."""
    with started("embedded", tmp_path_factory.mktemp("impatient"), *SLOW) as engine:
        yield engine


@pytest.mark.parametrize(
    "begun",
    [
        b"POST /populate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n[",
        b"POST /populate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
        b"GET /version HTTP/1.1\r\nHost: loc",
        b"G",
        b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ver",
    ],
    ids=["body", "chunk", "head", "a byte", "the second"],
)
def test_a_request_that_does_not_arrive_is_given_up(impatient: Backend, begun: bytes):
    """It is answered with 408, and the connection closed."""
    with api_socket(impatient) as sock:
        sock.sendall(begun)
        assert b"HTTP/1.1 408 Request Timeout\r\n" in answer_to(sock)


def test_a_request_that_trickles_is_given_up(impatient: Backend):
    """Each byte comes in time, and the whole does not."""
    with api_socket(impatient) as sock, contextlib.suppress(ConnectionError):
        for byte in b"GET /version HTTP/1.1\r\nX: " + b"a" * 200:
            sock.sendall(bytes([byte]))
            if select.select([sock], [], [], 0.05)[0]:
                break
        else:
            pytest.fail("it was never given up")


def test_a_client_that_says_nothing_is_closed(impatient: Backend):
    """Without an answer, since it has asked nothing."""
    with api_socket(impatient) as sock:
        assert answer_to(sock) == b""


def test_a_client_may_rest_between_requests(impatient: Backend):
    """For far longer than a request may take to arrive."""
    with api_socket(impatient) as sock:
        for _ in range(2):
            sock.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = b""
            while not data.endswith(b"}"):
                data += sock.recv(1 << 16)
            assert data.startswith(b"HTTP/1.1 200 ")
            assert not select.select([sock], [], [], 0.6)[0]


def test_a_request_that_waits_for_events_is_not_given_up(impatient: Backend):
    """It has arrived."""
    answer = impatient.ask("GET", "/x/events?since=1000000&wait_ms=900")
    assert answer.json["events"] == []


def test_requests_in_a_row_on_one_connection_are_answered_in_order(engine: Backend):
    """A client need not wait for one answer before it sends the next request."""
    with api_socket(engine) as sock:
        sock.sendall(
            b"".join(
                b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
                for body in (json.dumps({"name": f"p{n}"}).encode() for n in range(100))
            )
            + b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        data = answer_to(sock)
    assert data.count(b"HTTP/1.1 400 ") == 100
    assert data.endswith(b'{"version":"2.12.0"}')


# -- connections and descriptors ---------------------------------------------------------------------------------------


def test_idle_connections_do_not_keep_others_out(engine: Backend):
    """The oldest are closed for the newest; one that waits for its answer stays."""
    with contextlib.ExitStack() as stack, api_socket(engine) as waiting:
        waiting.sendall(b"GET /x/events?since=1000000&wait_ms=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle = [stack.enter_context(api_socket(engine)) for _ in range(MOST_CONNECTIONS + 50)]
        assert engine.ask("GET", "/version").status == 200
        assert engine.descriptors() < MOST_CONNECTIONS + 50
        assert answer_to(idle[0]) == b""
        assert not select.select([waiting], [], [], 0)[0]


@contextlib.contextmanager
def unread(*options: str) -> Iterator[tuple[Backend, int]]:
    """An engine whose stderr is a pipe that is full, and the end to read it from."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(4096))
    argv = [sys.executable, "-m", "harness.engine", "--port", "0", *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=writer) as process:
        os.close(writer)
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield Backend("embedded", Endpoint("127.0.0.1", ready["port"]), process.pid), reader
        finally:
            process.terminate()
            os.close(reader)


def test_an_engine_without_descriptors_answers_when_it_has_some():
    """Nobody reads its stderr, and the reports do not fill it: they would stop it for good."""
    with unread() as (engine, reader), contextlib.ExitStack() as stack:
        engine.ask("GET", "/version")
        limit = engine.descriptors() + 3
        psutil.Process(engine.pid).rlimit(psutil.RLIMIT_NOFILE, (limit, 4096))
        clients = [stack.enter_context(api_socket(engine)) for _ in range(20)]
        await_true(lambda: engine.descriptors() == limit)
        select.select([], [], [], 1.5)  # it has tried again by then
        for client in clients:
            client.close()
        assert engine.ask("GET", "/version").status == 200
        assert os.read(reader, 1 << 16) == bytes(4096)


def test_a_lack_of_descriptors_is_reported_in_few_words(tmp_path: Path):
    """A line for each time that it tries again, once a second, and no traceback."""
    with started("embedded", tmp_path) as engine, contextlib.ExitStack() as stack:
        engine.ask("GET", "/version")
        limit = engine.descriptors() + 3
        psutil.Process(engine.pid).rlimit(psutil.RLIMIT_NOFILE, (limit, 4096))
        for _ in range(20):
            stack.enter_context(api_socket(engine))
        await_true(lambda: "ulimit -n" in (tmp_path / "embedded.log").read_text())
        select.select([], [], [], 1.5)
        said = (tmp_path / "embedded.log").read_text().splitlines()[1:]
        assert 1 <= len(said) <= 5
        assert all("cannot accept a client of the API: Too many open files" in line for line in said)


def test_clients_of_proxies_leave_descriptors_for_the_api(tmp_path: Path, upstream: Upstream):
    """A proxy that has no more still can be deleted, and then another is served."""
    with started("embedded", tmp_path) as engine, contextlib.ExitStack() as stack:
        proxy, other = engine.make(upstream), engine.make(upstream)
        psutil.Process(engine.pid).rlimit(psutil.RLIMIT_NOFILE, (64, 4096))
        for _ in range(80):
            stack.enter_context(proxy.connect())
        await_true(lambda: engine.descriptors() > 50)
        shown = engine.ask("GET", "/x/events?since=0").json["events"]
        assert [event for event in shown if event["event"] == "accept failed"] != []
        assert engine.ask("DELETE", proxy.path).status == 204
        for _ in range(len([event for event in shown if event["event"] == "dial"])):
            upstream.accept().close()
        with other.connect() as client, upstream.accept() as server:
            assert is_open(client, server)


# -- the log -----------------------------------------------------------------------------------------------------------


def record(text: str) -> dict[str, object]:
    return {"msg": text, "levelno": 40, "levelname": "ERROR"}


def test_the_log_is_bounded_and_says_what_it_dropped(monkeypatch: pytest.MonkeyPatch):
    """So many messages in each period, none longer than a pipe takes at once."""
    import logging

    now = [10**12]
    monkeypatch.setattr("harness.clock.now_ns", lambda: now[0])
    reader, writer = os.pipe()
    handler = BoundedHandler(writer)
    for number in range(MOST_MESSAGES + 5):
        handler.emit(logging.makeLogRecord(record(f"{number} {'x' * 9000 if number == 0 else ''}")))
    lines = os.read(reader, 1 << 16).splitlines()
    assert (len(lines), len(lines[0])) == (MOST_MESSAGES, 4095)
    now[0] += 11 * 10**9
    handler.emit(logging.makeLogRecord(record("again")))
    assert b"5 earlier messages were dropped\nrdzv-harness engine: again\n" in os.read(reader, 1 << 16)
    for descriptor in (reader, writer):
        os.close(descriptor)
