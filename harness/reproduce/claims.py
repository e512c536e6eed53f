"""The claims that a script makes: those of the file about calls, and the checks that it can judge itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.reproduce.written import TIMED, literal, moment, seconds, text
from harness.scenario.scenario import ABSENT, AnyClaim, CheckClaim, Claim, Scenario, StepClaim

CHECKS = ("no_hang", "deadline", "agreement", "together", "error_contract")
"""Those that a script can judge; each is a function of that name."""

STANDING = ("no_hang", "agreement")
"""Of these, those that the harness judges in every run."""
INVARIANTS = "invariants"


def unjudged(scenario: Scenario, name: str) -> bool:
    """Whether a script cannot judge the claim, or the check, of this name."""
    for claim in scenario.expect:
        if claim.name == name:
            return not _is_judged(claim)
    return name not in CHECKS


def _is_judged(claim: Claim) -> bool:
    if isinstance(claim, CheckClaim):
        return claim.check in CHECKS
    return all(map(_is_judged, claim.claims)) if isinstance(claim, AnyClaim) else True


def expected(scenario: Scenario, breaks: tuple[str, ...]) -> list[str]:
    """Each claim as an entry of a dict: those of the file that can be judged, then the checks that break or stand."""
    named = {claim.name for claim in scenario.expect}
    found = [f"{text(claim.name)}: {_function(scenario, claim)}" for claim in scenario.expect if _is_judged(claim)]
    checked = {claim.check for claim in scenario.expect if isinstance(claim, CheckClaim)}
    wanted = [name for name in breaks if name in CHECKS and name not in named]
    wanted += [] if breaks else [name for name in STANDING if name not in scenario.waived]
    wanted += ["deadline"] if INVARIANTS in checked and not breaks else []
    chosen = [name for name in dict.fromkeys(wanted) if name not in checked]
    return [*found, *(f"{text(name)}: {_function(scenario, CheckClaim(name, name, {}))}" for name in chosen)]


def _function(scenario: Scenario, claim: Claim) -> str:
    """A function of the play that says what is not as claimed."""
    if isinstance(claim, CheckClaim) and claim.check != "deadline":
        return claim.check
    return f"lambda play: {_expression(scenario, claim)}"


def _expression(scenario: Scenario, claim: Claim) -> str:
    if isinstance(claim, AnyClaim):
        return f"either({', '.join(_expression(scenario, part) for part in claim.claims)})"
    if isinstance(claim, StepClaim):
        return _of_calls(scenario, claim)
    if claim.check != "deadline":
        return f"{claim.check}(play)"
    slack_ns = claim.parameters.get("slack")
    slack = "" if slack_ns is None else f", slack={literal(seconds(slack_ns))}"
    return f"deadline(play, {literal(_timeouts(scenario))}{slack})"


def _of_calls(scenario: Scenario, claim: StepClaim) -> str:
    life = [] if claim.life is None else [f"life={claim.life}"]
    ranks = [str(rank) for rank in claim.ranks]
    calls = " + ".join(f"play.calls_of({', '.join([text(step), *ranks, *life])})" for step in claim.steps)
    holds = f"lambda call: {' and '.join(_conditions(scenario, claim))}"
    if claim.count is None:
        return f"every({calls}, {holds})"
    return f"between({claim.count[0]}, {claim.count[1]}, {calls}, {holds})"


def _conditions(scenario: Scenario, claim: StepClaim) -> list[str]:
    outcomes = claim.outcomes
    found = [f"call.outcome == {text(outcomes[0])}" if len(outcomes) == 1 else f"call.outcome in {literal(outcomes)}"]
    values = [*([] if claim.value is ABSENT else [claim.value]), *claim.one_of]
    if values:
        found.append(_only(outcomes, "ok", " or ".join(map(_equal, values)), len(values) > 1))
    if claim.errors:
        kinds = " or ".join(f"{text(kind)} in call.kinds" for kind in claim.errors)
        found.append(_only(outcomes, "failed", kinds, len(claim.errors) > 1))
    for message in claim.messages:
        found.append(_only(outcomes, "failed", f"{_message(scenario, claim, message)} in call.message.lower()", False))
    if claim.within is not None:
        least, most = claim.within
        took = "call.took" if claim.since is None else f"call.took_since({moment(claim.since)}(play))"
        lower = "" if not least else f"{literal(seconds(least))} <= "
        found.append(f"{lower}{took} <= {literal(seconds(most))}")
    return found


def _only(outcomes: tuple[str, ...], outcome: str, condition: str, several: bool) -> str:
    """A condition that is about calls of one outcome."""
    if outcomes == (outcome,):
        return f"({condition})" if several else condition
    return f"(call.outcome != {text(outcome)} or {condition})"


def _equal(value: Any) -> str:
    if isinstance(value, Mapping):
        return " and ".join(f"call.value[{literal(key)}] == {literal(one)}" for key, one in value.items())
    if value is None or isinstance(value, bool):
        return f"call.value is {value}"
    return f"call.value == {literal(list(value) if isinstance(value, tuple) else value)}"


def _message(scenario: Scenario, claim: StepClaim, message: str) -> str:
    """What a message must contain, in small letters; `{port}` is only known when it is played."""
    if message == "{port}":
        return "str(play.port)"
    (step, *_), (rank, *_) = claim.steps, claim.ranks or scenario.ranks_of(claim.steps[0])
    config = scenario.world.ranks[rank].handlers[scenario.step(step).handler]
    whole = message.replace("{run_id}", config.run_id).replace("{host}", config.host or "127.0.0.1").lower()
    return text(whole) if "{port}" not in whole else f'{text(whole)}.replace("{{port}}", str(play.port))'


def _timeouts(scenario: Scenario) -> dict[tuple[str, int], float]:
    """By step and rank the timeout of its calls."""
    found: dict[tuple[str, int], float] = {}
    for step in scenario.steps:
        for rank in step.ranks if step.do in TIMED else ():
            own = step.arguments.get("timeout") if step.do == "wait" else None
            config = scenario.world.ranks[rank].handlers[step.handler]
            raw = config.config.get("timeout")
            found[step.name, rank] = float(raw) if raw and own is None else seconds(own or config.timeout_ns)
    return found
