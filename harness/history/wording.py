"""What a call did, worded for a sentence that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from harness.scenario.scenario import EXIT
from harness.values.history import Call, History
from harness.values.quantity import format_ns


def describe_call(call: Call) -> str:
    """`rank 2's join`, with its thread, life and call number where these are not the first."""
    marks = [
        *([f"thread {call.thread}"] if call.thread != "main" else []),
        *([f"life {call.life}"] if call.life != 1 else []),
        *([f"call {call.number}"] if call.number != 1 else []),
    ]
    return f"rank {call.rank}'s {call.step}" + (f" ({', '.join(marks)})" if marks else "")


def describe_end(call: Call) -> str:
    """`returned after 5.03 s`, `raised DistNetworkError after 20 ms`, `was skipped (its rank never started)`, ..."""
    if call.outcome == "skipped":
        because = call.end_facts.get("because")
        return f"was skipped ({because})" if because else "was skipped"
    if call.outcome == "running":
        return "had not ended by the end of the history"
    return _describe_exit(call) if call.step == EXIT else f"{outcome_phrase(call)}{_after(call)}"


def outcome_phrase(call: Call) -> str:
    """How a call ended, without the time: `returned`, `raised DistNetworkError`, `died`, `hung`, ..."""
    if call.outcome == "failed":
        return f"raised {call.error.kind}" if call.error is not None else "raised"
    return {"ok": "returned", "died": "died", "hung": "hung", "skipped": "was skipped"}.get(
        call.outcome, "had not ended"
    )


def _after(call: Call) -> str:
    return "" if call.elapsed_ns is None else f" after {format_ns(call.elapsed_ns)}"


def _describe_exit(call: Call) -> str:
    facts = call.end_facts
    if "signal" in facts:
        by = facts.get("by")
        return f"was ended by signal {facts['signal']}" + (f" ({by})" if by else "")
    return f"ended with status {facts['status']}" if "status" in facts else outcome_phrase(call)


def stacks_of(history: History, call: Call) -> str:
    """The file with the stacks of a process that its guard ended, relative to the run directory; empty if none."""
    ends = [end for end in history.calls_of(EXIT) if (end.rank, end.life) == (call.rank, call.life)]
    return next((str(stacks) for each in (call, *ends) if (stacks := each.end_facts.get("stacks"))), "")


def with_stacks(history: History, call: Call, sentence: str) -> str:
    """The sentence; where the call hung and has stacks, with the file they are in."""
    stacks = stacks_of(history, call) if call.outcome == "hung" else ""
    return f"{sentence}; stacks: {stacks}" if stacks else sentence


def bounds(lower_ns: int | None, upper_ns: int) -> str:
    """`3.00 to 4.00 s`, or `at most 500 ms`."""
    if lower_ns is None:
        return f"at most {format_ns(upper_ns)}"
    low, high = format_ns(lower_ns), format_ns(upper_ns)
    unit = high.rsplit(" ", 1)[-1]
    return f"{low.removesuffix(f' {unit}')} to {high}"


def joined(texts: list[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {word} {texts[-1]}" if texts else ""


def ranks_named(ranks: Sequence[int]) -> str:
    """`rank 2`, `ranks 1 and 2`."""
    return f"{'rank' if len(ranks) == 1 else 'ranks'} {joined([str(rank) for rank in ranks])}"


def fault_named(name: str, kind: str) -> str:
    """`cut (blackhole)`; a fault without a name of its own has that of its kind."""
    return name if name == kind else f"{name} ({kind})"


def counted(count: int, one: str, several: str = "") -> str:
    """`1 call`, `2 calls`."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def and_n_more(count: int) -> str:
    """What follows the first of several findings: ` (and 2 more)`."""
    return f" (and {count - 1} more)" if count > 1 else ""
