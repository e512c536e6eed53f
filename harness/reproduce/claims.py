"""The claims that a script makes: those of the file about calls, and the checks that it can judge itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.reproduce.written import TIMED, literal, lives, moment, seconds, text, who
from harness.scenario.scenario import ABSENT, AnyClaim, CheckClaim, Claim, Scenario, Step, StepClaim

CHECKS = ("no_hang", "deadline", "agreement", "together", "error_contract", "closing", "no_crash")
"""Those that a script can judge; each is a function of that name."""

STANDING = ("no_hang", "agreement")
"""Of these, those that the harness judges in every run."""
INVARIANTS = "invariants"
EXPLORED = ("deadline", "error_contract", "closing")
"""Of these, those that a file with the check `invariants` asks too, unless a finding says which are violated."""

MEANINGS: Mapping[str, tuple[str, str]] = {
    "no_hang": ("every call ends", "a call hangs"),
    "no_crash": ("no process of a rank crashes", "a process of a rank crashes"),
    "deadline": ("every call ends within its timeout and 1 s", "a call takes longer than its timeout and 1 s"),
    "agreement": (
        "each process returns as the rank that it was given, and the master only when all ranks have begun to join",
        "a join returns a wrong or doubled rank, or before all ranks have begun to join",
    ),
    "together": ("all ranks of a run return, or all raise", "some ranks of a run return, and others raise"),
    "error_contract": (
        "a join that fails raises an error of rendezvous or of the store",
        "a join raises another error",
    ),
    "closing": ("a handler that was closed joins no more", "a handler that was closed joins again"),
}
"""By check, what is expected and what happens instead, in words."""


def expectation(scenario: Scenario, breaks: tuple[str, ...]) -> str:
    """What is expected: the file's title; where it names only the invariants, those that are violated, or all."""
    chosen = _of_invariants(scenario, breaks)
    return "; ".join(MEANINGS[name][0] for name in chosen) if chosen else _small(scenario.title)


def headline(scenario: Scenario, breaks: tuple[str, ...]) -> str:
    """What is wrong, as the title of a report."""
    chosen = _of_invariants(scenario, breaks)
    if breaks and chosen:
        return "; ".join(MEANINGS[name][1] for name in chosen)
    return f"violated: {expectation(scenario, breaks)}"


def _of_invariants(scenario: Scenario, breaks: tuple[str, ...]) -> list[str]:
    """The checks that stand for the check `invariants`; none for a file with claims of its own."""
    if not any(isinstance(claim, CheckClaim) and claim.check == INVARIANTS for claim in scenario.expect):
        return []
    chosen = breaks or (*STANDING, *EXPLORED)
    return [name for name in chosen if name in MEANINGS] if set(chosen) <= set(MEANINGS) else []


def _small(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:]}"


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
    found = [f"{text(claim.name)}: {_expression(scenario, claim)}" for claim in scenario.expect if _is_judged(claim)]
    checked = {claim.check for claim in scenario.expect if isinstance(claim, CheckClaim)}
    wanted = [name for name in breaks if name in CHECKS and name not in named]
    wanted += [] if breaks else [name for name in STANDING if name not in scenario.waived]
    wanted += EXPLORED if INVARIANTS in checked and not breaks else []
    chosen = [name for name in dict.fromkeys(wanted) if name not in checked]
    return [*found, *(f"{text(name)}: {_expression(scenario, CheckClaim(name, name, {}))}" for name in chosen)]


def _expression(scenario: Scenario, claim: Claim) -> str:
    """A call that says what is not as claimed."""
    if isinstance(claim, AnyClaim):
        return f"either({', '.join(_expression(scenario, part) for part in claim.claims)})"
    return _of_calls(scenario, claim) if isinstance(claim, StepClaim) else _of_check(scenario, claim)


