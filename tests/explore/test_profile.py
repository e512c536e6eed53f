"""Anchors from one clean run: each loads as `after` of a fault, and they stay few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pasts import Past
from wires import Links

from harness.explore.draft import Anchor, Draft
from harness.explore.profile import MOST_ANCHORS, profile, role_of
from harness.history.moments import moment_time
from harness.loader import load_mapping
from harness.scenario.moment import WireMoment
from harness.scenario.scenario import Scenario

DOCUMENT: dict[str, Any] = {
    "schema": "rdzv-scenario/v1",
    "title": "A workload",
    "world": {"size": 3, "timeout": "1s"},
    "workload": [
        {"id": "join", "do": "rendezvous"},
        {"id": "tell", "do": "set", "ranks": 0, "key": "ready", "value": "1"},
        {"id": "hear", "do": "get", "ranks": "workers", "key": "ready", "times": 3},
        {"id": "calls", "do": "mix", "ranks": 1, "calls": 300, "keys": ["a"]},
    ],
    "expect": [{"step": "join", "is": "ok"}],
}


def load(document: dict[str, Any]) -> Scenario:
    (scenario,) = load_mapping(document, "drafted")
    return scenario


def clean_run() -> tuple[Scenario, Any]:
    """A run of the workload: rank 1 reads three times, and makes 300 calls of a mix."""
    past, links = Past(3).all_join(0.01, 0.03), Links()
    for rank in (1, 2):
        links.asked(rank, 0.012 + rank / 1000, "validate").asked(rank, 0.015 + rank / 1000, "add", "/train/init")
        for number in range(1, 4):
            begin = 0.04 + number / 100
            past.call(rank, "hear", begin, begin + 0.002, f="get", number=number, arguments={"key": "ready"}, value="1")
            links.asked(rank, begin, "wait", "/train+a1b2c3.1/ready").asked(
                rank, begin + 0.001, "get", "/train+a1b2c3.1/ready"
            )
    past.call(0, "tell", 0.035, 0.036, f="set", arguments={"key": "ready", "value": "1"})
    for number in range(1, 301):
        begin = 0.1 + number / 1000
        verb, key = ("add", "a.count") if number % 2 else ("check", "a")
        past.call(1, "calls", begin, begin + 0.0005, f=verb, number=number, arguments={"key": key}, value=number)
        links.asked(1, begin, verb, f"/train+a1b2c3.1/{key}")
    return load(DOCUMENT), links.of(past)


def moments(anchors: Sequence[Anchor], kind: str, rank: int) -> list[Any]:
    return [anchor.moment for anchor in anchors if anchor.kind == kind and anchor.rank == rank]


def test_messages_and_calls_become_anchors() -> None:
    """Each kind of message of a link, and each begin and end of a call of a rank, is there with its number."""
    scenario, history = clean_run()
    found = profile(scenario, history).anchors
    assert moments(found, "query validate", 2) == [{"wire": {"query": "validate", "ranks": 2}, "count": 1}]
    assert moments(found, "reply get", 2) == [
        {"wire": {"reply": "get", "ranks": 2, "key": "*/ready"}, "count": count} for count in (1, 2, 3)
    ]
    assert moments(found, "step rendezvous begun", 0) == [{"step": "join", "ranks": 0, "is": "begun", "count": 1}]
    assert moments(found, "step get ended", 2) == [
        {"step": "hear", "ranks": 2, "is": "ended", "count": count} for count in (1, 2, 3)
    ]
    assert {anchor.role for anchor in found if anchor.rank} == {"worker"}
    assert {anchor.role for anchor in found if not anchor.rank} == {"master"}
    assert not moments(found, "query validate", 0)


def test_hundreds_of_calls_give_four_anchors_of_each_kind() -> None:
    """The first, the second, the middle and the last; a message is counted among those that name its key."""
    scenario, history = clean_run()
    found = profile(scenario, history).anchors
    adds = moments(found, "query add", 1)
    # The first is the join's own, with a key that is not the workload's; the others count `a.count` only.
    assert adds == [
        {"wire": {"query": "add", "ranks": 1}, "count": 1},
        *({"wire": {"query": "add", "ranks": 1, "key": "*/a.count"}, "count": count} for count in (1, 75, 150)),
    ]
    assert [moment["count"] for moment in moments(found, "step mix begun", 1)] == [1, 2, 151, 300]
    assert len(found) == len({str(anchor.moment) for anchor in found}) < 100


def test_every_anchor_loads_and_is_the_moment_that_was_seen() -> None:
    """As `after` of a fault each moment is accepted by the loader, and in the run it came from it is found again."""
    scenario, history = clean_run()
    anchors = profile(scenario, history).anchors
    faults = [{"inject": "kill", "ranks": anchor.rank, "after": dict(anchor.moment)} for anchor in anchors]
    times = []
    for fault in Draft({**DOCUMENT, "faults": faults}, "systematic", 1).scenario.faults:
        after = fault.after
        if isinstance(after, WireMoment):
            assert history.wire is not None
            passed = [
                one.time_ns
                for one in history.wire.messages
                if (one.side, one.kind, one.rank) == (after.direction, after.kind, *after.ranks)
                and (after.key is None or any(key.endswith(after.key.removeprefix("*")) for key in one.keys))
            ]
            times.append(passed[after.count - 1])
        else:
            time_ns = moment_time(history, scenario, after)
            assert time_ns is not None
            times.append(time_ns)
    assert times == sorted(times)
    assert len(times) > 40


def test_sound_steps_and_the_length_of_the_workload() -> None:
    """A step is sound if all its calls were `ok`; the unwritten end of the ranks does not count."""
    scenario, history = clean_run()
    found = profile(scenario, history)
    assert found.ok_steps == ("join", "tell", "hear", "calls")
    assert found.lasted_ns == pytest.approx(400.5e6, abs=1)
    failed = Past(3).all_join().call(0, "tell", 0.2, 0.3, "failed", f="set").whole()
    assert profile(scenario, failed).ok_steps == ("join",)


def test_without_messages_there_are_still_the_steps() -> None:
    """A proxy server that decodes nothing gives anchors of steps only; an empty history gives none."""
    scenario, history = clean_run()
    found = profile(scenario, Past(3).all_join().whole())
    assert {anchor.kind for anchor in found.anchors} == {"step rendezvous begun", "step rendezvous ended"}
    assert len(found.anchors) == 6
    assert profile(scenario, type(history)()).anchors == ()


def test_keys_that_no_pattern_can_name_are_left_out() -> None:
    """A key with a character of patterns would match others: the message is counted by its kind."""
    past = Past(3).all_join().call(1, "hear", 0.1, 0.2, f="get", arguments={"key": "a*[b]"})
    found = profile(load(DOCUMENT), Links().asked(1, 0.15, "get", "/train/a*[b]").of(past))
    assert moments(found.anchors, "query get", 1) == [{"wire": {"query": "get", "ranks": 1}, "count": 1}]


def test_kinds_that_the_format_does_not_know_are_left_out() -> None:
    """A later torch may send queries that no moment can name."""
    found = profile(load(DOCUMENT), Links().asked(1, 0.15, "teleport").of(Past(3).all_join()))
    assert not any("teleport" in anchor.kind for anchor in found.anchors)


def test_anchors_are_bounded_whatever_the_world() -> None:
    """Of a world of 200 ranks the most wanted 400 stay: each rank's first ones."""
    document = {**DOCUMENT, "world": {"size": 200, "timeout": "1s"}}
    past = Past(200)
    for rank in range(200):
        past.join(rank, 0.01, 0.03)
        for number in range(1, 4):
            past.call(rank, "hear", number, number + 0.5, f="get", number=number, arguments={"key": "ready"})
    found = profile(load(document), past.whole()).anchors
    assert len(found) == MOST_ANCHORS
    assert {anchor.rank for anchor in found if anchor.kind == "step rendezvous begun"} == set(range(200))


def test_the_master_is_who_is_given_rank_0() -> None:
    """`as_rank` decides, not the number of the process."""
    world = {"size": 2, "timeout": "1s", "ranks": {0: {"as_rank": 1}, 1: {"as_rank": 0}}}
    scenario = load({**DOCUMENT, "world": world, "workload": [{"id": "join", "do": "rendezvous"}]})
    assert [role_of(scenario, rank) for rank in (0, 1)] == ["worker", "master"]
    assert scenario.path == Path("drafted.rdzv.yaml")
