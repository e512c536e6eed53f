"""From a judged play to what the explorer learns of it: pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from harness.explore.draft import Draft
from harness.explore.observation import Observation, Signature
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.scenario.moment import FaultMoment
from harness.scenario.scenario import Claim, Scenario
from harness.values.history import History
from harness.values.verdict import ERROR, SKIPPED, VACUOUS, Judgement

Signatures = Callable[[Scenario, History, Judgement, Path | None], frozenset[Signature]]
Features = Callable[[Scenario, History], frozenset[str]]


def observe(draft: Draft, result: Result, signatures: Signatures, features: Features) -> Observation:
    """What one play of a draft has shown.

    Where a fault touched nothing, its claims are not judged, so a violation beside it would stay unseen. Then the same
    history is judged a second time, as one of the scenario without that fault.

    An `error` and a skipped play say nothing about the subject: they have neither signatures nor features.
    """
    seen = Observation(draft, result.status, seconds=result.seconds, seed=result.seed, run_dir=result.run_dir)
    if result.status in (ERROR, SKIPPED):
        return seen
    untouched = faults_without_effect(result)
    scenario, judgement = result.scenario, result.judgement
    if untouched:
        scenario = without_faults(scenario, untouched)
        judgement = judge(scenario, result.history)
    return replace(
        seen,
        untouched=untouched,
        signatures=signatures(scenario, result.history, judgement, result.run_dir),
        features=features(result.scenario, result.history),
    )


def faults_without_effect(result: Result) -> tuple[str, ...]:
    """The faults that were not injected, or that touched nothing."""
    names = {fault.name for fault in result.scenario.faults}
    vacuous = [verdict.name for verdict in result.judgement.verdicts if verdict.status == VACUOUS]
    return tuple(name for name in vacuous if name in names)


def without_faults(scenario: Scenario, names: Collection[str]) -> Scenario:
    """The scenario without these faults, and without the claims that refer to them."""
    return replace(
        scenario,
        faults=tuple(fault for fault in scenario.faults if fault.name not in names),
        expect=tuple(claim for claim in scenario.expect if not _refers(claim, names)),
        known=(),
    )


def torch_of(result: Result) -> str:
    """The ranks' version of torch; empty if it is not known."""
    versions = result.history.begin.get("versions") if len(result.history) else None
    return str(versions.get("torch") or "") if isinstance(versions, Mapping) else ""


def _refers(value: Claim | Any, names: Collection[str]) -> bool:
    """Whether a moment of one of these faults is in a claim."""
    if isinstance(value, FaultMoment):
        return value.fault in names
    if is_dataclass(value):
        return any(_refers(getattr(value, one.name), names) for one in fields(value))
    if isinstance(value, Mapping):
        return any(_refers(one, names) for one in value.values())
    return isinstance(value, list | tuple) and any(_refers(one, names) for one in value)
