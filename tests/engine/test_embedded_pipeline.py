"""Toxics in virtual time: what comes out when, also when toxics change under way."""

from __future__ import annotations

import pytest
from virtual_time import END, MS, Play, toxic


def test_without_toxics_everything_passes_at_once():
    """Bytes and the end pass in order."""
    play = Play()
    play.feed(b"one", b"two", b"")
    assert play.sink.got == [(0, b"one"), (0, b"two"), (0, END)]


def test_noop_passes_everything():
    """It is a stage of its own, but holds nothing."""
    play = Play(toxic("noop"))
    play.feed(b"one", b"")
    assert play.sink.got == [(0, b"one"), (0, END)]


def test_a_chain_that_is_stuck_takes_no_more():
    """Each stage takes one chunk, then the reader waits; nothing is lost when there is room again."""
    play = Play(toxic("noop"))
    play.sink.open = False
    play.feed(b"one", b"two")
    assert not play.pipeline.has_room()
    play.sink.open = True
    play.pipeline.advance(0)
    assert play.bytes == b"onetwo"
    assert play.pipeline.has_room()


# -- latency ---------------------------------------------------------------------------------------------------------


def test_latency_counts_from_the_read_of_each_chunk():
    """Five chunks 50 ms apart arrive 50 ms apart."""
    play = Play(toxic("latency", latency=300))
    for index in range(5):
        play.until(50 * index)
        play.feed(b"%d" % index)
    assert play.until(1000) == [(300 + 50 * i, b"%d" % i) for i in range(5)]


def test_two_latencies_add_up():
    """The first moves the chunk's read time on by what it slept."""
    play = Play(toxic("latency", latency=150), toxic("latency", "second", latency=50))
    play.feed(b"x")
    assert play.until(1000) == [(200, b"x")]


def test_latency_does_not_delay_a_bare_end_but_keeps_it_behind_bytes():
    """A FIN with nothing before it passes at once."""
    bare, full = Play(toxic("latency", latency=400)), Play(toxic("latency", latency=400))
    bare.feed(b"")
    full.feed(b"x", b"")
    assert bare.until(0) == [(0, END)]
    assert full.until(1000) == [(400, b"x"), (400, END)]


def test_jitter_is_uniform_over_whole_milliseconds_around_the_latency():
    """From latency - jitter up to, not including, latency + jitter; each chunk draws again."""
    play = Play(toxic("latency", latency=100, jitter=50))
    delays = set()
    for index in range(300):
        play.until(200 * index)
        play.feed(b"x")
    for index, (at, _) in enumerate(play.until(200 * 300)):
        delays.add(at - 200 * index)
    assert min(delays) == 50
    assert max(delays) == 149
    assert len(delays) > 80


def test_the_same_seed_draws_the_same():
    """Another seed draws otherwise."""

    def times(seed: str) -> list[float]:
        play = Play(toxic("latency", latency=100, jitter=50), seed=seed)
        for index in range(20):
            play.until(200 * index)
            play.feed(b"x")
        return [at for at, _ in play.until(200 * 20)]

    assert times("one") == times("one")
    assert times("one") != times("two")


def test_removing_a_latency_releases_what_it_holds():
    """All of it comes out at once and in order."""
    slow = toxic("latency", latency=5000)
    play = Play(slow)
    play.feed(b"a", b"b", b"c", b"")
    play.until(10)
    play.remove(slow)
    assert play.sink.got == [(10, b"a"), (10, b"b"), (10, b"c"), (10, END)]


def test_a_changed_latency_holds_for_what_is_queued():
    """The chunk that it is delaying goes at once; the others by their own read time."""
    slow = toxic("latency", latency=5000)
    play = Play(slow)
    for index in range(3):
        play.until(50 * index)
        play.feed(b"%d" % index)
    play.update(slow, latency=400)
    assert play.until(1000) == [(100, b"0"), (450, b"1"), (500, b"2")]


def test_latency_queues_1024_chunks():
    """Then the reader waits: one more chunk is being delayed, and one waits to enter."""
    play = Play(toxic("latency", latency=1000))
    count = 0
    while play.pipeline.has_room() and count < 2000:
        play.feed(b"x")
        count += 1
    assert count == 1026


# -- bandwidth, slicer -------------------------------------------------------------------------------------------------


def test_bandwidth_delivers_rate_bytes_a_millisecond_in_portions():
    """The wait comes before the bytes: 3000 bytes at 10 KB/s come in three portions of 100 ms."""
    play = Play(toxic("bandwidth", rate=10))
    play.feed(b"x" * 3000)
    assert [(at, len(data)) for at, data in play.until(1000)] == [(100, 1000), (200, 1000), (300, 1000)]


