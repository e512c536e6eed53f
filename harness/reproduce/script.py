"""The text of a script: what it shows, in words; the definitions that it needs; and the scene that it plays."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from harness.reproduce import faults as faults_written
from harness.reproduce import roles, written
from harness.reproduce.claims import expectation, expected, unjudged
from harness.reproduce.compose import composed
from harness.reproduce.limits import missing, undecidable
from harness.reproduce.written import literal
from harness.scenario.moment import AllMoments, TimeMoment
from harness.scenario.scenario import Known, Scenario
from harness.values.errors import UsageError

WIDTH = 120


@dataclass(frozen=True)
class Seen:
    """How the script behaved when it was run.

    Attributes:
        failed, of: how many of the runs failed as found.
        where: torch, Python and system, as the script prints them.
        broken: what the first of them said of the broken claims.
    """

    failed: int
    of: int
    where: str = ""
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """A script to be written.

    Attributes:
        breaks: the claims and checks that break; empty if any may.
        because: why, in one sentence; empty if it is not known.
    """

    scenario: Scenario
    breaks: tuple[str, ...] = ()
    because: str = ""

    def text(self, seen: Seen | None = None) -> str:
        """The whole script; with `seen` its header says how often it failed."""
        played = _played(self.scenario, self.breaks)
        imports, definitions = composed(["main", *_used(self.scenario, played)])
        head = f'#!/usr/bin/env python3\nr"""{_header(self, seen)}"""\n\nfrom __future__ import annotations'
        faults = "faults()" if self.scenario.faults else "list[Any]()"
        end = f'PROCESSES, FAULTS = processes(), {faults}\n\nif __name__ == "__main__":\n    sys.exit(main())'
        rule = "# -- what plays it " + "-" * 100
        return f"{head}\n\n{imports}\n\n{played}\n\n\n{rule}\n\n\n{definitions}\n\n\n{end}\n"


def script(scenario: Scenario, subject: str, breaks: Sequence[str], because: str = "") -> Script:
    """The script of a scenario.

    Args:
        breaks: the claims and checks that break; those that a script cannot judge are left out if any other is there.

    Raises UsageError that names everything that a script cannot do.
    """
    lacks = [*missing(scenario, subject), *undecidable(scenario, tuple(breaks))]
    if lacks:
        raise UsageError(
            f"{scenario.id}: no script can be written, because it would need {'; '.join(lacks)}; "
            "reproduce it with `rdzv-harness run`"
        )
    return Script(scenario, tuple(name for name in breaks if not unjudged(scenario, name)), because)


def known_entry(scenario: Scenario, subject: str) -> Known | None:
    """The first known failure of a subject in this cell, whatever torch it is for."""
    cell = dict(scenario.cell)
    fits = (entry for entry in scenario.known if entry.subject == subject)
    return next((one for one in fits if all(cell.get(path) in labels for path, labels in one.cells.items())), None)


# -- what is played ----------------------------------------------------------------------------------------------------


def _played(scenario: Scenario, breaks: tuple[str, ...]) -> str:
    """The functions of the ranks, the processes, the faults and the claims: all that is particular to this script."""
    functions, processes = roles.written(scenario)
    faults = [line for fault in scenario.faults for line in faults_written.fault(scenario, fault)]
    claims = [line for claim in expected(scenario, breaks) for line in written.broken_up(f"{claim},")]
    links = roles.linked(scenario)
    return "\n\n\n".join(
        [
            "\n".join([*_limits(scenario), f"FOUND = {literal(breaks)}  # the claims that break; any if empty"])
            + (f"\nLINKS = {literal(links)}  # by rank that has a proxy, the host of the master" if links else ""),
            *functions,
            _function("processes() -> list[Process]", "[", processes),
            *([_function("faults() -> list[Any]", "[", faults)] if faults else []),
            _function("expect() -> dict[str, str]", "{", claims, "By claim, what is not as claimed."),
        ]
    )


def _used(scenario: Scenario, played: str) -> set[str]:
    """The names that the script's own part uses, with those that the play takes for a proxy and for messages."""
    names = {node.id for node in ast.walk(ast.parse(played)) if isinstance(node, ast.Name)}
    decoded = written.wire_moments(scenario) or names & faults_written.MESSAGE_CLASSES
    return names | ({"Link"} if roles.linked(scenario) else set()) | ({"Messages"} if decoded else set())


def _limits(scenario: Scenario) -> list[str]:
    """How long a call may take, and how long nothing may happen while something may still come."""
    sleeps = [step.arguments["for"] for step in scenario.steps if step.do == "sleep"]
    limit_ns = max(spec.guard_ns for spec in scenario.world.ranks) + max(sleeps, default=0)
    ahead = [
        one.offset_ns if isinstance(one, TimeMoment) else one.plus_ns
        for one in written.moments(scenario)
        if not isinstance(one, AllMoments)
    ]
    quiet_s = 1 + max(map(written.seconds, ahead), default=0)
    return [
        f"LIMIT = {literal(written.seconds(limit_ns))}  # seconds; a call that takes longer hangs",
        f"QUIET = {literal(quiet_s)}  # if nothing runs or happens for so long, nothing more will",
    ]


def _function(head: str, opening: str, lines: Sequence[str], meaning: str = "") -> str:
    docstring = [f'    """{meaning}"""'] if meaning else []
    closing = {"[": "]", "{": "}"}[opening]
    inside = [f"        {line}" for line in lines]
    if len(lines) == 1 and len(lines[0]) < WIDTH - 20:
        one = f"    return {opening}{lines[0].rstrip(',')}{closing}"
        return "\n".join([f"def {head}:", *docstring, one])
    body = [f"    return {opening}", *inside, f"    {closing}"] if inside else [f"    return {opening}{closing}"]
    return "\n".join([f"def {head}:", *docstring, *body])


# -- the header --------------------------------------------------------------------------------------------------------


def _header(of: Script, seen: Seen | None) -> str:
    scenario = of.scenario
    broken = f"Broken: {', '.join(of.breaks)}" if of.breaks else "Broken: at least one of the claims"
    paragraphs = [
        f"{scenario.title}.",
        _wrapped(f"Expected (`expect` below, with each claim's name): {expectation(scenario, of.breaks)}."),
        _wrapped(f"What happens: {of.because}. {broken}." if of.because else f"{broken}."),
        _seen(seen),
        _wrapped(
            "What the ranks do, what goes wrong and what is expected comes first; below it is what plays it. Run it "
            "with an interpreter that has torch (2.6 or later). Exit status 1: it fails as described; 0: all claims "
            "hold; 2: it cannot tell."
        ),
        _wrapped(f"Written by `rdzv-harness reproduce` from the scenario {scenario.id}."),
    ]
    text = "\n\n".join(one for one in paragraphs if one)
    return text.replace('"""', "'''") + "\n"


def _seen(seen: Seen | None) -> str:
    if seen is None:
        return "It has not been run yet."
    lines = [f"It failed as described in {seen.failed} of {seen.of} runs ({seen.where or 'torch unknown'}):"]
    return "\n".join([*lines, *(f"    {line}" for one in seen.broken for line in textwrap.wrap(one, WIDTH - 8))])


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH - 4))
