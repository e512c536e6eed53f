"""From a judged play to what the explorer learns of it: pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from harness.explore.coda import CODA, of_coda
from harness.explore.draft import Draft
from harness.explore.observation import Observation, Signature
from harness.history.disturbances import Disturbances
from harness.history.joins import joins, window_of
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.scenario.moment import FaultMoment, StepMoment
from harness.scenario.scenario import AnyClaim, Claim, Scenario, StepClaim
from harness.values.history import History
from harness.values.verdict import ERROR, SKIPPED, VACUOUS, Judgement

Signatures = Callable[[Scenario, History, Judgement, Path | None], frozenset[Signature]]
Features = Callable[[Scenario, History], frozenset[str]]


def observe(draft: Draft, result: Result, signatures: Signatures, features: Features) -> Observation:
    """What one play of a draft has shown.

    Where a fault touched nothing, its claims are not judged, so a violation beside it would stay unseen. Then the same
    history is judged a second time, as one of the scenario without that fault.

    The claims of a coda are not judged where a call that makes a store, and that a fault has hit, still goes on beside
    it in a process of static-strict, which is a documented limit of it (docs/rendezvous.md).

    An `error` and a skipped play say nothing about the subject: they have neither signatures nor features.
    """
    seen = Observation(draft, result.status, seconds=result.seconds, seed=result.seed, run_dir=result.run_dir)
    if result.status in (ERROR, SKIPPED):
        return seen
    untouched = faults_without_effect(result)
    scenario, judgement = result.scenario, result.judgement
    if untouched:
        played = {one.fault for one in result.history.injections if one.injected_ns is not None}
        scenario = without_faults(scenario, untouched, frozenset(untouched) - played)
        judgement = judge(scenario, result.history)
    if _holds_up_coda(scenario, result.history):
        judgement = replace(judgement, verdicts=tuple(one for one in judgement.verdicts if not of_coda(one.name)))
    return replace(
        seen,
        untouched=untouched,
        signatures=_of_causes(signatures(scenario, result.history, judgement, result.run_dir)),
        features=features(result.scenario, result.history),
    )


def _holds_up_coda(scenario: Scenario, history: History) -> bool:
    coda = [join for join in joins(history) if join.handler == CODA]
    return bool(coda) and Disturbances(scenario, history).holds_up(coda, window_of(history, coda))


def _of_causes(found: frozenset[Signature]) -> frozenset[Signature]:
    """Without those of calls that were skipped, if there are others: what came before says why they were skipped."""
    return frozenset(one for one in found if one.outcome != "skipped") or found


def faults_without_effect(result: Result) -> tuple[str, ...]:
    """The faults that were not injected, or that touched nothing."""
    names = {fault.name for fault in result.scenario.faults}
    vacuous = [verdict.name for verdict in result.judgement.verdicts if verdict.status == VACUOUS]
    return tuple(name for name in vacuous if name in names)


def without_faults(scenario: Scenario, names: Collection[str], never: Collection[str] = ()) -> Scenario:
    """The scenario without these faults, and without the claims that they make meaningless.

    Those are the claims that count from one of them, and those about steps that wait for one that never came.

    Args:
        never: of these faults, those that were not injected.
    """
    waiting = _waiting_for(scenario, never)
    return replace(
        scenario,
        faults=tuple(fault for fault in scenario.faults if fault.name not in names),
        expect=tuple(one for one in scenario.expect if not _names(one, names, ()) and not _is_about(one, waiting)),
        known=(),
    )


def _waiting_for(scenario: Scenario, faults: Collection[str]) -> frozenset[str]:
    """The steps that do not begin without these faults: also those that wait for such a step, or stand behind it."""
    waiting: set[str] = set()
    before = -1
    while before < len(waiting):
        before = len(waiting)
        blocked: set[tuple[int, str]] = set()
        for step in scenario.steps:
            turns = {(rank, step.thread) for rank in step.ranks}
            stands_behind = step.after is None and turns & blocked
            if step.name in waiting or stands_behind or _names(step.after, faults, waiting):
                waiting.add(step.name)
                blocked |= turns
    return frozenset(waiting)


def _is_about(claim: Claim, steps: Collection[str]) -> bool:
    """Whether a claim is about one of these steps."""
    if isinstance(claim, AnyClaim):
        return any(_is_about(part, steps) for part in claim.claims)
    return isinstance(claim, StepClaim) and any(step in steps for step in claim.steps)


def torch_of(result: Result) -> str:
    """The ranks' version of torch; empty if it is not known."""
    versions = result.history.begin.get("versions") if len(result.history) else None
    return str(versions.get("torch") or "") if isinstance(versions, Mapping) else ""


def _names(value: Any, faults: Collection[str], steps: Collection[str]) -> bool:
    """Whether a moment of one of these faults or steps is in a claim or a moment."""
    if isinstance(value, FaultMoment):
        return value.fault in faults
    if isinstance(value, StepMoment):
        return value.step in steps
    if is_dataclass(value):
        return any(_names(getattr(value, one.name), faults, steps) for one in fields(value))
    if isinstance(value, Mapping):
        return any(_names(one, faults, steps) for one in value.values())
    return isinstance(value, list | tuple) and any(_names(one, faults, steps) for one in value)
