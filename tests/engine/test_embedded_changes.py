"""Toxics that are added, changed and removed while bytes are under way: no byte is lost, doubled or overtaken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_time import END, MS, Play, toxic

from harness.engine.toxic_stage import Toxic

Step: TypeAlias = "tuple[Any, ...]"

MOST_TOXICS = 5
EXAMPLES, NIGHTLY_EXAMPLES = 250, 5000
"""How many interleavings each run draws anew; every failure that one of them found is an explicit example below."""
LONG_AFTER_MS = 10**9
"""By then everything that only takes time has passed."""

HARMLESS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "latency": st.fixed_dictionaries({"latency": st.integers(0, 9), "jitter": st.integers(0, 9)}),
    "bandwidth": st.fixed_dictionaries({"rate": st.integers(0, 3)}),
    "slicer": st.fixed_dictionaries(
        {"average_size": st.integers(1, 9), "size_variation": st.integers(0, 1), "delay": st.integers(0, 2000)}
    ),
    "slow_close": st.fixed_dictionaries({"delay": st.integers(0, 9)}),
    "x_stall": st.fixed_dictionaries({"duration": st.integers(0, 9)}),
    "noop": st.just({}),
}
HARMFUL: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "limit_data": st.fixed_dictionaries({"bytes": st.integers(0, 40)}),
    "x_cut": st.fixed_dictionaries({"bytes": st.integers(0, 40)}),
    "timeout": st.fixed_dictionaries({"timeout": st.integers(0, 9)}),
    "reset_peer": st.fixed_dictionaries({"timeout": st.integers(0, 9)}),
}
SPARING = st.sampled_from([1.0, 1.0, 0.5, 0.0])


def settings_of(kinds: Mapping[str, Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A kind of toxic, and attributes for it."""
    return st.one_of(*(st.tuples(st.just(kind), attributes) for kind, attributes in kinds.items()))


def interleavings(kinds: Mapping[str, Any], toxicity: st.SearchStrategy[float]) -> st.SearchStrategy[list[Step]]:
    """Chunks, passing time, room in the writer, and changes of toxics, in every order."""
    which = st.integers(0, MOST_TOXICS - 1)
    step = st.one_of(
        st.tuples(st.just("read"), st.integers(1, 20)),
        st.tuples(st.just("read"), st.integers(1, 20)),
        st.tuples(st.just("wait"), st.integers(0, 20_000)),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["open", "shut", "end"])),
        st.tuples(st.just("add"), settings_of(kinds), toxicity),
        st.tuples(st.just("update"), which, toxicity, st.tuples(*kinds.values())),
        st.tuples(st.just("remove"), which),
    )
    return st.lists(step, max_size=40)


@dataclass
class Changing:
    """A play whose toxics change, and what was fed into it: each byte tells its position."""

    kinds: Mapping[str, Any]
    play: Play = field(default_factory=Play)
    toxics: list[Toxic] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)
    ended: bool = False
    names: count[int] = field(default_factory=count)

    def do(self, step: Step) -> None:
        getattr(self, step[0])(*step[1:])

    def read(self, size: int) -> None:
        if not self.ended and self.play.pipeline.has_room():
            data = bytes((len(self.sent) + at) % 251 for at in range(size))
            self.sent += data
            self.play.feed(data)

    def end(self) -> None:
        """The end is read whether or not there is room, as when the other link has closed our source."""
        if not self.ended:
            self.ended = True
            self.play.pipeline.feed(b"", self.play.now_ns)
            self.play.pipeline.advance(self.play.now_ns)

    def wait(self, microseconds: int) -> None:
        self.play.until((self.play.now_ns / MS) + microseconds / 1000)

    def shut(self) -> None:
        self.play.sink.open, self.play.sink.room = False, 0

    def open(self) -> None:
        self.play.sink.open = True
        self.play.pipeline.advance(self.play.now_ns)

    def take(self, chunks: int) -> None:
        self.play.sink.open, self.play.sink.room = False, chunks
        self.play.pipeline.advance(self.play.now_ns)

    def add(self, what: tuple[str, dict[str, Any]], toxicity: float) -> None:
        if len(self.toxics) < MOST_TOXICS:
            self.toxics.append(toxic(what[0], f"t{next(self.names)}", toxicity, **what[1]))
            self.play.add(self.toxics[-1])

    def update(self, which: int, toxicity: float, attributes: tuple[dict[str, Any], ...]) -> None:
        if which < len(self.toxics):
            one = self.toxics[which]
            self.play.update(one, toxicity, **dict(zip(self.kinds, attributes, strict=True))[one.kind])

    def remove(self, which: int) -> None:
        if which < len(self.toxics):
            self.play.remove(self.toxics.pop(which))

    def finish(self) -> list[bytes | str]:
        """Read the end, remove all toxics and let the writer write; return everything that has come out."""
        self.end()
        while self.toxics:
            self.remove(0)
        self.open()
        return [item for _, item in self.play.until(LONG_AFTER_MS)]


