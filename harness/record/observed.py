"""From a judged play to what the record keeps of it: broken claims, and for each claim how its calls ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from harness.checkers.claims import named_calls
from harness.judge.result import Result
from harness.record.document import CONCLUSIVE, CallOutcome, ClaimOutcome, Outcome, Play
from harness.record.normal import normal
from harness.scenario.scenario import Claim
from harness.values.history import Call, History
from harness.values.verdict import FAILED, Verdict

KEY_DIGITS = 10
LONGEST_REASON = 200
LONGEST_MESSAGE = 500
"""Characters of a message that are kept; torch's longest first lines have about 300."""


def observed(result: Result, id: str) -> tuple[Play, Mapping[str, Outcome]]:
    """A play, and its outcomes by their keys; of a play that says nothing only why.

    Args:
        id: of the play, which samples are named after.
    """
    judgement = result.judgement
    if judgement.status not in CONCLUSIVE:
        return Play(status=judgement.status, because=judgement.because[:LONGEST_REASON]), {}  # type: ignore[arg-type]
    broken = {verdict.name: verdict for verdict in judgement.verdicts if verdict.status == FAILED}
    claims: dict[str, ClaimOutcome] = {}
    outcomes: dict[str, Outcome] = {}
    for name, calls in _calls(result, broken):
        ends = {_end(call): call for call in calls}
        ordered = sorted(ends, key=lambda end: (end.outcome, end.classes, end.message))
        key = _key(ordered)
        claims[name] = ClaimOutcome(of=key, seconds=_seconds(calls))
        sample = tuple(_raw(ends[end]) for end in ordered if end.message)
        outcomes[key] = Outcome(calls=tuple(ordered), sample=sample, play=id)
    play = Play(status=judgement.status, broken=tuple(sorted(broken)), claims=claims)  # type: ignore[arg-type]
    return play, outcomes


def _calls(result: Result, broken: Mapping[str, Verdict]) -> Iterator[tuple[str, Sequence[Call]]]:
    """Of each claim that names calls those, and of each broken check the calls that prove it."""
    found: dict[str, Sequence[Call]] = {}
    for claim in result.scenario.expect:
        found[claim.name] = _named(result, claim)
    for name, verdict in broken.items():
        found[name] = found.get(name) or _proving(result.history, verdict)
    yield from ((name, calls) for name, calls in found.items() if calls)


def _named(result: Result, claim: Claim) -> Sequence[Call]:
    calls = named_calls(result.scenario, result.history, claim)
    return list({id(call): call for call in calls if call.end is not None}.values())


def _proving(history: History, verdict: Verdict) -> Sequence[Call]:
    proof = set(verdict.evidence)
    return [call for call in history.calls if proof.intersection(call.evidence) and call.end is not None]


def _end(call: Call) -> CallOutcome:
    error = call.error
    if error is None:
        return CallOutcome(outcome=call.outcome)
    chain = (error.kind, *(cause.partition(":")[0] for cause in error.causes))
    return CallOutcome(outcome=call.outcome, classes=chain, message=normal(error.message)[:LONGEST_MESSAGE])


def _raw(call: Call) -> str:
    return "" if call.error is None else call.error.first_line[:LONGEST_MESSAGE]


def _seconds(calls: Sequence[Call]) -> float | None:
    took = [call.elapsed_ns for call in calls if call.outcome in ("failed", "hung") and call.elapsed_ns is not None]
    return round(max(took) / 1e9, 2) if took else None


def _key(ends: Sequence[CallOutcome]) -> str:
    text = json.dumps([[end.outcome, end.classes, end.message] for end in ends])
    return sha256(text.encode()).hexdigest()[:KEY_DIGITS]
