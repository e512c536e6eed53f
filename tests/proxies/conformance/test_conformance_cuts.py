"""Timeout, limit_data and reset_peer: what is swallowed, what is closed, and how."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

import pytest
from backends import LIMIT_SECONDS, Proxy, ending, is_open, late, nothing, now_ms, read
from differences import difference

LONG = 60_000


def test_timeout_0_swallows_its_direction_and_never_closes(proxy: Proxy, pair: Any):
    """The other direction flows, and a peer's close passes at once."""
    proxy.toxic("timeout", timeout=0)
    pair.server.sendall(b"lost")
    pair.client.sendall(b"flows")
    assert read(pair.server, 5) == b"flows"
    assert nothing(pair.client)
    pair.server.close()
    assert ending(pair.client) == (b"", "eof")


def test_timeout_closes_both_sides_when_idle(proxy: Proxy, pair: Any):
    """When the timeout is over, both sides get an end of file."""
    began = now_ms()
    proxy.toxic("timeout", timeout=300)
    assert ending(pair.client) == (b"", "eof")
    assert late(began, 300)
    assert ending(pair.server) == (b"", "eof")


def test_timeout_counts_from_the_last_chunk(proxy: Proxy, pair: Any):
    """A sender that does not rest keeps it open; none of its bytes arrive."""
    proxy.toxic("timeout", timeout=500)
    for _ in range(8):
        pair.server.sendall(b"x")
        time.sleep(0.1)
    assert nothing(pair.client, 0)
    began = now_ms()
    pair.server.sendall(b"x")
    assert ending(pair.client) == (b"", "eof")
    assert late(began, 500)


@pytest.mark.parametrize("how", ["remove", "reset"])
def test_removing_a_timeout_closes(proxy: Proxy, pair: Any, how: str):
    """Bytes are missing, so the connection cannot go on."""
    name = proxy.toxic("timeout", timeout=0)
    pair.server.sendall(b"x")
    assert nothing(pair.client)
    if how == "remove":
        proxy.remove(name)
    else:
        assert proxy.backend.ask("POST", "/reset").status == 204
    assert ending(pair.client) == (b"", "eof")
    assert ending(pair.server) == (b"", "eof")


def test_a_changed_timeout_counts_from_the_change(proxy: Proxy, pair: Any):
    """Changed from 0 to 200, it closes 200 ms after the change."""
    name = proxy.toxic("timeout", timeout=0)
    time.sleep(0.1)
    began = now_ms()
    proxy.change(name, timeout=200)
    assert ending(pair.client) == (b"", "eof")
    assert late(began, 200)


def test_a_timeout_that_spared_a_connection_still_closes_it_when_removed(proxy: Proxy, pair: Any):
    """With toxicity 0, bytes flow until then."""
    name = proxy.toxic("timeout", toxicity=0, timeout=50)
    assert is_open(pair.client, pair.server)
    proxy.remove(name)
    assert ending(pair.client) == (b"", "eof")


def test_toxicity_changes_a_live_connection_each_time(proxy: Proxy, pair: Any):
    """At 1, 0 and 1 again, bytes are swallowed, passed and swallowed."""
    name = proxy.toxic("timeout", timeout=0)
    pair.server.sendall(b"a")
    assert nothing(pair.client)
    proxy.change(name, toxicity=0)
    pair.server.sendall(b"b")
    assert read(pair.client, 1) == b"b"
    proxy.change(name, toxicity=1)
    pair.server.sendall(b"c")
    assert nothing(pair.client)


@pytest.mark.parametrize("timeout", [0, -5])
def test_a_negative_timeout_is_none(proxy: Proxy, pair: Any, timeout: int):
    """It swallows bytes, and never closes."""
    proxy.toxic("timeout", timeout=timeout)
    pair.server.sendall(b"x")
    assert nothing(pair.client)


# -- limit_data --------------------------------------------------------------------------------------------------------


def test_limit_data_passes_exactly_so_many_bytes(proxy: Proxy, pair: Any):
    """10 of 20 bytes pass, then the end."""
    proxy.toxic("limit_data", bytes=10)
    pair.server.sendall(bytes(range(20)))
    assert ending(pair.client) == (bytes(range(10)), "eof")


def test_limit_data_closes_with_its_last_byte(proxy: Proxy, pair: Any):
    """It does not wait for the next one; with one byte less it stays open."""
    proxy.toxic("limit_data", bytes=10)
    pair.server.sendall(bytes(9))
    assert len(read(pair.client, 9)) == 9
    assert nothing(pair.client)
    pair.server.sendall(b"x")
    assert ending(pair.client) == (b"x", "eof")


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_data_0_closes_at_the_first_byte(proxy: Proxy, pair: Any, limit: int):
    """No byte passes; an idle connection stays open."""
    proxy.toxic("limit_data", bytes=limit)
    assert nothing(pair.client)
    pair.server.sendall(b"x")
    assert ending(pair.client) == (b"", "eof")


@pytest.mark.parametrize(("limit", "passes"), [(20, 15), (3, 0)])
def test_a_changed_limit_keeps_its_count(proxy: Proxy, pair: Any, limit: int, passes: int):
    """A limit below what has passed closes at the next byte."""
    name = proxy.toxic("limit_data", bytes=10)
    pair.server.sendall(bytes(5))
    assert len(read(pair.client, 5)) == 5
    proxy.change(name, bytes=limit)
    pair.server.sendall(b"y" * 30)
    assert ending(pair.client) == (b"y" * passes, "eof")


