"""Drafts for tests of the explorer: a large one whose failure needs little of it, and plays that are only simulated."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from harness.explore.draft import UNIFORM, Draft
from harness.explore.edits import entries, name_of, ranks_in
from harness.explore.investigation import Investigation
from harness.explore.observation import Observation, Signature
from harness.values.verdict import FAILED, PASSED

Chance = Callable[[Mapping[str, Any]], float]

HANGS = Signature("no_hang", "get", "worker", "hung", wire="query get lost")
"""What the large draft shows."""

LARGE: dict[str, Any] = {
    "schema": "rdzv-scenario/v1",
    "title": "A large draft",
    "world": {
        "size": 4,
        "timeout": "2s",
        "guard": "timeout + 2s",
        "ranks": {3: {"start": {"step": "join", "ranks": 0, "is": "begun", "plus": "137ms"}}},
    },
    "workload": [
        {"id": "join", "do": "rendezvous"},
        {"id": "tell", "do": "set", "ranks": 0, "key": "ready", "value": "1"},
        {"id": "count", "do": "add", "key": "arrived", "times": 3},
        {"id": "look", "do": "check", "ranks": "workers", "key": "ready"},
        {"id": "hear", "do": "get", "ranks": "workers", "key": "ready", "after": ["tell", "cut"]},
        {"id": "late", "do": "wait", "ranks": [2, 3], "key": "ready"},
        {"id": "coda-join", "do": "rendezvous", "handler": "coda"},
        {"id": "coda-set", "do": "set", "ranks": 0, "key": "end", "value": "1", "handler": "coda"},
    ],
    "faults": [
        {"id": "slow", "inject": "latency", "ranks": 1, "stream": "both", "latency": "37ms", "jitter": "5ms"},
        {
            "id": "cut",
            "inject": "blackhole",
            "ranks": [2, 3],
            "stream": "downstream",
            "after": {"wire": {"query": "add", "ranks": 2}, "count": 2, "plus": "10ms"},
        },
        {"id": "halt", "inject": "pause", "ranks": 1, "after": {"fault": "cut", "is": "injected"}, "for": "1370ms"},
    ],
    "expect": [
        {"step": "join", "is": "ok", "within": "timeout"},
        {"step": ["look", "hear"], "within": "timeout + slack"},
        {"id": "coda-joins", "step": "coda-join", "is": "ok"},
    ],
}


def large_draft() -> Draft:
    """A draft of 4 ranks, 8 steps and 3 faults."""
    return Draft(LARGE, UNIFORM, seed=1)


def muted_get(document: Mapping[str, Any]) -> bool:
    """Whether a worker that joins reads a key while its replies vanish: what the failure really needs."""
    if "rendezvous" not in [step["do"] for step in entries(document, "workload")]:
        return False
    size = int(document["world"]["size"])
    gets = [step for step in entries(document, "workload") if step["do"] == "get"]
    muted = [
        fault
        for fault in entries(document, "faults")
        if fault["inject"] == "blackhole" and fault.get("stream") == "downstream"
    ]
    return any(
        set(ranks_in(get.get("ranks", "all"), size)) & set(ranks_in(fault.get("ranks", "all"), size)) - {0}
        for get in gets
        for fault in muted
    )


def investigated(
    investigation: Investigation, chance: Chance, seed: int = 1, also: Signature | None = None, nothing: str = ""
) -> Investigation:
    """Let an investigation play, with each play as likely to show its signature as `chance` says of its document."""
    draws = random.Random(seed)
    while not investigation.is_done:
        drafts = investigation.next()
        assert drafts, "an investigation that has nothing under way wants something"
        for draft in drafts:
            hit = draws.random() < chance(draft.document)
            found = {investigation.signature, *([also] if also else [])} if hit else set()
            status = nothing or (FAILED if found else PASSED)
            investigation.add(Observation(draft, status, frozenset(found), seconds=1.0))
    return investigation


def names(document: Mapping[str, Any], section: str) -> list[str]:
    """The names of the steps, faults or claims."""
    return [name_of(entry) for entry in entries(document, section)]
