"""The text of a script: what it shows, in words; the definitions that it needs; and the scene that it plays."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.reproduce import written
from harness.reproduce.claims import expected, unjudged
from harness.reproduce.compose import composed
from harness.reproduce.limits import missing, undecidable
from harness.scenario.moment import START, Moment, WireMoment, parts
from harness.scenario.scenario import Known, Scenario
from harness.values.errors import UsageError

WIDTH = 120
_WORD = re.compile(r"""(?:"(?:[^"\\\\]|\\\\.)*"|'(?:[^'\\\\]|\\\\.)*'|\S)+""")
"""What is not broken: texts as Python writes them, and what stands beside them without a space."""


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
        scene = _scene(self.scenario, self.breaks)
        imports, definitions = composed(["main", *re.findall(r"[A-Za-z_]+", scene)])
        head = f'#!/usr/bin/env python3\nr"""{_header(self, seen)}"""\n\nfrom __future__ import annotations'
        end = 'if __name__ == "__main__":\n    sys.exit(main(SCENE))'
        return f"{head}\n\n{imports}\n\n\n{definitions}\n\n\n{scene}\n\n{end}\n"


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


# -- the scene ---------------------------------------------------------------------------------------------------------


def _scene(scenario: Scenario, breaks: tuple[str, ...]) -> str:
    """`SCENE = Scene(...)`: what is played, as the definitions take it."""
    world = scenario.world
    common = {"run_id": world.run_id, "world_size": _common_size(scenario), "timeout": world.timeout_ns // 10**9}
    differ = _differing(scenario, common)
    sleeps = [step.arguments["for"] for step in scenario.steps if step.do == "sleep"]
    guard_ns = max(spec.guard_ns for spec in world.ranks) + max(sleeps, default=0)
    timeouts = {step.name: _timeout(scenario, step.handler, step.ranks[0]) for step in scenario.steps}
    rows: list[tuple[str, Any]] = [
        ("size", str(world.size)),
        ("handler", written.literal(common)),
        ("steps", [written.step(step, timeouts[step.name]) for step in scenario.steps]),
        ("faults", [written.fault(fault) for fault in scenario.faults]),
        ("expect", expected(scenario, breaks)),
        ("found", written.literal(breaks)),
        ("guard", written.literal(written.seconds(guard_ns))),
        ("handlers", [f"{written.literal(key)}: {written.literal(one)}" for key, one in differ.items()]),
        ("start", written_starts(scenario)),
        ("env", [f"{n}: {written.literal(dict(one.env))}" for n, one in enumerate(world.ranks) if one.env]),
        ("links", _links(scenario)),
        ("lives", _lives(scenario)),
    ]
    lines = [line for name, value in rows if value for line in _row(name, value)]
    return "\n".join(["SCENE = Scene(", *(f"    {line}" for line in lines), ")"])


def _row(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return _broken_up(f"{name}={value},")
    opening, closing = ("{", "}") if name in ("expect", "handlers", "start", "env") else ("[", "]")
    return [f"{name}={opening}", *(f"    {line}" for one in value for line in _broken_up(f"{one},")), f"{closing},"]


def _broken_up(line: str) -> list[str]:
    """A line, or several where it is too long: broken at the spaces outside of texts."""
    lines: list[str] = []
    for word in _WORD.findall(line):
        if lines and len(lines[-1]) + len(word) < WIDTH - 8:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}" if lines else word)
    return lines


def _common_size(scenario: Scenario) -> int:
    sizes = [config.world_size for spec in scenario.world.ranks for config in spec.handlers.values()]
    return max(sizes, key=sizes.count, default=scenario.world.size)


def _differing(scenario: Scenario, common: dict[str, Any]) -> dict[tuple[int, str], dict[str, Any]]:
    """By rank and handler, what differs from the common configuration."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for rank, spec in enumerate(scenario.world.ranks):
        for name, config in spec.handlers.items():
            own: dict[str, Any] = {"rank": config.rank, "run_id": config.run_id, "world_size": config.world_size}
            own |= {"timeout": config.timeout_ns // 10**9, "host": config.host, "port": config.port, **config.config}
            usual = {"rank": rank, "host": None, "port": None, **common}
            differs = {key: value for key, value in own.items() if value != usual.get(key)}
            if differs:
                found[rank, name] = differs
    return found


def _timeout(scenario: Scenario, handler: str, rank: int) -> float:
    handlers = scenario.world.ranks[rank].handlers
    return written.seconds(handlers[handler].timeout_ns if handler in handlers else scenario.world.timeout_ns)


def written_starts(scenario: Scenario) -> list[str]:
    """The ranks that do not begin at once."""
    starts = [(rank, spec.start) for rank, spec in enumerate(scenario.world.ranks) if spec.start != START]
    return [f"{rank}: {'None' if start is None else written.moment(start)}" for rank, start in starts]


def _links(scenario: Scenario) -> str:
    """The proxies: those of the ranks whose link a fault or a moment names; a codec where messages matter."""
    ranks = {
        rank for fault in scenario.faults if written.class_of(fault) in written.LINK_CLASSES for rank in fault.ranks
    }
    waited = [one for moment in _moments(scenario) for one in parts(moment) if isinstance(one, WireMoment)]
    for one in waited:
        ranks |= set(one.ranks or range(scenario.world.size))
    linked = [rank for rank in sorted(ranks) if any(c.rank != 0 for c in scenario.world.ranks[rank].handlers.values())]
    if not linked:
        return ""
    decoded = waited or any(written.class_of(fault) in written.MESSAGE_CLASSES for fault in scenario.faults)
    host = (
        "::1" if any(c.host == "::1" for spec in scenario.world.ranks for c in spec.handlers.values()) else "127.0.0.1"
    )
    target, codec = f'("{host}", play.port)', "Messages" if decoded else "None"
    each = ", ".join(map(str, linked))
    return (
        f"lambda play: {{rank: Link(rank, {target}, {codec}{', play.events' if waited else ''}) for rank in ({each},)}}"
    )


def _moments(scenario: Scenario) -> list[Moment]:
    named = [step.after for step in scenario.steps] + [spec.start for spec in scenario.world.ranks]
    named += [moment for fault in scenario.faults for moment in (fault.after, fault.until)]
    return [moment for moment in named if moment is not None]


def _lives(scenario: Scenario) -> str:
    kills = [fault for fault in scenario.faults if fault.restarts_ranks and fault.until is not None]
    lives = {rank: 1 + sum(rank in fault.ranks for fault in kills) for fault in kills for rank in fault.ranks}
    return written.literal(lives) if lives else ""


# -- the header --------------------------------------------------------------------------------------------------------


def _header(of: Script, seen: Seen | None) -> str:
    scenario = of.scenario
    broken = f"Broken: {', '.join(of.breaks)}" if of.breaks else "Broken: at least one of the claims"
    paragraphs = [
        f"{scenario.title}.",
        _table(scenario),
        _wrapped(
            f"Expected (`expect` below, with each claim's name): {scenario.title[:1].lower()}{scenario.title[1:]}."
        ),
        _wrapped(f"What happens: {of.because}. {broken}." if of.because else f"{broken}."),
        _seen(seen),
        _wrapped(
            "What is played stands at the end, as SCENE; the rest plays it. Run it with an interpreter that has torch "
            "(2.6 or later). Exit status 1: it fails as described; 0: all claims hold; 2: it cannot tell."
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


def _table(scenario: Scenario) -> str:
    """Who does what and when, a line for each step and fault."""
    rows = [("who", "name", "what", "when")]
    for step in scenario.steps:
        who = "rank " + ", ".join(map(str, step.ranks)) if len(step.ranks) < scenario.world.size else "all ranks"
        keys = step.arguments.get("keys") or step.arguments.get("values") or [step.arguments.get("key") or ""]
        what = f"{step.do} {', '.join(keys)}".strip()
        handler = "" if step.handler == "main" else f" ({step.handler})"
        rows.append((who, step.name, what + handler, "" if step.after is None else f"after {step.after}"))
    for fault in scenario.faults:
        whom = "" if not fault.ranks else " of rank " + ", ".join(map(str, fault.ranks))
        when = "from the start" if fault.after == START else f"after {fault.after}"
        until = "" if fault.until is None else f", until {fault.until}"
        rows.append(("fault", fault.name, fault.kind + whom, when + until))
    for rank, spec in enumerate(scenario.world.ranks):
        if spec.start != START:
            rows.append((f"rank {rank}", "", "starts", "never" if spec.start is None else f"after {spec.start}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "    " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