def played(kinds: Mapping[str, Any], steps: list[Step]) -> tuple[bytes, list[bytes | str]]:
    """What went in, and what came out."""
    changing = Changing(kinds)
    for step in steps:
        changing.do(step)
    return bytes(changing.sent), changing.finish()


NOOP, SLOW = ("noop", {}), ("latency", {"latency": 9, "jitter": 0})


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=interleavings(HARMLESS, SPARING))
@example(
    # What the second toxic holds when it goes is older than what the entrance has from the first.
    [("shut",), ("add", SLOW, 1.0), ("read", 1), ("read", 1), ("remove", 0), ("add", NOOP, 1.0), ("remove", 0)]
)
def test_what_goes_in_comes_out_and_then_the_end(steps: list[Step]):
    """Toxics that lose nothing may come, change and go: exactly these bytes come out, in order."""
    nothing_is_lost(steps)


@pytest.mark.nightly
@settings(max_examples=NIGHTLY_EXAMPLES, deadline=None)
@given(steps=interleavings(HARMLESS, SPARING))
def test_what_goes_in_comes_out_and_then_the_end_whatever_is_drawn(steps: list[Step]):
    """The same with twenty times as many interleavings."""
    nothing_is_lost(steps)


def nothing_is_lost(steps: list[Step]) -> None:
    sent, got = played(HARMLESS, steps)
    assert got.count(END) == 1
    assert got[-1] == END
    assert b"".join(item for item in got if isinstance(item, bytes)) == sent


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=interleavings({**HARMLESS, **HARMFUL}, st.just(1.0)))
@example(
    # The limit has thrown bytes away, and goes while the last ones before them wait for the writer.
    [("shut",), ("add", ("limit_data", {"bytes": 1}), 1.0), ("read", 3), ("remove", 0), ("open",), ("read", 1)]
)
def test_where_bytes_are_lost_nothing_follows_but_the_end(steps: list[Step]):
    """Toxics that swallow or cut pass a prefix of what went in: no byte follows a gap, and the end comes."""
    a_beginning_is_left(steps)


@pytest.mark.nightly
@settings(max_examples=NIGHTLY_EXAMPLES, deadline=None)
@given(steps=interleavings({**HARMLESS, **HARMFUL}, st.just(1.0)))
def test_where_bytes_are_lost_nothing_follows_but_the_end_whatever_is_drawn(steps: list[Step]):
    """The same with twenty times as many interleavings."""
    a_beginning_is_left(steps)


def a_beginning_is_left(steps: list[Step]) -> None:
    sent, got = played({**HARMLESS, **HARMFUL}, steps)
    assert got.count(END) == 1
    assert got[-1] == END
    assert sent.startswith(b"".join(item for item in got if isinstance(item, bytes)))


def test_a_close_that_waits_for_the_writer_is_not_called_back():
    """A removed timeout still closes if bytes before it wait, and a toxic added later does not stop that."""
    slow, hole = toxic("latency", latency=9), toxic("timeout")
    play = Play(slow)
    play.sink.open = False
    play.feed(b"a")
    play.add(hole)
    play.remove(hole)
    play.add(toxic("noop"))
    play.sink.open = True
    play.pipeline.advance(play.now_ns)
    assert play.sink.got == [(0, b"a"), (0, END)]


def test_a_slicer_makes_no_empty_piece():
    """Whatever it draws: a bandwidth of 0 behind it could not say how long an empty piece takes."""
    for seed in range(20):
        stop = toxic("bandwidth", rate=0)
        play = Play(toxic("slicer", average_size=1, size_variation=1), stop, seed=str(seed))
        play.feed(b"abc")
        play.remove(stop)
        play.until(1)
        assert play.bytes == b"abc"
        assert all(item for _, item in play.sink.got)