def test_the_order_of_toxics_matters():
    """Latency counts from the read, which bandwidth does not touch."""
    first, second = Play(toxic("latency", latency=200), toxic("bandwidth", rate=10)), Play()
    second = Play(toxic("bandwidth", rate=10), toxic("latency", latency=200))
    for play in (first, second):
        play.feed(b"x" * 3000)
    assert first.until(1000)[-1][0] == 500
    assert [at for at, _ in second.until(1000)] == [200, 200, 300]


def test_bandwidth_0_stops_all_even_the_end_until_it_is_removed():
    """Nothing is lost."""
    stop = toxic("bandwidth", rate=0)
    play = Play(stop)
    play.feed(b"x", b"")
    assert play.until(60_000) == []
    play.remove(stop)
    assert play.sink.got == [(60_000, b"x"), (60_000, END)]


def test_a_raised_rate_releases_the_chunk_under_way():
    """The rest of that chunk goes at once."""
    slow = toxic("bandwidth", rate=1)
    play = Play(slow)
    play.feed(b"x" * 1000)
    play.until(150)
    play.update(slow, rate=1000)
    assert [(at, len(data)) for at, data in play.until(300)] == [(100, 100), (150, 900)]


def test_slicer_waits_after_every_piece_also_the_last():
    """So the end is late by one delay."""
    play = Play(toxic("slicer", average_size=10, delay=20_000))
    play.feed(b"x" * 40, b"")
    assert play.until(1000) == [(0, b"x" * 10), (20, b"x" * 10), (40, b"x" * 10), (60, b"x" * 10), (80, END)]


def test_slices_stay_in_order_and_near_the_average():
    """No piece is longer than average + variation."""
    play = Play(toxic("slicer", average_size=100, size_variation=50))
    data = bytes(range(250)) * 4
    play.feed(data)
    play.until(10)
    assert play.bytes == data
    assert max(len(piece) for _, piece in play.sink.got) <= 150
    assert len(play.sink.got) >= 7


def test_a_removed_slicer_releases_the_rest_in_one_piece():
    """It has exactly the bytes that were missing."""
    cut = toxic("slicer", average_size=10, delay=20_000)
    play = Play(cut)
    play.feed(b"x" * 40)
    play.until(30)
    play.remove(cut)
    assert play.sink.got == [(0, b"x" * 10), (20, b"x" * 10), (30, b"x" * 20)]


def test_waits_below_the_timers_resolution_do_not_add_up():
    """A late timer catches up: 256 slices of 10 us take 2.56 ms, however rarely the timer fires."""
    play = Play(toxic("slicer", average_size=4, delay=10))
    play.feed(b"x" * 1024, b"")
    play.now_ns = 1_000_000
    play.pipeline.advance(play.now_ns)
    assert len(play.bytes) == 4 * 101
    play.now_ns = 3_000_000
    play.pipeline.advance(play.now_ns)
    assert play.sink.got[-1] == (3, END)


# -- timeout, slow_close, limit_data, reset_peer -----------------------------------------------------------------------


def test_timeout_counts_from_the_last_chunk():
    """Every byte is swallowed, and every chunk restarts the countdown."""
    play = Play(toxic("timeout", timeout=300))
    for index in range(5):
        play.until(100 * index)
        play.feed(b"x")
    assert play.until(10_000) == [(700, END)]
    assert play.notes == ["swallows", "fired"]


def test_timeout_0_never_closes_but_lets_an_end_pass():
    """Only bytes are swallowed, not the peer's close."""
    play = Play(toxic("timeout"))
    play.feed(b"x")
    assert play.until(60_000) == []
    play.feed(b"")
    assert play.until(60_000) == [(60_000, END)]


@pytest.mark.parametrize("toxicity", [1.0, 0.0])
def test_removing_a_timeout_closes(toxicity: float):
    """Connections that it spared are closed too, as by the real server."""
    hole = toxic("timeout", toxicity=toxicity)
    play = Play(hole)
    play.feed(b"x")
    play.remove(hole)
    assert play.sink.got[-1] == (0, END)


def test_slow_close_keeps_only_the_end_back():
    """A change during the countdown restarts it, a removal ends it."""
    slow = toxic("slow_close", delay=300)
    play, removed = Play(slow), Play(slow)
    for one in (play, removed):
        one.feed(b"x", b"")
        one.until(200)
    removed.remove(slow)
    play.update(slow, delay=500)
    assert play.until(1000) == [(0, b"x"), (700, END)]
    assert removed.until(1000) == [(0, b"x"), (200, END)]


def test_limit_data_passes_exactly_so_many_bytes():
    """It closes with the last of them, not with the next."""
    exact, more = Play(toxic("limit_data", bytes=10)), Play(toxic("limit_data", bytes=10))
    exact.feed(b"x" * 9)
    assert exact.sink.got[-1][1] != END
    exact.feed(b"x")
    more.feed(b"x" * 20)
    for play in (exact, more):
        assert play.bytes == b"x" * 10
        assert play.sink.got[-1][1] == END


def test_limit_data_0_closes_at_the_first_byte():
    """No byte passes."""
    play = Play(toxic("limit_data", bytes=0))
    assert play.until(100) == []
    play.feed(b"x")
    assert play.sink.got == [(100, END)]


