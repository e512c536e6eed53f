"""What each toxic is measured to have done, in virtual time, and that one which only passes bytes has done nothing."""

from __future__ import annotations

from typing import Any

import pytest
from virtual_time import MS, Play, toxic

from harness.engine.script import passing
from harness.engine.toxic_stage import Toxic
from harness.engine.toxics.base import BEHAVIOURS

PASSES = {"chunks", "passed_bytes", "ends"}


def fed(*toxics: Toxic, until: float = 1000, items: tuple[bytes, ...] = (b"twelve bytes", b"")) -> Play:
    """A pipeline that got these items at its start, some time later."""
    play = Play(*toxics)
    play.feed(*items)
    play.until(until)
    return play


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("latency", {"latency": 200}, {"chunks": 1, "passed_bytes": 12, "held_ns": 200 * MS, "longest_ns": 200 * MS}),
        ("bandwidth", {"rate": 1}, {"chunks": 1, "passed_bytes": 12, "held_ns": 12 * MS, "longest_ns": 12 * MS}),
        ("slicer", {"average_size": 3, "delay": 1000}, {"split": 1, "pieces": 4, "longest_ns": 3 * MS}),
        ("slow_close", {"delay": 300}, {"chunks": 1, "ends": 1, "longest_end_ns": 300 * MS}),
        ("timeout", {}, {"swallowed_bytes": 12, "ends": 1}),
        ("limit_data", {"bytes": 5}, {"passed_bytes": 5, "swallowed_bytes": 7, "cuts": 1}),
        ("reset_peer", {"timeout": 10}, {"swallowed_bytes": 12, "cuts": 1, "resets": 1}),
    ],
)
def test_a_toxic_is_measured_by_what_it_did(kind: str, attributes: dict[str, Any], expected: dict[str, int]) -> None:
    """Durations, pieces, lost bytes and ends are those that came out of the pipeline."""
    used = toxic(kind, **attributes)
    fed(used)
    found = used.effect.to_json()
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("kind", sorted(BEHAVIOURS))
def test_a_toxic_that_only_passes_bytes_has_done_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is called and whatever its values are: the measure is taken around its script."""
    monkeypatch.setattr(BEHAVIOURS[kind], "script", lambda self, site: passing())
    used = toxic(kind)
    fed(used)
    found = used.effect.to_json()
    assert set(found) <= PASSES
    assert found["passed_bytes"] == 12


def test_a_stall_holds_the_chunk_that_it_has_no_room_for() -> None:
    """It receives nothing while it stalls, so the chunk waits in the stage before it."""
    stalled = toxic("x_stall", duration=400)
    fed(stalled, items=(b"x",))
    assert (stalled.effect.chunks, stalled.effect.longest_ns) == (1, 400 * MS)


def test_a_chunk_that_was_not_sent_to_its_end_was_sliced_all_the_same() -> None:
    """The peer closes after the third of twelve pieces, so the rest is never sent."""
    sliced = toxic("slicer", average_size=1, delay=50_000)
    play = fed(sliced, until=100, items=(b"twelve bytes",))
    play.pipeline.discard()
    assert (sliced.effect.split, sliced.effect.pieces, sliced.effect.longest_ns) == (1, 3, 100 * MS)


def test_a_toxic_that_is_spared_by_its_toxicity_has_done_nothing() -> None:
    """With toxicity 0 no connection draws it."""
    spared = toxic("latency", toxicity=0.0, latency=200)
    fed(spared)
    assert spared.effect.held_ns == 0


def test_what_is_held_now_is_told_with_its_age() -> None:
    """A minute's delay after 100 ms; a stall that has no room for the chunk holds it too."""
    for holding in (toxic("latency", latency=60_000), toxic("x_stall")):
        play = fed(holding, until=100, items=(b"x",))
        assert play.pipeline.waiting_ns(holding, play.now_ns) == 100 * MS


def test_a_hold_that_ends_early_is_told_apart() -> None:
    """The connection is over, or the toxic is removed, before the delay is."""
    for end in (lambda play, held: play.pipeline.discard(), lambda play, held: play.pipeline.remove(held, play.now_ns)):
        held = toxic("latency", latency=60_000)
        play = fed(held, until=100, items=(b"x",))
        end(play, held)
        assert (held.effect.cut_short, held.effect.longest_ns) == (1, 0)


def test_a_receiver_that_does_not_read_makes_no_delay() -> None:
    """The bytes wait behind the toxic, not in it."""
    used = toxic("latency", latency=1)
    play = Play(used)
    play.sink.open = False
    play.feed(b"first", b"second")
    play.until(500)
    play.sink.open = True
    play.pipeline.advance(play.now_ns)
    assert play.bytes == b"firstsecond"
    assert used.effect.longest_ns <= 1 * MS


def test_a_latency_behind_another_toxic_counts_from_the_read_of_the_chunk() -> None:
    """It adds what is missing to its delay; one that does nothing there has no age."""
    narrow, slow = toxic("bandwidth", rate=1), toxic("latency", latency=50)
    fed(narrow, slow)
    assert (slow.effect.longest_ns, slow.effect.longest_age_ns) == (38 * MS, 50 * MS)
    narrow, idle = toxic("bandwidth", rate=1), toxic("latency", latency=5)
    fed(narrow, idle)
    assert (idle.effect.longest_ns, idle.effect.longest_age_ns) == (0, 0)


def test_what_passes_a_connection_that_was_not_drawn_does_not_count() -> None:
    """A bandwidth is judged by the time that its bytes took: those of other connections took none."""
    spared = toxic("bandwidth", rate=1)
    spared.toxicity = 0.0
    fed(spared)
    assert spared.effect.to_json() == {"ends": 1}
