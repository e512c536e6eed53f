"""Everything one red result has to say: the claim, both sides, the proof, the stacks, and how to play just this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import dedent

from harness.checkers.base import CHECKERS, standing_invariants
from harness.history.wording import fault_named
from harness.judge.result import Result
from harness.reports.parts import logs, waits
from harness.reports.parts.operations import describe, since_start
from harness.reports.parts.safe import LONGEST_COMMAND, one_line, short_json, some_lines
from harness.reports.parts.stacks import stacks_of
from harness.values.history import History, Injection
from harness.values.verdict import ERROR, FAILED, VACUOUS, Verdict

# For more proof than this there are `show` and history.jsonl.
EVIDENCE_SHOWN = 12
# `rank 255 life 2 thread T2` has 25; every line of the proof is as wide as the widest.
NAME_WIDTH = 40
CLAIM_LINES_SHOWN = 6
# A job under torchrun has an agent and a worker for each rank; a large world has hundreds that hang alike.
STACKS_SHOWN = 8
LABEL_WIDTH = 10
# Where the text of each line of a block begins.
TEXT_START = LABEL_WIDTH + 3
# Sections of one line that people copy.
COPIED = ("run", "again")
_SEVERITY = {FAILED: 0, ERROR: 1, VACUOUS: 2}


@dataclass(frozen=True)
class Section:
    """A label and the lines that stand beside it."""

    label: str
    lines: tuple[str, ...]


def text(result: Result) -> str:
    """The whole block as plain text, every line but the first indented."""
    return "\n".join([title(result), *body(result)])


def title(result: Result) -> str:
    """`FAILED  timeouts/a-link.rdzv.yaml[cut=1B]  2.31 s`, with the attempt where there were several."""
    cell = f"[{result.scenario.cell_id}]" if result.scenario.cell else ""
    attempt = f"  run {result.attempt}" if result.attempt > 1 else ""
    return one_line(f"{result.status.upper()}  {result.scenario.path}{cell}{attempt}  {result.seconds:.2f} s")


def body(result: Result) -> list[str]:
    """The lines below the title."""
    return [line for section in sections(result) for line in _laid_out(section)]


def _laid_out(section: Section) -> Iterator[str]:
    for number, line in enumerate(section.lines):
        label = section.label if number == 0 else ""
        yield f"  {label:{LABEL_WIDTH}} {line}".rstrip()


def sections(result: Result) -> Iterator[Section]:
    """The parts of the block in the order in which a person asks for them."""
    yield Section("title", (one_line(result.scenario.title),))
    yield Section("because", (one_line(result.judgement.because),))
    for verdict in sorted(result.judgement.broken, key=lambda verdict: _SEVERITY.get(verdict.status, 9)):
        yield from _of_verdict(result, verdict)
    waited = waits.about_the_verdict(result)
    if waited and waited not in result.judgement.because:
        yield Section("waits", (one_line(waited),))
    yield from _faults(result.history)
    yield from _stacks(result)
    yield from (Section("log", lines) for lines in logs.blocks(result))
    said = waits.of(result).sentence
    yield from (Section("note", (one_line(note),)) for note in result.judgement.notes if note != said)
    if result.run_dir is not None:
        yield Section("run", (one_line(str(result.run_dir)),))
    if result.command:
        yield Section("again", (one_line(result.command, LONGEST_COMMAND),))


def _stacks(result: Result) -> Iterator[Section]:
    found = stacks_of(result.history, result.run_dir)
    for stack in found[:STACKS_SHOWN]:
        yield Section("stacks", (one_line(str(stack.path)), *(f"  {line}" for line in stack.lines)))
    if len(found) > STACKS_SHOWN:
        yield Section("stacks", (f"… of {len(found) - STACKS_SHOWN} more processes, in the same folder",))


def _of_verdict(result: Result, verdict: Verdict) -> Iterator[Section]:
    name = one_line(f"{verdict.name}: {verdict.status}   {_place(result, verdict)}".rstrip())
    yield Section("claim", (name, *_claim_text(result, verdict)))
    if verdict.expected:
        yield Section("expected", some_lines(verdict.expected))
    if verdict.happened:
        yield Section("happened", some_lines(verdict.happened))
    if verdict.because and verdict.because not in result.judgement.because:
        yield Section("why", some_lines(verdict.because))
    proof = tuple(evidence(result.history, verdict.evidence))
    if proof:
        yield Section("proof", proof)


def _place(result: Result, verdict: Verdict) -> str:
    if verdict.line:
        return f"{result.scenario.path}:{verdict.line}"
    return "standing invariant" if verdict.name in standing_invariants() else ""


def _claim_text(result: Result, verdict: Verdict) -> tuple[str, ...]:
    """The claim as it stands in the file; of a standing invariant what it says."""
    if not verdict.line:
        return (CHECKERS[verdict.name].declaration.summary,) if verdict.name in CHECKERS else ()
    claims = [claim for claim in result.scenario.expect if claim.line == verdict.line or claim.name == verdict.name]
    written = next((claim.text for claim in claims if claim.text), "")
    file = result.scenario.text.splitlines()
    shown = "\n".join(written.splitlines()[:CLAIM_LINES_SHOWN])
    lines = dedent(shown).splitlines() or [line.strip() for line in file[verdict.line - 1 : verdict.line]]
    return tuple(one_line(line.rstrip()) for line in lines[:CLAIM_LINES_SHOWN])


def evidence(history: History, indexes: Sequence[int]) -> Iterator[str]:
    """The operations that prove a verdict, one line each; what is left out is counted."""
    ops = [history.ops[index] for index in dict.fromkeys(sorted(indexes)) if 0 <= index < len(history.ops)]
    names = [one_line(str(op.process), NAME_WIDTH) for op in ops[:EVIDENCE_SHOWN]]
    width = max(map(len, names), default=0)
    for op, name in zip(ops, names, strict=False):
        yield f"{since_start(history, op.time_ns):>10}  {name:{width}}  {describe(op)}"
    if len(ops) > EVIDENCE_SHOWN:
        yield f"… {len(ops) - EVIDENCE_SHOWN} more operations; `rdzv-harness show` has them all"


def _faults(history: History) -> Iterator[Section]:
    for injection in history.injections:
        yield Section("fault", (_fault(history, injection),))


def _fault(history: History, injection: Injection) -> str:
    ranks = f" on rank {', '.join(map(str, injection.ranks))}" if injection.ranks else ""
    return one_line(f"{fault_named(injection.fault, injection.kind)}{ranks}: {_played(history, injection)}")


def _played(history: History, injection: Injection) -> str:
    if injection.injected_ns is None:
        return f"never in place{': ' + injection.failed if injection.failed else ''}"
    placed = f"in place {since_start(history, injection.injected_ns)}"
    if injection.healed_ns is None:
        return f"{placed}, never healed"
    touched = {True: "touched", False: "touched nothing", None: "unproven"}[injection.touched]
    facts = f" {short_json(dict(injection.facts), 120)}" if injection.facts else ""
    return f"{placed}, healed {since_start(history, injection.healed_ns)}, {touched}{facts}"
