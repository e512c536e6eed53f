"""The canary: a draft whose claim cannot hold, which a session that works finds, confirms and shrinks to its core."""

from __future__ import annotations

from harness.explore.draft import CANARY, Draft
from harness.explore.observation import Signature
from harness.explore.parts import CONFIRMED, Find

CLAIM = "explorer-canary"
"""The name of the claim that cannot hold."""

WORKLOAD = "canary"

MOST_RANKS, MOST_STEPS = 2, 3
"""Of its core: one rank joins and sets, another joins and reads another value than is claimed."""

_DOCUMENT = {
    "schema": "rdzv-scenario/v1",
    "title": "The explorer's canary claims what cannot hold",
    "world": {"size": 3, "timeout": "2s", "guard": "timeout + 2s"},
    "workload": [
        {"id": "join", "do": "rendezvous"},
        {"id": "count", "do": "add", "ranks": "workers", "key": "decoy", "amount": 1},
        {"id": "sing", "do": "set", "ranks": 0, "key": "canary", "value": "song"},
        {"id": "pause", "do": "sleep", "ranks": 2, "for": "20ms"},
        {"id": "hear", "do": "get", "ranks": 1, "key": "canary"},
        {"id": "decoy", "do": "set", "ranks": 2, "key": "decoy-2", "value": "decoy"},
    ],
    "faults": [{"id": "slow", "inject": "latency", "ranks": 2, "stream": "downstream", "latency": "10ms"}],
    "expect": [{"id": CLAIM, "step": "hear", "is": "ok", "value": "no song"}],
}


def canary(seed: int) -> Draft:
    """The canary among steps, a rank and a fault that have nothing to do with it."""
    return Draft(_DOCUMENT, CANARY, seed, WORKLOAD)


def is_canary(signature: Signature) -> bool:
    """Whether a violation is the canary's."""
    return signature.check == CLAIM


def why_not_found(find: Find | None) -> str:
    """Why the canary does not count as found; empty if it does."""
    if find is None:
        return "it was not found"
    if find.status != CONFIRMED or find.outcome.minimal is None:
        return f"it was found and is {find.status}"
    document = find.outcome.minimal.document
    ranks, steps, faults = document["world"]["size"], len(document["workload"]), len(document.get("faults") or ())
    if ranks > MOST_RANKS or steps > MOST_STEPS or faults:
        return f"it was found and confirmed, and not shrunk to its core: {ranks} ranks, {steps} steps, {faults} faults"
    return ""
