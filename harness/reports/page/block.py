"""Everything that the page shows of one run, as one value that JSON takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.judge.result import Result
from harness.machine.regular import NotReadable, read_regular
from harness.reports.page.picture import Picture
from harness.reports.page.strings import Strings
from harness.reports.parts import facts, waits
from harness.reports.parts.stacks import stacks_of
from harness.scenario.scenario import Scenario, StepClaim
from harness.values.printable import printable, printable_lines
from harness.values.verdict import Verdict

VERSION = 1
LOG_TAIL_BYTES = 4096
MOST_LOG_BYTES = 1 << 24
LONGEST_YAML = 1 << 16
LONGEST_SENTENCE = 4000
"""Longer texts are cut: one that a rank made may have a megabyte."""
_LOGS = "logs"


def of_result(result: Result) -> dict[str, Any]:
    """The block of a run that was played; see docs/html-report.md for its keys."""
    strings = Strings()
    picture = Picture.of(result.scenario, result.history, strings)
    return {
        "v": VERSION,
        **picture.to_json(),
        "deadlines": list(_deadlines(result, picture)),
        "verdicts": [_verdict(verdict) for verdict in result.judgement.verdicts],
        "waits": _waits(result),
        "yaml": printable_lines(result.scenario.text[:LONGEST_YAML]),
        "lines": _lines(result.scenario),
        "stacks": [
            _stack(stack.path, stack.lines, result.run_dir) for stack in stacks_of(result.history, result.run_dir)
        ],
        "logs": list(_log_tails(result.run_dir)),
        "notes": [_cut(note) for note in result.judgement.notes],
        "about": _about(result),
        "strings": strings.texts,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": _cut(verdict.name),
        "status": verdict.status,
        "line": verdict.line,
        "because": _cut(verdict.because),
        "expected": _cut(verdict.expected),
        "happened": _cut(verdict.happened),
        "evidence": list(verdict.evidence),
    }


def _deadlines(result: Result, picture: Picture) -> Iterator[dict[str, Any]]:
    """Until when each call had to end that broke a claim about its time."""
    claims = {claim.name: claim for claim in result.scenario.expect if isinstance(claim, StepClaim)}
    for verdict in result.judgement.broken:
        claim = claims.get(verdict.name)
        if claim is None or claim.within is None or claim.since is not None:
            continue
        for call in result.history.calls:
            if (
                call.begun_ns is not None
                and call.step in claim.steps
                and not {*call.evidence}.isdisjoint(verdict.evidence)
            ):
                at = picture.axis.at(call.begun_ns + claim.within[1])
                yield {"claim": printable(claim.name), "op": call.evidence[0], "at": at}


def _waits(result: Result) -> dict[str, Any]:
    found = waits.of(result).to_json()
    edges = [{**edge, "key": printable(edge["key"] or ""), "text": _cut(edge["text"])} for edge in found["edges"]]
    return {**found, "sentence": _cut(found["sentence"]), "edges": edges}


def _lines(scenario: Scenario) -> dict[str, dict[str, int]]:
    """Where the file has each step, fault and claim."""
    return {
        "steps": {printable(step.name): step.line for step in scenario.steps if step.line},
        "faults": {printable(fault.name): fault.line for fault in scenario.faults if fault.line},
        "claims": {printable(claim.name): claim.line for claim in scenario.expect if claim.line},
    }


def _stack(path: Path, lines: tuple[str, ...], run_dir: Path | None) -> dict[str, Any]:
    inside = run_dir is not None and path.is_relative_to(run_dir)
    return {"path": printable(str(path.relative_to(run_dir) if run_dir and inside else path)), "lines": list(lines)}


def _log_tails(run_dir: Path | None) -> Iterator[dict[str, Any]]:
    """The end of each log that has something."""
    for path in _files_of(run_dir / _LOGS) if run_dir is not None else ():
        try:
            content = read_regular(path, MOST_LOG_BYTES)
        except (OSError, NotReadable) as error:
            yield {"name": printable(path.name), "tail": printable(f"not readable: {error}"), "cut": 0}
            continue
        if content.strip():
            tail = content[-LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
            yield {
                "name": printable(path.name),
                "tail": printable_lines(tail),
                "cut": max(0, len(content) - LOG_TAIL_BYTES),
            }


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*"))
    except (OSError, ValueError):  # no folder can have this name
        return []


def _about(result: Result) -> list[list[str]]:
    """Label and text of where and with what the run was played."""
    found = [[label, text] for label, text in facts.headline([facts.about(result)])]
    found += [["seed", str(result.seed)], ["attempt", str(result.attempt)], ["lasted", f"{result.seconds:.2f} s"]]
    found += [["", line] for line in facts.origin_lines(result)]
    return [*found, ["run directory", _cut(str(result.run_dir))]] if result.run_dir is not None else found


def _cut(text: str) -> str:
    return printable_lines(text[:LONGEST_SENTENCE] + ("…" if len(text) > LONGEST_SENTENCE else ""))
