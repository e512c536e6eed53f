"""The workload: steps as values, their moments left open, since those may refer to later steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.loader.keys.entries import CellKeys, Entry
from harness.loader.keys.members import attributes_of, counts_itself
from harness.loader.keys.scope import MAIN
from harness.loader.tree.limits import MOST_CALLS, MOST_TURNS
from harness.loader.tree.problems import Reporter
from harness.rank.steps import STEPS
from harness.scenario.scenario import EXIT, Step


def read_steps(cell: CellKeys, report: Reporter) -> tuple[Step, ...]:
    """The sound steps, in the order of the file."""
    return tuple(_read_step(entry, cell, report) for entry in cell.steps)


def _read_step(entry: Entry, cell: CellKeys, report: Reporter) -> Step:
    keys, member = entry.keys, STEPS[entry.kind]
    if entry.raw_name == EXIT:
        hint = "add an id, for example `id: leave`"
        report((*entry.location, "do"), "a written `exit` needs an id: the implicit last step has that name", hint)
    arguments = attributes_of(keys, member.declaration)
    report_member_problems(entry, member.problems(arguments), report)
    step = Step(
        name=cell.scope.at(entry.location).name,
        do=entry.kind,
        ranks=cell.scope.ranks("all") if keys.ranks is None else keys.ranks,
        arguments=arguments,
        handler=keys.handler or MAIN,
        thread=keys.thread or MAIN,
        life=keys.life,
        times=(arguments["calls"] if counts_itself(member.declaration) else keys.times) or 1,
        line=entry.line,
    )
    if not cell.scope.builds(step.handler):
        report((*entry.location, "handler"), *cell.scope.no_handler(step.handler))
    return step


def turns_of(size: int, steps: Iterable[Step]) -> int:
    """How many ranks there are, and ranks of steps: what grows with both."""
    return size + sum(len(step.ranks) for step in steps)


def are_too_many(size: int, steps: Sequence[Step], report: Reporter) -> bool:
    """Whether the ranks of a cell have more to do than a play can hold, which is reported."""
    calls = sum(step.times * len(step.ranks) for step in steps)
    if turns_of(size, steps) > MOST_TURNS:
        message = f"{len(steps)} steps in a world of {size} ranks are too much"
        report(("workload",), message, f"write fewer: ranks times steps may be {MOST_TURNS}")
    elif calls > MOST_CALLS:
        report(("workload",), f"the steps make {calls} calls", f"write fewer: one play has at most {MOST_CALLS}")
    else:
        return False
    return True


def report_member_problems(entry: Entry, problems: Iterable[str], report: Reporter) -> None:
    """Report what a member says about attributes that fit one by one but not together."""
    for problem in problems:
        message, _, hint = problem.partition("; ")
        report(entry.location, message, hint)
