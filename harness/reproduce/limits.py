"""What a script cannot do, all of it at once, so that a refusal names every reason."""

from __future__ import annotations

from collections.abc import Iterator

from harness.reproduce.claims import INVARIANTS, unjudged
from harness.reproduce.faults import CLASSES
from harness.reproduce.roles import STEPS
from harness.reproduce.written import lives
from harness.scenario.moment import Moment, StepMoment, parts
from harness.scenario.scenario import EXIT, AnyClaim, Claim, Fault, Scenario, StepClaim

SUBJECT = "static"
MOST_RANKS = 8
"""Each is a process that imports torch."""
LOOPBACK = (None, "127.0.0.1", "localhost", "::1")


def missing(scenario: Scenario, subject: str) -> list[str]:
    """What this scenario needs that a script of the standard library and torch alone does not have; empty if nothing.

    Names each missing thing once, in the order: subject, world, steps, faults, moments, claims.
    """
    found = [*_of_world(scenario, subject), *_of_steps(scenario), *_of_faults(scenario), *_of_moments(scenario)]
    found += [reason for claim in scenario.expect for reason in _of_claim(claim)]
    return list(dict.fromkeys(found))


def _of_world(scenario: Scenario, subject: str) -> Iterator[str]:
    world = scenario.world
    if subject != SUBJECT:
        yield f"the subject {subject}, which is not part of torch"
    if scenario.job is not None:
        yield "a job of one's own"
    if world.kind != "processes":
        yield f"a world of {world.kind}"
    if world.torchrun is not None:
        yield "agents of torchrun"
    if world.size > MOST_RANKS:
        yield f"{world.size} processes with torch (at most {MOST_RANKS})"
    for spec in world.ranks:
        for config in spec.handlers.values():
            if config.host not in LOOPBACK:
                yield f"the host {config.host}"
            if config.port not in (None, 0):
                yield f"the fixed port {config.port}"


def _of_steps(scenario: Scenario) -> Iterator[str]:
    for step in scenario.steps:
        if step.do not in STEPS:
            yield f"the step {step.do}"


def _of_faults(scenario: Scenario) -> Iterator[str]:
    for fault in scenario.faults:
        yield from _of_fault(scenario, fault)


def _of_fault(scenario: Scenario, fault: Fault) -> Iterator[str]:
    given = fault.attributes
    if fault.kind not in CLASSES:
        yield f"the fault {fault.kind}"
    if fault.kind == "pause" and any(lives(scenario, rank) > 1 for rank in fault.ranks):
        yield "a pause of a rank that starts again"
    if fault.toxicity != 1:
        yield "a toxicity below 1"
    if fault.kind == "blackhole" and given.get("timeout"):
        yield "a blackhole that closes connections by its timeout"
    if fault.kind == "partition" and given.get("pairs"):
        yield "a partition of pairs"
    if fault.kind == "x_cut" and not (given.get("query") or given.get("reply") or given.get("bytes")):
        yield "an x_cut after no bytes"
    if given.get("per") == "connection":
        yield f"an {fault.kind} that counts messages for each connection"
    if given.get("answers") == "store":
        yield "an impostor that is a store"


def _of_moments(scenario: Scenario) -> Iterator[str]:
    named: list[Moment | None] = [step.after for step in scenario.steps]
    named += [moment for fault in scenario.faults for moment in (fault.after, fault.until)]
    named += [spec.start for spec in scenario.world.ranks]
    named += [claim.since for claim in _step_claims(scenario.expect)]
    for moment in named:
        for part in parts(moment) if moment is not None else ():
            if isinstance(part, StepMoment) and part.step == EXIT:
                yield "a moment of the end of a process (`exit`)"


def _of_claim(claim: Claim) -> Iterator[str]:
    for part in _step_claims((claim,)):
        if EXIT in part.steps:
            yield "a claim about the end of a process (`exit`)"


def _step_claims(claims: tuple[Claim, ...]) -> Iterator[StepClaim]:
    for claim in claims:
        if isinstance(claim, StepClaim):
            yield claim
        elif isinstance(claim, AnyClaim):
            yield from _step_claims(claim.claims)


def undecidable(scenario: Scenario, breaks: tuple[str, ...]) -> list[str]:
    """Why a script cannot see the failure: none of the claims that break is one that it judges; empty if it can."""
    judged = [name for name in breaks if not unjudged(scenario, name)]
    concrete = [name for name in breaks if name != INVARIANTS] or breaks
    return [] if judged or not breaks else [f"the check {name}" for name in concrete]