def test_a_limit_counts_from_when_it_was_added(proxy: Proxy, pair: Any):
    """Bytes that passed before do not count."""
    pair.server.sendall(bytes(100))
    assert len(read(pair.client, 100)) == 100
    proxy.toxic("limit_data", bytes=10)
    pair.server.sendall(b"x" * 20)
    assert ending(pair.client) == (b"x" * 10, "eof")


def test_a_limit_upstream_closes_the_client_too(proxy: Proxy, pair: Any):
    """The server gets so many bytes and an end."""
    proxy.toxic("limit_data", stream="upstream", bytes=3)
    pair.client.sendall(b"abcdef")
    assert ending(pair.server) == (b"abc", "eof")
    assert ending(pair.client)[0] == b""


@pytest.mark.parametrize(
    ("order", "expected"), [(("limit_data", "slow_close"), 500), (("slow_close", "limit_data"), 0)]
)
def test_a_limit_closes_what_lies_behind_it(proxy: Proxy, pair: Any, order: tuple[str, str], expected: int):
    """A slow_close behind delays that close, one before does not."""
    attributes = {"limit_data": {"bytes": 1}, "slow_close": {"delay": 500}}
    for kind in order:
        proxy.toxic(kind, **attributes[kind])
    began = now_ms()
    pair.server.sendall(b"x")
    assert ending(pair.client) == (b"x", "eof")
    assert late(began, expected, expected + 480)


# -- reset_peer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 300])
def test_reset_peer_answers_the_first_byte_with_a_reset_of_both(proxy: Proxy, pairs: Any, timeout: int):
    """The reset comes after the timeout; the byte is swallowed, and an idle connection stays."""
    proxy.toxic("reset_peer", timeout=timeout)
    pair = pairs()
    assert nothing(pair.client)
    began = now_ms()
    pair.server.sendall(b"x")
    assert ending(pair.client) == (b"", "rst")
    assert late(began, timeout)
    assert ending(pair.server) == (b"", "rst")


def test_reset_peer_upstream_answers_the_clients_byte(proxy: Proxy, pairs: Any):
    """Both are reset; what the server sends before passes."""
    proxy.toxic("reset_peer", stream="upstream", timeout=0)
    pair = pairs()
    pair.server.sendall(b"hello")
    assert read(pair.client, 5) == b"hello"
    pair.client.sendall(b"x")
    assert ending(pair.client) == (b"", "rst")
    assert ending(pair.server) == (b"", "rst")


def test_a_connection_that_was_open_is_closed_not_reset(proxy: Proxy, pairs: Any):
    """The next connection is reset."""
    before = pairs()
    assert is_open(before.client, before.server)
    proxy.toxic("reset_peer", timeout=0)
    after = pairs()
    for pair, how in ((before, "eof"), (after, "rst")):
        pair.server.sendall(b"x")
        assert ending(pair.client) == (b"", how)


def test_a_servers_close_sets_a_reset_off(proxy: Proxy, pairs: Any):
    """No byte is needed."""
    proxy.toxic("reset_peer", timeout=200)
    pair = pairs()
    began = now_ms()
    pair.server.close()
    assert ending(pair.client) == (b"", "rst")
    assert late(began, 200)


def test_a_reset_behind_a_latency_comes_after_it(proxy: Proxy, pairs: Any):
    """A latency of 200 ms and a timeout of 100 ms make 300 ms."""
    proxy.toxic("latency", latency=200)
    proxy.toxic("reset_peer", timeout=100)
    pair = pairs()
    began = now_ms()
    pair.server.sendall(b"x")
    assert ending(pair.client) == (b"", "rst")
    assert late(began, 300)


@difference("reset that did not fire")
@pytest.mark.parametrize("spared_by", ["toxicity", "removal"])
def test_a_reset_that_did_not_fire(proxy: Proxy, pairs: Any, spared_by: str):
    """The real server still resets at any later close; the engine closes as if the toxic had not been there."""
    name = proxy.toxic("reset_peer", toxicity=0, timeout=0)
    pair = pairs()
    pair.server.sendall(b"x")
    assert read(pair.client, 1) == b"x"  # so the link began with the toxic in it
    if spared_by == "removal":
        proxy.change(name, toxicity=1)
        proxy.remove(name)
    assert is_open(pair.client, pair.server)
    pair.server.close()
    assert ending(pair.client) == (b"", "rst" if proxy.backend.is_real else "eof")


@difference("removing a reset that counts down")
def test_removing_a_reset_that_counts_down(proxy: Proxy, pairs: Any):
    """The real server answers once it has fired; the engine answers at once, and the byte passes."""
    name = proxy.toxic("reset_peer", timeout=2000)
    pair = pairs()
    pair.server.sendall(b"x")
    assert nothing(pair.client)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        removal = pool.submit(proxy.remove, name)
        done, _ = concurrent.futures.wait([removal], timeout=1 if proxy.backend.is_real else LIMIT_SECONDS)
        assert bool(done) is not proxy.backend.is_real
        if proxy.backend.is_real:
            assert ending(pair.client) == (b"", "rst")
        else:
            assert read(pair.client, 1) == b"x"
            assert is_open(pair.client, pair.server)
        removal.result(LIMIT_SECONDS)
