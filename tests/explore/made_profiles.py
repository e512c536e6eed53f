"""Profiles as a run without faults would give them, made from the workload alone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.explore.documents import masters_of, present_of
from harness.explore.draft import Anchor, Draft, Profile
from harness.scenario.scenario import Step

MESSAGES = {"rendezvous": ("validate", "add", "wait", "get"), "set": ("set",), "add": ("add",), "get": ("wait", "get")}


def profile_of(draft: Draft) -> Profile:
    """Every step of every rank that comes, one after another, each with its messages; all of them are ok."""
    scenario, masters = draft.scenario, masters_of(draft.document)
    anchors = [
        anchor
        for step in scenario.steps
        if step.life != 2
        for rank in step.ranks
        if rank in present_of(draft.document)
        for anchor in _anchors(step, rank, "master" if rank in masters else "worker")
    ]
    return Profile(tuple(anchors), tuple(step.name for step in scenario.steps), 500_000_000)


def _anchors(step: Step, rank: int, role: str) -> Iterator[Anchor]:
    yield Anchor({"step": step.name, "ranks": rank, "is": "begun"}, f"step {step.do} begun", rank, role)
    if role == "worker":
        for kind in MESSAGES.get(step.do, ("check",)):
            for side in ("query", "reply"):
                yield Anchor({"wire": {side: kind, "ranks": rank}}, f"{side} {kind}", rank, role)
    yield Anchor({"step": step.name, "ranks": rank, "is": "ended"}, f"step {step.do} ended", rank, role)