@pytest.mark.parametrize(("limit", "passes"), [(20, 15), (3, 0)])
def test_a_changed_limit_keeps_its_count(limit: int, passes: int):
    """A limit lowered below what has passed closes at the next byte."""
    cap = toxic("limit_data", bytes=10)
    play = Play(cap)
    play.feed(b"x" * 5)
    play.update(cap, bytes=limit)
    play.feed(b"y" * 30)
    assert play.bytes == b"x" * 5 + b"y" * passes
    assert play.sink.got[-1][1] == END


def test_reset_peer_swallows_the_first_chunk_and_resets_later():
    """An end starts its countdown too."""
    for trigger in (b"x", b""):
        play = Play(toxic("reset_peer", timeout=300))
        assert play.until(1000) == []
        play.feed(trigger)
        assert play.until(2000) == [(1300, END)]
        assert play.resets == 1


def test_a_connection_that_was_open_is_closed_but_not_reset():
    """The real server does the same."""
    play = Play()
    play.add(toxic("reset_peer"))
    play.feed(b"x")
    assert play.until(100) == [(0, END)]
    assert play.resets == 0


def test_a_reset_that_counts_down_can_be_called_off():
    """When it is removed, the chunk that started it passes; a change restarts the countdown."""
    armed = toxic("reset_peer", timeout=300)
    removed, changed = Play(armed), Play(armed)
    for play in (removed, changed):
        play.feed(b"x")
        play.until(100)
    removed.remove(armed)
    changed.update(armed, timeout=500)
    assert removed.until(2000) == [(100, b"x")]
    assert changed.until(2000) == [(600, END)]
    assert (removed.resets, changed.resets) == (0, 1)


def test_a_reset_behind_a_latency_comes_after_it():
    """The countdown starts when the chunk reaches the toxic."""
    play = Play(toxic("latency", latency=200), toxic("reset_peer", timeout=100))
    play.feed(b"x")
    assert play.until(1000) == [(300, END)]


@pytest.mark.parametrize(("first", "at"), [("limit_data", 200), ("slow_close", 0)])
def test_a_limit_closes_its_output(first: str, at: float):
    """A slow_close behind it delays the close, one before it does not."""
    both = {"limit_data": toxic("limit_data", bytes=1), "slow_close": toxic("slow_close", delay=200)}
    play = Play(both.pop(first), *both.values())
    play.feed(b"x")
    assert play.until(1000) == [(0, b"x"), (at, END)]


# -- chains under change -----------------------------------------------------------------------------------------------


def test_toxicity_is_drawn_at_every_start():
    """0 never acts, 1 always; an update draws again, and so does adding a neighbour, but not one further down."""
    first = toxic("limit_data", bytes=0, toxicity=0.5)
    acts, draws = [], []
    for number in range(40):
        play = Play(first, seed=str(number))
        for _ in range(3):
            draws.append(play.pipeline.stages[1]._draws)
            play.add(toxic("noop", f"noop{len(draws)}"))
        play.feed(b"x")
        acts.append(play.bytes == b"")
    assert draws == [1, 2, 2] * 40
    assert 8 < sum(acts) < 32


def test_a_new_toxic_acts_from_the_next_chunk_on():
    """A chunk that the toxic before it is delaying goes past; a chunk's read time moves on by what it slept there."""
    play = Play(toxic("latency", latency=200))
    play.feed(b"a", b"b")
    play.until(50)
    play.add(toxic("latency", "new", latency=1000))
    assert play.until(2000) == [(50, b"a"), (1150, b"b")]


def test_a_toxic_in_the_middle_can_go():
    """What it held goes on first, then what the one before it was delaying; order is kept."""
    middle = toxic("latency", "middle", latency=500)
    play = Play(toxic("latency", latency=100), middle, toxic("noop"))
    play.feed(b"a")
    play.until(100)
    play.feed(b"b", b"c")
    play.until(150)
    play.remove(middle)
    assert play.until(1000) == [(150, b"a"), (150, b"b"), (200, b"c")]


def test_a_stalled_writer_does_not_block_a_change():
    """Toxics come and go while nothing can be written, and every byte arrives in order once it can."""
    first = toxic("latency", latency=10)
    play = Play(first)
    play.sink.open = False
    play.feed(b"a", b"b", b"c")
    play.until(100)
    for kind, attributes in (("latency", {"latency": 50}), ("bandwidth", {"rate": 1}), ("slow_close", {"delay": 9})):
        one = toxic(kind, f"late {kind}", **attributes)
        play.add(one)
        play.until(play.now_ns / MS + 20)
        play.remove(one)
    play.remove(first)
    play.sink.open = True
    play.pipeline.advance(play.now_ns)
    play.feed(b"d", b"")
    assert [item for _, item in play.until(1000)] == [b"a", b"b", b"c", b"d", END]
