"""Breaks a scenario deliberately, in memory: no faults, no known failures, or one claim inverted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.scenario.moment import AllMoments, FaultMoment, Moment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import ABSENT, AnyClaim, CheckClaim, Claim, Known, Scenario, StepClaim
from harness.values.verdict import FAILED, VACUOUS

TURNED = (FAILED, VACUOUS)
"""The verdicts that a broken scenario must get."""

HOUR_NS = 3_600_000_000_000
NO_FAULTS = "without its faults"


@dataclass(frozen=True)
class Variant:
    """A scenario that was broken on purpose.

    Attributes:
        how: how it was broken, for messages.
        must_turn: whether it has to fail; claims may hold without the fault, and another torch may not fail as known.
    """

    how: str
    scenario: Scenario
    must_turn: bool = True


def variants(scenario: Scenario, subject: str) -> Iterator[Variant]:
    """Every way in which this module breaks a scenario, cheapest first."""
    known = tuple(entry for entry in scenario.known if _fits(entry, scenario, subject))
    if known:
        whatever_torch = any(not entry.torch for entry in known)
        yield Variant("with its known failure forgotten", replace(scenario, known=()), must_turn=whatever_torch)
    broken = {name for entry in known for name in entry.breaks}
    for number, claim in enumerate(scenario.expect):
        if isinstance(claim, CheckClaim):
            continue
        turned = _with_claim(scenario, number, inverted(claim))
        if claim.name not in broken:
            yield Variant(f"with claim {claim.name!r} inverted", turned)
        elif all(entry.torch for entry in known):
            # Whether it holds depends on the version of torch, but it never holds inverted.
            yield Variant(f"with claim {claim.name!r} inverted, and nothing known", replace(turned, known=()))
    if scenario.faults:
        yield Variant(NO_FAULTS, without_faults(scenario), must_turn=False)


def _fits(known: Known, scenario: Scenario, subject: str) -> bool:
    """Whether an entry applies to this cell; the judge compares the version of torch."""
    cell = dict(scenario.cell)
    return known.subject == subject and all(cell.get(path) in labels for path, labels in known.cells.items())


def _with_claim(scenario: Scenario, number: int, claim: Claim) -> Scenario:
    expect = (*scenario.expect[:number], claim, *scenario.expect[number + 1 :])
    return replace(scenario, expect=expect)


# -- claims ----------------------------------------------------------------------------------------------------------


def inverted(claim: StepClaim | AnyClaim) -> Claim:
    """A claim that no call can meet that met the original one."""
    if isinstance(claim, AnyClaim):
        return replace(claim, claims=tuple(_an_hour_later(part) for part in claim.claims))
    outcomes = tuple(outcome for outcome in ("ok", "failed", "died", "skipped") if outcome not in claim.outcomes)
    if set(claim.outcomes) >= {"ok", "failed"}:
        return _an_hour_later(claim)
    return replace(claim, outcomes=outcomes, value=ABSENT, one_of=(), errors=(), messages=(), within=None, count=None)


def _an_hour_later(claim: StepClaim | CheckClaim) -> StepClaim | CheckClaim:
    return claim if isinstance(claim, CheckClaim) else replace(claim, within=(HOUR_NS, 2 * HOUR_NS))


# -- faults ----------------------------------------------------------------------------------------------------------


def without_faults(scenario: Scenario) -> Scenario:
    """The scenario without faults; what waited for one waits for the time at which it would have come or gone."""
    world = scenario.world
    ranks = tuple(replace(rank, start=_unfaulted(rank.start, scenario)) for rank in world.ranks)
    return replace(
        scenario,
        world=replace(world, ranks=ranks),
        steps=tuple(replace(step, after=_unfaulted(step.after, scenario)) for step in scenario.steps),
        faults=(),
        expect=tuple(_claim_without_faults(claim, scenario) for claim in scenario.expect),
        known=tuple(
            replace(entry, instead=tuple(_claim_without_faults(claim, scenario) for claim in entry.instead))
            for entry in scenario.known
        ),
    )


def _claim_without_faults(claim: Claim, scenario: Scenario) -> Claim:
    if isinstance(claim, StepClaim):
        return replace(claim, since=_unfaulted(claim.since, scenario))
    if isinstance(claim, AnyClaim):
        parts = tuple(_claim_without_faults(part, scenario) for part in claim.claims)
        return replace(claim, claims=tuple(part for part in parts if not isinstance(part, AnyClaim)))
    return claim


def _unfaulted(moment: Moment | None, scenario: Scenario) -> Moment | None:
    if isinstance(moment, AllMoments):
        return AllMoments(tuple(part for inner in moment.moments if (part := _unfaulted(inner, scenario))))
    if not isinstance(moment, FaultMoment):
        return moment
    fault = next(fault for fault in scenario.faults if fault.name == moment.fault)
    instead = fault.after if moment.state == "injected" else fault.until
    return later(_unfaulted(instead, scenario), moment.plus_ns)


def later(moment: Moment | None, plus_ns: int) -> Moment | None:
    """The moment, so much later; `None` (never, or at once) stays what it is."""
    if isinstance(moment, TimeMoment):
        return TimeMoment(moment.offset_ns + plus_ns)
    if isinstance(moment, (StepMoment, FaultMoment, WireMoment)):
        return replace(moment, plus_ns=moment.plus_ns + plus_ns)
    if isinstance(moment, AllMoments):
        return AllMoments(tuple(part for inner in moment.moments if (part := later(inner, plus_ns))))
    return moment
