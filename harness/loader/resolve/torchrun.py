"""What a workload must be where ranks are torchrun agents: one rendezvous, theirs, and no step on its handler."""

from __future__ import annotations

from collections.abc import Sequence

from harness.loader.keys.entries import Entry
from harness.loader.tree.problems import Reporter
from harness.rank.steps import STEPS
from harness.scenario.scenario import Step
from harness.values.plan import JOIN

_HANDLERS = "handler"


def check_torchrun(steps: Sequence[Step], entries: Sequence[Entry], size: int, report: Reporter) -> None:
    """Report what torchrun's agents and workers cannot do of these steps."""
    joins = [(step, entry) for step, entry in zip(steps, entries, strict=True) if step.do == JOIN]
    if not joins:
        hint = "begin the workload with `- {do: rendezvous}`"
        report(("world", "torchrun"), "the rendezvous of the agents has no step", hint)
    for _, entry in joins[1:]:
        hint = "take it out; each attempt of an agent is a call of the first one, in another life"
        report((*entry.location, "do"), "an agent has one rendezvous in each of its lives", hint)
    for step, entry in joins[:1]:
        _check_join(step, entry, steps.index(step), size, report)
    for step, entry in zip(steps, entries, strict=True):
        if STEPS[step.do].needs == _HANDLERS or (STEPS[step.do].configures_handler and step.do != JOIN):
            message = f"`{step.do}` needs the handler, which is the agent's; the steps here are its worker's"
            report((*entry.location, "do"), message, "take the step out, or take `world.torchrun` out")


def _check_join(step: Step, entry: Entry, index: int, size: int, report: Reporter) -> None:
    """The agents' rendezvous is what torchrun makes it: of all, first, and at once."""
    if index or len(step.ranks) < size:
        hint = "write it first, for all ranks; write `start` for a rank that comes late or never"
        report((*entry.location, "do"), "every rank is an agent, and its rendezvous comes before its worker", hint)
    for name, hint in (
        ("life", "take it out: it is in every life"),
        ("times", "take it out: an agent joins once in each life"),
        ("thread", "take it out: an agent has one thread"),
        ("handler", "take it out: an agent has one handler"),
        ("after", "say when an agent comes with `start`, under `world.ranks`"),
    ):
        if getattr(entry.keys, name, None) is not None:
            report((*entry.location, name), f"`{name}` is not for the rendezvous of an agent", hint, key=True)