def _of_check(scenario: Scenario, claim: CheckClaim) -> str:
    if claim.check in ("no_hang", "no_crash"):
        return f"{claim.check}()"
    if claim.check == "deadline":
        slack_ns = claim.parameters.get("slack")
        slack = "" if slack_ns is None else f", slack={literal(seconds(slack_ns))}"
        return f"deadline({_timeouts(scenario)}{slack})"
    return f"{claim.check}({_closed(scenario) if claim.check == 'closing' else _given(scenario)})"


def _of_calls(scenario: Scenario, claim: StepClaim) -> str:
    calls = " + ".join(_calls(scenario, claim, step) for step in claim.steps)
    holds = f"lambda call: {' and '.join(_conditions(scenario, claim))}"
    if claim.count is None:
        return f"every({calls}, {holds})"
    return f"between({claim.count[0]}, {claim.count[1]}, {calls}, {holds})"


def _calls(scenario: Scenario, claim: StepClaim, name: str) -> str:
    step = scenario.step(name)
    life = claim.life or step.life
    processes = [who(rank, life or lives(scenario, rank)) for rank in claim.ranks or step.ranks]
    times = [f"times={step.times}"] if step.times > 1 else []
    return f"calls({', '.join([text(name), *processes, *times])})"


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
        took = "call.took" if claim.since is None else f"since({moment(scenario, claim.since)}, call)"
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
        return 'str(rows(state="play")[0]["port"])'
    (step, *_), (rank, *_) = claim.steps, claim.ranks or scenario.ranks_of(claim.steps[0])
    config = scenario.world.ranks[rank].handlers[scenario.step(step).handler]
    whole = message.replace("{run_id}", config.run_id).replace("{host}", config.host or "127.0.0.1").lower()
    return (
        text(whole)
        if "{port}" not in whole
        else f'{text(whole)}.replace("{{port}}", str(rows(state="play")[0]["port"]))'
    )


def _by_call(scenario: Scenario, step: Step, written: Mapping[int, str]) -> Iterator[str]:
    """The entries of a dict by step and process, for each process of these ranks."""
    for rank, value in written.items():
        for life in range(1, lives(scenario, rank) + 1):
            if step.life in (None, life):
                yield f"({text(step.name)}, {who(rank, life)}): {value}"


def _dict(entries: Iterable[str]) -> str:
    return "{" + ", ".join(entries) + "}"


def _timeouts(scenario: Scenario) -> str:
    """By step and process the timeout of its calls."""
    found: list[str] = []
    for step in scenario.steps:
        timed = {rank: literal(_timeout(scenario, step, rank)) for rank in step.ranks if step.do in TIMED}
        found += _by_call(scenario, step, timed)
    return _dict(found)


def _timeout(scenario: Scenario, step: Step, rank: int) -> float:
    own = step.arguments.get("timeout") if step.do == "wait" else None
    config = scenario.world.ranks[rank].handlers[step.handler]
    raw = config.config.get("timeout")
    return float(raw) if raw and own is None else seconds(own or config.timeout_ns)


def _given(scenario: Scenario) -> str:
    """By step and process of a join what its handler is given: run id, rank and world size."""
    found: list[str] = []
    for step in scenario.steps:
        given = {}
        for rank in step.ranks if step.do == "rendezvous" else ():
            config = scenario.world.ranks[rank].handlers[step.handler]
            given[rank] = literal((config.run_id, int(config.config.get("rank", config.rank)), config.world_size))
        found += _by_call(scenario, step, given)
    return _dict(found)


def _closed(scenario: Scenario) -> str:
    """By step and process of a call that a closed handler must refuse: the step that closes the handler."""
    found: list[str] = []
    closed: dict[tuple[int, str], str] = {}
    for step in scenario.steps:
        for rank in step.ranks:
            handler = rank, step.handler
            if step.do in ("set_closed", "shutdown"):
                closed[handler] = text(step.name)
            elif step.do == "drop":
                closed.pop(handler, None)
            elif step.do in ("rendezvous", "is_closed") and handler in closed:
                found += _by_call(scenario, step, {rank: closed[handler]})
    return _dict(found)
