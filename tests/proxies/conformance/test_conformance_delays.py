"""Latency, bandwidth, slicer and slow_close: what arrives, when, and in what order."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from backends import Proxy, ending, is_open, late, nothing, now_ms, read

LONG = 60_000


def arrivals(sock: socket.socket, count: int) -> list[tuple[float, bytes]]:
    """Every read until so many bytes have come, with its time."""
    came: list[tuple[float, bytes]] = []
    while sum(len(data) for _, data in came) < count and (data := sock.recv(1 << 16)):
        came.append((now_ms(), data))
    return came


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_delays_its_direction_only(proxy: Proxy, pair: Any, stream: str):
    """200 ms in its direction, none in the other."""
    proxy.toxic("latency", stream=stream, latency=200)
    slow, fast = (pair.client, pair.server) if stream == "upstream" else (pair.server, pair.client)
    began = now_ms()
    fast.sendall(b"f")
    slow.sendall(b"s")
    assert read(slow, 1) == b"f"
    assert now_ms() - began < 190
    assert read(fast, 1) == b"s"
    assert late(began, 200, 700)


def test_latencies_of_both_directions_make_a_round_trip(proxy: Proxy, pair: Any):
    """50 ms there and 70 ms back."""
    proxy.toxic("latency", stream="upstream", latency=50)
    proxy.toxic("latency", latency=70)
    began = now_ms()
    pair.client.sendall(b"x")
    pair.server.sendall(read(pair.server, 1))
    assert read(pair.client, 1) == b"x"
    assert late(began, 120)


def test_latency_comes_and_goes_on_a_live_connection(proxy: Proxy, pair: Any):
    """When it is added, changed or removed, the next byte shows it."""
    name = proxy.toxic("latency", latency=300)
    for expected in (300, 150):
        began = now_ms()
        pair.server.sendall(b"x")
        read(pair.client, 1)
        assert late(began, expected)
        proxy.change(name, latency=150)
    proxy.remove(name)
    began = now_ms()
    pair.server.sendall(b"x")
    read(pair.client, 1)
    assert now_ms() - began < 140


def test_latency_does_not_slow_the_flow(proxy: Proxy, pair: Any):
    """Five sends 100 ms apart arrive 100 ms apart, each 300 ms late and in order."""
    proxy.toxic("latency", latency=300)
    sent = []
    for number in range(5):
        sent.append(now_ms())
        pair.server.sendall(b"%d" % number)
        time.sleep(0.1)
    for number in range(5):
        assert read(pair.client, 1) == b"%d" % number
        assert late(sent[number], 300)
    assert now_ms() - sent[0] < 1400


def test_latency_does_not_delay_a_bare_end(proxy: Proxy, pair: Any):
    """It delays an end only behind bytes."""
    proxy.toxic("latency", latency=600)
    began = now_ms()
    pair.server.close()
    assert ending(pair.client) == (b"", "eof")
    assert now_ms() - began < 500


def test_latency_keeps_an_end_behind_its_bytes(proxy: Proxy, pair: Any):
    """The bytes come at 400 ms, the end right after them."""
    proxy.toxic("latency", latency=400)
    began = now_ms()
    pair.server.sendall(b"bye")
    pair.server.close()
    assert read(pair.client, 3) == b"bye"
    assert late(began, 400)
    assert ending(pair.client) == (b"", "eof")
    assert late(began, 400, 790)


def test_two_latencies_add_up(proxy: Proxy, pair: Any):
    """150 ms and 150 ms make 300 ms."""
    proxy.toxic("latency", name="a", latency=150)
    proxy.toxic("latency", name="b", latency=150)
    began = now_ms()
    pair.server.sendall(b"x")
    read(pair.client, 1)
    assert late(began, 300)


def test_removing_a_latency_releases_what_it_holds(proxy: Proxy, pair: Any):
    """Five chunks arrive in order, at once."""
    name = proxy.toxic("latency", latency=LONG)
    for number in range(5):
        pair.server.sendall(b"%d" % number)
        time.sleep(0.01)
    assert nothing(pair.client, 0.05)
    proxy.remove(name)
    assert read(pair.client, 5) == b"01234"


def test_a_changed_latency_holds_for_what_is_queued(proxy: Proxy, pair: Any):
    """The chunk that it is delaying goes at once, the others by their own read time."""
    name = proxy.toxic("latency", latency=LONG)
    sent = []
    for number in range(3):
        sent.append(now_ms())
        pair.server.sendall(b"%d" % number)
        time.sleep(0.05)
    proxy.change(name, latency=600)
    assert read(pair.client, 1) == b"0"
    assert now_ms() - sent[0] < 590
    for number in (1, 2):
        assert read(pair.client, 1) == b"%d" % number
        assert late(sent[number], 600)


def test_jitter_spreads_the_delay_around_the_latency(proxy: Proxy, pair: Any):
    """100 ms give or take 50, drawn again for each chunk."""
    proxy.toxic("latency", latency=100, jitter=50)
    delays = []
    for _ in range(25):
        began = now_ms()
        pair.server.sendall(b"x")
        read(pair.client, 1)
        delays.append(now_ms() - began)
    assert min(delays) >= 47
    assert max(delays) - min(delays) > 35
    assert sorted(delays)[12] < 200


@pytest.mark.parametrize("attributes", [{"latency": -500}, {"latency": 100, "jitter": -50}, {"latency": 0}])
def test_a_latency_below_nothing_is_none(proxy: Proxy, pair: Any, attributes: dict[str, int]):
    """A negative latency delays nothing, and a negative jitter is no jitter."""
    proxy.toxic("latency", **attributes)
    began = now_ms()
    pair.server.sendall(b"x")
    read(pair.client, 1)
    assert late(began, max(0, attributes["latency"]), 480)


def test_latency_does_not_cut_throughput(proxy: Proxy, pair: Any):
    """8 MiB pass a latency of 200 ms in well under a second of sending: the quickest of three, on a busy machine."""
    proxy.toxic("latency", latency=200)
    size, took = 8 * 1024 * 1024, []
    while len(took) < 3 and min(took, default=LONG) >= 200 + size / 20_000:
        sender = threading.Thread(target=pair.server.sendall, args=(bytes(size),))
        began = now_ms()
        sender.start()
        assert len(read(pair.client, size)) == size
        took.append(now_ms() - began)
        sender.join()
    assert min(took) < 200 + size / 20_000


# -- bandwidth ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "size", "expected"), [(100, 30_000, 300), (10, 3000, 300), (1000, 300_000, 300)])
def test_bandwidth_is_bytes_per_millisecond(proxy: Proxy, pair: Any, rate: int, size: int, expected: int):
    """The wait comes before the bytes."""
    proxy.toxic("bandwidth", rate=rate)
    began = now_ms()
    pair.server.sendall(bytes(size))
    came = arrivals(pair.client, size)
    assert late(began, expected - 15, expected * 2 + 300)
    assert sum(len(data) for _, data in came) == size
    assert came[0][0] - began >= min(100, 32_768 / rate) - 5


def test_bandwidth_0_stops_all(proxy: Proxy, pair: Any):
    """Even the end waits; when it is removed, bytes and end come."""
    name = proxy.toxic("bandwidth", rate=0)
    pair.server.sendall(b"data")
    pair.server.close()
    assert nothing(pair.client)
    proxy.remove(name)
    assert ending(pair.client) == (b"data", "eof")


def test_a_raised_rate_releases_the_rest(proxy: Proxy, pair: Any):
    """Every byte arrives."""
    name = proxy.toxic("bandwidth", rate=1)
    data = bytes(range(250)) * 200
    pair.server.sendall(data)
    time.sleep(0.15)
    proxy.change(name, rate=100_000)
    assert read(pair.client, len(data)) == data


@pytest.mark.parametrize(("order", "expected"), [(("latency", "bandwidth"), 1000), (("bandwidth", "latency"), 600)])
def test_the_order_of_toxics_matters(proxy: Proxy, pair: Any, order: tuple[str, str], expected: int):
    """Latency counts from the read, so behind a bandwidth it has passed already."""
    attributes = {"latency": {"latency": 400}, "bandwidth": {"rate": 10}}
    for kind in order:
        proxy.toxic(kind, **attributes[kind])
    began = now_ms()
    pair.server.sendall(bytes(6000))
    assert len(read(pair.client, 6000)) == 6000
    assert late(began, expected, expected + 380)


# -- slicer ------------------------------------------------------------------------------------------------------------


def test_a_slicer_sends_piece_after_piece(proxy: Proxy, pair: Any):
    """40 bytes in tens, 100 ms apart: the last comes after 300 ms."""
    proxy.toxic("slicer", average_size=10, delay=100_000)
    began = now_ms()
    pair.server.sendall(bytes(range(40)))
    came = arrivals(pair.client, 40)
    assert late(began, 300, 900)
    assert b"".join(data for _, data in came) == bytes(range(40))
    assert len(came) >= 2
    assert len(came[0][1]) in (10, 20)


def test_slices_are_about_the_average(proxy: Proxy, pair: Any):
    """None is longer than average and variation together; no byte is lost. A late reader finds several at once."""
    proxy.toxic("slicer", average_size=100, size_variation=50, delay=50_000)
    data = bytes(range(250)) * 4
    pair.server.sendall(data)
    came = arrivals(pair.client, len(data))
    assert b"".join(part for _, part in came) == data
    assert len(came) >= 4


def test_a_removed_slicer_releases_the_rest(proxy: Proxy, pair: Any):
    """Every byte arrives at once."""
    name = proxy.toxic("slicer", average_size=10, delay=1_000_000)
    data = bytes(range(200))
    pair.server.sendall(data)
    first = read(pair.client, 1)
    proxy.remove(name)
    assert first + read(pair.client, len(data) - 1) == data


# -- slow_close --------------------------------------------------------------------------------------------------------


def test_slow_close_keeps_only_the_end_back(proxy: Proxy, pair: Any):
    """Bytes pass at once, the end at 400 ms."""
    proxy.toxic("slow_close", delay=400)
    began = now_ms()
    pair.server.sendall(b"bye")
    pair.server.close()
    assert read(pair.client, 3) == b"bye"
    assert now_ms() - began < 390
    assert ending(pair.client) == (b"", "eof")
    assert late(began, 400)


def test_slow_close_downstream_delays_neither_a_clients_close_nor_a_disable(proxy: Proxy, pairs: Any):
    """It delays the server's end only."""
    proxy.toxic("slow_close", delay=LONG)
    one, other = pairs(), pairs()
    assert is_open(other.client, other.server)
    one.client.close()
    assert ending(one.server) == (b"", "eof")
    proxy.update(enabled=False)
    assert ending(other.client) == (b"", "eof")


def test_a_removed_slow_close_closes_at_once(proxy: Proxy, pair: Any):
    """Also in the middle of its countdown."""
    name = proxy.toxic("slow_close", delay=LONG)
    pair.server.close()
    assert nothing(pair.client)
    proxy.remove(name)
    assert ending(pair.client) == (b"", "eof")


def test_a_changed_slow_close_counts_anew(proxy: Proxy, pair: Any):
    """The whole new delay counts from the change."""
    name = proxy.toxic("slow_close", delay=LONG)
    pair.server.close()
    assert nothing(pair.client, 0.1)
    began = now_ms()
    proxy.change(name, delay=300)
    assert ending(pair.client) == (b"", "eof")
    assert late(began, 300)
