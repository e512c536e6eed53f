"""Benign faults: which faults can only delay, and what is claimed under them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.explore.benign import benign_fault, is_benign, with_benign_claims, without_benign_claims
from harness.explore.draft import Profile
from harness.explore.draws import Draws


def document(
    *faults: dict[str, Any], workload: list[dict[str, Any]] | None = None, timeout: str = "4s"
) -> dict[str, Any]:
    steps = workload or [{"id": "join", "do": "rendezvous"}, {"id": "tell", "do": "set", "key": "a", "value": "1"}]
    return {
        "world": {"size": 2, "timeout": timeout},
        "workload": steps,
        "faults": list(faults),
        "expect": [{"check": "deadline"}],
    }


def pause(length: str) -> dict[str, Any]:
    return {"inject": "pause", "ranks": 1, "for": length}


def latency(length: str, stream: str = "upstream", **more: str) -> dict[str, Any]:
    return {"inject": "latency", "stream": stream, "latency": length, **more}


def slicer(size: str, delay: str = "0us") -> dict[str, Any]:
    return {"inject": "slicer", "stream": "upstream", "average_size": size, "delay": delay}


@pytest.mark.parametrize(
    "faults",
    [[pause("960ms")], [latency("80ms")], [slicer("5B")], [pause("400ms"), pause("400ms")], [slicer("8B", "1000us")]],
)
def test_small_delays_are_benign(faults: list[dict[str, Any]]) -> None:
    """Pauses, latencies over all round trips of a join, and slices, below a quarter of the timeout together."""
    assert is_benign(document(*faults))


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [pause("1s")],
        [{"inject": "pause", "ranks": 1}],
        [latency("100ms")],
        [latency("80ms", "both")],
        [latency("60ms", jitter="40ms")],
        [slicer("1B")],
        [slicer("8B", "12ms")],
        [pause("520ms"), pause("520ms")],
        [pause("10ms"), {"inject": "kill", "ranks": 1, "for": "10ms"}],
    ],
)
def test_anything_more_is_not(faults: list[dict[str, Any]]) -> None:
    """Longer or endless delays, delays that add up, pieces that cut a greeting, and every other kind of fault."""
    assert not is_benign(document(*faults))


def test_drawn_benign_faults_are_benign() -> None:
    """What is drawn to be benign is, alone and two together."""
    for seed in range(200):
        draws = Draws(seed)
        plain = document()
        assert is_benign(document(benign_fault(draws, plain), benign_fault(draws, plain)))


def test_steps_that_were_ok_are_claimed() -> None:
    """Under a benign fault each step that was ok without it has a claim; without one, with another, or
    where a busy machine could take all of the timeout, none has."""
    profile = Profile(ok_steps=("join", "tell"))
    claims = with_benign_claims(document(pause("100ms")), profile)["expect"]
    assert claims[1:] == [
        {"id": "benign-join", "step": "join", "is": "ok"},
        {"id": "benign-tell", "step": "tell", "is": "ok"},
    ]
    assert len(with_benign_claims(document(pause("100ms")), Profile(ok_steps=("tell",)))["expect"]) == 2
    assert with_benign_claims(document(pause("1s")), profile)["expect"] == [{"check": "deadline"}]
    assert "benign-join" not in str(with_benign_claims(document(pause("10ms"), timeout="1s"), profile))
    claimed = with_benign_claims(document(pause("100ms")), profile)
    assert without_benign_claims(claimed) == document(pause("100ms"))


@pytest.mark.parametrize(
    "step",
    [
        {"do": "get", "key": "a"},
        {"do": "wait", "key": "a", "timeout": "100ms", "after": "tell"},
        {"do": "queue_pop", "key": "a", "after": "tell"},
        {"do": "mix", "calls": 5, "weights": {"get": 1}},
    ],
)
def test_what_depends_on_order_is_not_claimed(step: dict[str, Any]) -> None:
    """A call that waits for what another may write later, or take away, was ok by chance."""
    steps = [*document()["workload"], {"id": "seen", **step}]
    profile = Profile(ok_steps=("join", "tell", "seen"))
    assert "benign-seen" not in str(with_benign_claims(document(pause("100ms"), workload=steps), profile))


def test_a_read_after_its_write_is_claimed_unless_keys_are_deleted() -> None:
    """It begins after the write, so delays leave it ok."""
    read = {"id": "seen", "do": "get", "key": "a", "after": "tell"}
    profile = Profile(ok_steps=("join", "tell", "seen"))
    steps = [*document()["workload"], read]
    assert "benign-seen" in str(with_benign_claims(document(pause("100ms"), workload=steps), profile))
    steps.append({"id": "gone", "do": "delete_key", "key": "a"})
    assert "benign-seen" not in str(with_benign_claims(document(pause("100ms"), workload=steps), profile))
