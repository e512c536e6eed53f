"""What is said once for a whole run: what was tested, where, and how many results have which status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from harness.judge.result import Result
from harness.reports.parts.safe import one_line
from harness.values.history import History
from harness.values.json import whole
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS

RED = (FAILED, ERROR, VACUOUS)

# The order of the summary; the short word is what a table has room for.
SHORT = {PASSED: "passed", KNOWN: "known", FAILED: "failed", VACUOUS: "vacuous", ERROR: "error", SKIPPED: "skipped"}


@dataclass(frozen=True)
class About:
    """Where a run took place, as its first operation says; empty texts where it does not say."""

    subject: str
    torch: str
    python: str
    proxy: str
    isolation: str


ABOUT = tuple(field.name for field in fields(About))


def about(result: Result) -> About:
    """Where one result comes from."""
    begin = result.history.begin
    versions, world = _mapping(begin, "versions"), _mapping(begin, "world")
    return About(
        subject=str(begin.get("subject") or result.subject),
        torch=str(versions.get("torch") or ""),
        python=str(versions.get("python") or ""),
        proxy=str(begin.get("proxy") or ""),
        isolation=str(world.get("isolation") or ""),
    )


def origin(result: Result) -> dict[str, Any]:
    """When and on which machine a result was played, and the id of the play; None for what is not known."""
    stored = result.origin
    return {name: stored.get(name) for name in ("started_at", "machine", "play")}


def origin_lines(result: Result) -> list[str]:
    """What a person asks of one run later: when and where it was, and whether the wire was recorded."""
    stored = result.origin
    where = _machine(_mapping(stored, "machine"))
    parts = [("play", str(stored.get("play") or "")), ("started", str(stored.get("started_at") or "")), ("on", where)]
    line = "   ".join(f"{label} {text}" for label, text in parts if text)
    return [one_line(text) for text in (line, wire(result.history)) if text]


def _machine(machine: Mapping[str, Any]) -> str:
    memory = whole(machine.get("memory_bytes"))
    parts = [
        f"Linux {machine['kernel']}" if machine.get("kernel") else "",
        f"{machine['cores']} cores" if machine.get("cores") else "",
        f"{memory / 1e9:.1f} GB" if memory else "",
        str(machine.get("libc") or ""),
        f"Python {machine['python']}" if machine.get("python") else "",
        "in a container" if machine.get("in_container") is True else "",
    ]
    return ", ".join(part for part in parts if part)


def wire(history: History) -> str:
    """How many messages a history has of the wire, or why it has none; empty if it does not say."""
    if history.wire is not None:
        messages, dropped, undecoded = len(history.wire.messages), history.wire.dropped, history.wire.undecoded
        missing = f", {dropped} older ones are missing" if dropped else ""
        others = f", {undecoded} connections were not decoded to their end" if undecoded else ""
        return f"wire {messages} messages{missing}{others}"
    because = history.begin.get("no_wire")
    return f"wire not recorded: {because}" if because else ""


def _mapping(begin: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = begin.get(key)
    return value if isinstance(value, Mapping) else {}


def headline(everywhere: Iterable[About]) -> list[tuple[str, str]]:
    """Label and text of what a report names once at its top; different values are all named."""
    seen = list(everywhere)
    rows = [
        ("subject", _together(row.subject for row in seen)),
        ("torch", _together(row.torch for row in seen)),
        ("proxy", _together(row.proxy for row in seen)),
        ("isolation", _together(row.isolation for row in seen)),
    ]
    return [(label, text) for label, text in rows if text]


def _together(texts: Iterable[str]) -> str:
    return one_line("; ".join(dict.fromkeys(text for text in texts if text)))


def counts(statuses: Iterable[str]) -> dict[str, int]:
    """How many ended in each status, by its short word, zeros included: silence is never the signal."""
    found = Counter(statuses)
    return {short: found[status] for status, short in SHORT.items()}


def summary(results: Sequence[Result], seconds: float | None = None) -> str:
    """`3 cells: 1 passed, 0 known, 1 failed, ...`; with repetitions, runs are counted."""
    what = "runs" if any(result.attempt > 1 for result in results) else "cells"
    what = what if len(results) != 1 else what[:-1]
    numbers = ", ".join(f"{number} {short}" for short, number in counts(result.status for result in results).items())
    wall = "" if seconds is None else f" in {seconds:.1f} s"
    return f"{len(results)} {what}: {numbers}{wall}"


def disturbed(results: Iterable[Result]) -> list[str]:
    """A line for each result that needed more than one play because something disturbed the others."""
    return [played_again(result.scenario.id, result.disturbed) for result in results if result.disturbed]


def played_again(cell: str, disturbed: Iterable[str]) -> str:
    """That line, by the id of the cell and what disturbed its earlier plays."""
    return one_line(f"played again: {cell}: {'; '.join(disturbed)}")


def why(result: Result) -> str:
    """Why this status, in a few words; empty for what passed."""
    if result.status == PASSED:
        return ""
    if result.status == KNOWN and result.judgement.known_refs:
        return one_line(", ".join(result.judgement.known_refs))
    return one_line(result.judgement.because)
