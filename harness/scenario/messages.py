"""Which messages on the wire, and what else that is seen from outside, a scenario waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.scenario.moment import Moment, SeenMoment, WireMoment, parts
from harness.scenario.scenario import AnyClaim, Claim, Scenario, StepClaim


def messages_of(scenario: Scenario) -> dict[WireMoment, bool]:
    """Every message that the scenario waits for, and whether a fault is injected or healed at it without delay."""
    found: dict[WireMoment, bool] = {}
    for moment, is_faults in _moments(scenario):
        for part in parts(moment):
            if isinstance(part, WireMoment):
                at_once = is_faults and part.plus_ns == 0
                found[part.message] = found.get(part.message, False) or at_once
    return found


def sights_of(scenario: Scenario) -> tuple[SeenMoment, ...]:
    """Everything of a job that the scenario waits for, each once."""
    found = (part for moment, _ in _moments(scenario) for part in parts(moment) if isinstance(part, SeenMoment))
    return tuple(dict.fromkeys(part.sight for part in found))


def _moments(scenario: Scenario) -> Iterator[tuple[Moment, bool]]:
    """Every moment of the scenario, and whether it is that of a fault."""
    for fault in scenario.faults:
        yield from ((moment, True) for moment in (fault.after, fault.until) if moment is not None)
    others = [rank.start for rank in scenario.world.ranks] + [step.after for step in scenario.steps]
    claims = [*scenario.expect, *(claim for entry in scenario.known for claim in entry.instead)]
    others += [claim.since for claim in _step_claims(claims)]
    yield from ((moment, False) for moment in others if moment is not None)


def _step_claims(claims: Sequence[Claim]) -> Iterator[StepClaim]:
    """The claims about calls, those inside an `any` too."""
    for claim in claims:
        for one in claim.claims if isinstance(claim, AnyClaim) else (claim,):
            if isinstance(one, StepClaim):
                yield one
