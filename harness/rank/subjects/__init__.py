"""The systems under test: any backend of torch's registry, by its name, and two subjects that need no torch."""

from __future__ import annotations

from harness.rank.subjects.base import Handler, Subject
from harness.rank.subjects.command import CommandSubject
from harness.rank.subjects.echo import EchoSubject
from harness.rank.subjects.rendezvous import RendezvousSubject
from harness.values.plan import Plan

ECHO, COMMAND = "echo", "command"

__all__ = ["COMMAND", "ECHO", "CommandSubject", "Handler", "Subject", "needs_torch", "subject_of"]


def needs_torch(name: str) -> bool:
    """Whether ranks of this subject import torch."""
    return name not in (ECHO, COMMAND)


def subject_of(plan: Plan, rank: int) -> Subject:
    """The subject of a rank of a plan; `prepare` finds out whether torch knows the backend."""
    if plan.subject == ECHO:
        return EchoSubject()
    if plan.subject == COMMAND:
        return CommandSubject(plan.argv_of(rank))
    return RendezvousSubject(plan.subject)
