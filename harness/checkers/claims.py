"""Whether a claim holds in a history: one of `expect`, of `any` or of `instead`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.checkers.base import CHECKERS, Finding, granted, late, unless_stalled, unless_stopped, verdict_of
from harness.history.cause import first_failure, log_end, why_never, why_skipped
from harness.history.joins import handler_config, handler_of
from harness.history.moments import came_within_ns, moment_time, recorded_late_within_ns
from harness.history.wording import bounds, describe_call, describe_end, joined, outcome_phrase, with_stacks
from harness.scenario.scenario import ABSENT, EXIT, AnyClaim, CheckClaim, Claim, Scenario, Step, StepClaim
from harness.values.endpoint import Endpoint
from harness.values.history import Call, History
from harness.values.quantity import format_ns
from harness.values.verdict import ERROR, FAILED, PASSED, VACUOUS, Verdict

# What these return depends on which calls of other ranks came before.
_DEPEND_ON_ORDER = frozenset(("add", "check", "compare_set", "delete_key", "num_keys", "queue_pop"))

# A bound missed by less than this would read "returned after 3.00 s, allowed at most 3.00 s".
_SHOW_MISSED_BELOW_NS = 10_000_000


def judge_claim(scenario: Scenario, history: History, claim: Claim) -> Verdict:
    """The verdict of one claim, named after it and with its line.

    Raises UsageError for a check that does not exist, KeyError for a step that does not.
    """
    if isinstance(claim, CheckClaim):
        verdict = CHECKERS[claim.check]().check(scenario, history, claim.parameters)
        return replace(verdict, name=claim.name, line=claim.line)
    if isinstance(claim, AnyClaim):
        return _judge_any(scenario, history, claim)
    return _judge_step(scenario, history, claim)


def named_calls(scenario: Scenario, history: History, claim: Claim) -> tuple[Call, ...]:
    """The calls that a claim is about; empty for a check."""
    if isinstance(claim, AnyClaim):
        return tuple(call for part in claim.claims for call in named_calls(scenario, history, part))
    if isinstance(claim, CheckClaim):
        return ()
    return tuple(call for _, _, calls in _named(scenario, history, claim) for call in calls)


def _named(scenario: Scenario, history: History, claim: StepClaim) -> Iterator[tuple[Step, int, list[Call]]]:
    """The calls that a claim is about, by step and rank: those of its life, else of the last life that has the step."""
    for name in claim.steps:
        by_rank: dict[int, list[Call]] = defaultdict(list)
        for call in history.calls_of(name):
            by_rank[call.rank].append(call)
        for rank in claim.ranks or scenario.ranks_of(name):
            last = max((call.life for call in by_rank[rank]), default=1)
            life = last if claim.life is None else claim.life
            yield scenario.step(name), rank, [call for call in by_rank[rank] if call.life == life]


def _judge_any(scenario: Scenario, history: History, claim: AnyClaim) -> Verdict:
    verdicts = [judge_claim(scenario, history, part) for part in claim.claims]
    fits = [verdict for verdict in verdicts if verdict.status == PASSED]
    if fits:
        surest = min(fits, key=lambda verdict: verdict.granted_ns)  # one that holds however late anything was
        return replace(surest, name=claim.name, line=claim.line)
    statuses = [verdict.status for verdict in verdicts]
    status = next((status for status in (ERROR, FAILED) if status in statuses), VACUOUS)
    each = "; ".join(f"{verdict.name}: {verdict.because}" for verdict in verdicts)
    return Verdict(
        claim.name,
        status,
        f"none of the {len(verdicts)} claims holds: {each}",
        joined([verdict.expected for verdict in verdicts], "or"),
        "; ".join(verdict.happened for verdict in verdicts if verdict.happened),
        tuple(dict.fromkeys(index for verdict in verdicts for index in verdict.evidence)),
        claim.line,
    )


def _judge_step(scenario: Scenario, history: History, claim: StepClaim) -> Verdict:
    calls = named_calls(scenario, history, claim)
    since_ns = None if claim.since is None else moment_time(history, scenario, claim.since)
    judged = [(call, next(_mismatches(scenario, history, claim, call, since_ns), None)) for call in calls]
    if claim.count is not None:
        findings = _miscount(history, claim, claim.count, judged)
    else:
        findings = [finding for _, finding in judged if finding is not None]
        findings += _missing(scenario, history, claim)
    verdict = verdict_of(claim.name, findings, _expected(claim), _fine(judged))
    return replace(verdict, line=claim.line)


def _fine(judged: list[tuple[Call, Finding | None]]) -> str:
    met = [call for call, finding in judged if finding is None or finding.granted_ns]
    return f"{describe_call(met[0])} {describe_end(met[0])}" if len(met) == 1 else f"{len(met)} calls are as claimed"


def _missing(scenario: Scenario, history: History, claim: StepClaim) -> Iterator[Finding]:
    """Calls that the claim is about and that never began: the history does not have them."""
    if "skipped" in claim.outcomes:
        return
    for step, rank, calls in _named(scenario, history, claim):
        if len(calls) < step.times:
            what = f"was called {len(calls)} times, not {step.times}" if calls else "never began"
            window = (history.start_ns, history.ops[-1].time_ns) if len(history) else (0, 0)
            failure = first_failure(history, (rank,))
            because = f"rank {rank}'s {step.name} {what}{f': {failure}' if failure else ''}"
            yield unless_stalled(history, window, because, happened=what)


def _miscount(
    history: History, claim: StepClaim, count: tuple[int, int], judged: list[tuple[Call, Finding | None]]
) -> list[Finding]:
    lowest, highest = count
    grants = [finding for _, finding in judged if finding is not None and finding.granted_ns]
    surely = sum(finding is None for _, finding in judged)
    met = surely + len(grants)
    if lowest <= met and surely <= highest:
        return [] if lowest <= surely else grants
    busy = sum(finding is not None and finding.busy for _, finding in judged)
    wanted = str(lowest) if lowest == highest else f"{lowest} to {highest}"
    verb = "is" if met == 1 else "are"
    because = f"{met} of {len(judged)} calls of {joined(list(claim.steps))} {verb} as claimed, expected {wanted}"
    rest = [finding.because for _, finding in judged if finding is not None and not finding.granted_ns]
    happened, evidence = f"{met} of {len(judged)} calls", tuple(index for call, _ in judged for index in call.evidence)
    if met < lowest:
        because += f": {rest[0]}" if rest else ""
        return [Finding(because, happened, evidence, busy=lowest <= met + busy)]
    windows = [history.window_of(call) for call, _ in judged]
    window = (min(begun for begun, _ in windows), max(ended for _, ended in windows))
    return [unless_stalled(history, window, because, happened=happened, evidence=evidence)]


def _mismatches(
    scenario: Scenario, history: History, claim: StepClaim, call: Call, since_ns: int | None
) -> Iterator[Finding]:
    """What about the call is not as claimed, the plainest first."""
    if call.outcome not in claim.outcomes:
        expected = f"expected {joined(list(claim.outcomes), 'or')}"
        log = log_end(history, call) if call.step == EXIT else ""
        because = f"{_how_it_ended(scenario, history, call)}, {expected}{log}"
        because, happened = with_stacks(history, call, because), describe_end(call)
        yield unless_stalled(history, history.window_of(call), because, happened=happened, evidence=call.evidence)
    yield from _wrong_code(history, claim, call)
    yield from _wrong_value(history, claim, call)
    yield from _wrong_error(scenario, history, claim, call)
    if claim.within is not None:
        yield from _wrong_time(scenario, history, claim, claim.within, call, since_ns)


def _how_it_ended(scenario: Scenario, history: History, call: Call) -> str:
    """What came first first: a call that was skipped is told with what kept its moment from coming."""
    if call.outcome == "skipped" and (why := why_skipped(history, scenario, call)):
        return f"{why}, so {describe_call(call)} was skipped"
    return f"{describe_call(call)} {describe_end(call)}{_said(call)}"


def _said(call: Call) -> str:
    """The error's first line; empty for the end of a process, whose status says it all."""
    if call.step == EXIT:
        return ""
    return f": {call.error.first_line}" if call.error is not None and call.error.first_line else ""


def _wrong_code(history: History, claim: StepClaim, call: Call) -> Iterator[Finding]:
    """A claim about the exit code is about processes that ended by themselves."""
    if not claim.codes or call.outcome not in ("ok", "failed"):
        return
    value = None if call.end is None else call.end.value
    code = value.get("status") if isinstance(value, Mapping) else None
    if code not in claim.codes:
        wanted = joined([str(one) for one in claim.codes], "or")
        happened = f"ended with {code}" if code is not None else "ended with an exit code that was not recorded"
        because = f"the process of rank {call.rank} {happened}, expected {wanted}"
        yield unless_stalled(history, history.window_of(call), because, happened=happened, evidence=call.evidence)


def _wrong_value(history: History, claim: StepClaim, call: Call) -> Iterator[Finding]:
    """A claim about the returned value is about calls that returned.

    No part of the harness can change a value, but one that stands still can change the order of calls.
    """
    if call.outcome != "ok":
        return
    allowed = [*([] if claim.value is ABSENT else [claim.value]), *claim.one_of]
    if allowed and not any(_same(value, call.returned) for value in allowed):
        wanted = joined([repr(value) for value in allowed], "or")
        because = f"{describe_call(call)} returned {call.returned!r}, expected {wanted}"
        happened = f"returned {call.returned!r}"
        if call.f in _DEPEND_ON_ORDER:
            yield unless_stalled(history, history.window_of(call), because, happened=happened, evidence=call.evidence)
        else:
            yield Finding(because, happened, call.evidence)


def _same(wanted: Any, got: Any) -> bool:
    """Whether they are equal; of a mapping the wanted keys count. True is not 1, a list equals a tuple."""
    if isinstance(wanted, Mapping):
        return isinstance(got, Mapping) and all(key in got and _same(value, got[key]) for key, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(got, (list, tuple))
            and len(wanted) == len(got)
            and all(_same(one, other) for one, other in zip(wanted, got, strict=True))
        )
    return bool(wanted == got) and isinstance(wanted, bool) == isinstance(got, bool)


def _wrong_error(scenario: Scenario, history: History, claim: StepClaim, call: Call) -> Iterator[Finding]:
    """A claim about the error is about calls that raised."""
    if call.outcome != "failed" or not (claim.errors or claim.messages):
        return
    error = call.error
    kinds = () if error is None else (error.kind, *error.bases)
    if claim.errors and not set(kinds).intersection(claim.errors):
        because = (
            f"{describe_call(call)} {outcome_phrase(call)}{_said(call)}, expected {joined(list(claim.errors), 'or')}"
        )
        what = outcome_phrase(call)
        yield unless_stalled(history, history.window_of(call), because, happened=what, evidence=call.evidence)
    line = "" if error is None else error.first_line
    for template in claim.messages:
        text = _filled_in(scenario, history, call, template)
        if text.casefold() not in line.casefold():
            what = f"{outcome_phrase(call)} without {text!r} in the first line of its message"
            because = f"{describe_call(call)} {what}: {line}"
            yield unless_stalled(history, history.window_of(call), because, happened=line, evidence=call.evidence)


def _filled_in(scenario: Scenario, history: History, call: Call, template: str) -> str:
    """`{host}`, `{port}` and `{run_id}` as the rank's handler was given them."""
    if "{" not in template:
        return template
    for name, value in _placeholders(scenario, history, call).items():
        template = template.replace("{%s}" % name, value)  # noqa: UP031 - braces inside braces read worse
    return template


def _placeholders(scenario: Scenario, history: History, call: Call) -> Mapping[str, str]:
    recorded = _handler_arguments(history, call)
    address = _endpoint(recorded.get("endpoint"))
    if address is not None:
        return {"host": address.host, "port": str(address.port), "run_id": str(recorded.get("run_id", ""))}
    config = handler_config(scenario, call)
    if config is None:
        return {"run_id": scenario.world.run_id}
    real = _endpoint(history.begin.get("endpoint"))
    host = config.host or (real.host if real is not None else "127.0.0.1")
    port = {} if config.port is None else {"port": str(config.port)}
    return {"host": host, "run_id": config.run_id, **port}


def _endpoint(recorded: Any) -> Endpoint | None:
    """None where the history has no endpoint, or something else in its place."""
    try:
        return Endpoint.parse(recorded) if isinstance(recorded, str) else None
    except ValueError:
        return None


def _handler_arguments(history: History, call: Call) -> Mapping[str, Any]:
    """The arguments of the last rendezvous of the call's handler that had begun when the call did."""
    caller = (call.rank, call.life, handler_of(call))
    earlier = [
        join.arguments
        for join in history.rendezvous_calls
        if (join.rank, join.life, handler_of(join)) == caller
        and join.begun_ns is not None
        and join.begun_ns <= (call.begun_ns or 0)
    ]
    return earlier[-1] if earlier else {}


def _wrong_time(
    scenario: Scenario,
    history: History,
    claim: StepClaim,
    within: tuple[int | None, int],
    call: Call,
    since_ns: int | None,
) -> Iterator[Finding]:
    if call.ended_ns is None or call.outcome == "skipped":
        return  # it never ran: there is no time to judge
    from_ns = call.begun_ns if claim.since is None else since_ns
    if from_ns is None:
        what = f"the moment {claim.since} never came" if claim.since is not None else "its begin is unknown"
        why = "" if claim.since is None else why_never(history, scenario, claim.since)
        because = f"{describe_call(call)} {describe_end(call)}, but {what}{f': {why}' if why else ''}"
        yield unless_stalled(history, history.window_of(call), because, happened=what, evidence=call.evidence)
        return
    lower_ns, upper_ns = within
    taken_ns = call.ended_ns - from_ns
    late_ns = taken_ns - upper_ns
    early_ns = 0 if lower_ns is None else lower_ns - taken_ns - came_within_ns(history, claim.since)
    missed_ns = max(late_ns, early_ns)
    if missed_ns <= 0:
        return
    happened = f"{_ended(call)} {_when(claim, taken_ns)}"
    exactly = f" (by {format_ns(missed_ns)})" if missed_ns < _SHOW_MISSED_BELOW_NS else ""
    because = f"{describe_call(call)} {happened}, allowed {bounds(lower_ns, upper_ns)}{exactly}"
    because = with_stacks(history, call, because)
    if late_ns > 0:
        yield late(history, call, (from_ns, call.ended_ns), late_ns, because, happened=happened, evidence=call.evidence)
    else:
        yield _too_early(scenario, history, claim, call, early_ns, because, happened)


def _too_early(
    scenario: Scenario, history: History, claim: StepClaim, call: Call, early_ns: int, because: str, happened: str
) -> Finding:
    """A call that ended before its lower bound.

    Both ends of a time from the call's own begin are its own process's: whatever was late, it can only have made that
    time longer. A moment is another process's, and where that recorded it late, the time from it reads too short.
    """
    rest: dict[str, Any] = {"happened": happened, "evidence": call.evidence}
    recorded_late_ns = 0 if claim.since is None else recorded_late_within_ns(history, scenario, claim.since)
    if early_ns <= recorded_late_ns:
        why = f"early by {format_ns(early_ns)}, and {claim.since} may have been recorded {format_ns(recorded_late_ns)}"
        return granted(early_ns, f"{because}; {why} late", **rest)
    return unless_stopped(history, history.window_of(call), because, **rest)


def _ended(call: Call) -> str:
    return "ended" if call.step == EXIT else outcome_phrase(call)


def _when(claim: StepClaim, taken_ns: int) -> str:
    """`after 5.03 s`; with `since` counted from that moment: `2.00 s after ...` or `2.00 s before ...`."""
    if claim.since is None:
        return f"after {format_ns(taken_ns)}"
    return f"{format_ns(abs(taken_ns))} {'after' if taken_ns >= 0 else 'before'} {claim.since}"


def _expected(claim: StepClaim) -> str:
    """The claim as a phrase: `ok within 3.00 to 4.00 s`."""
    texts = [joined(list(claim.outcomes), "or")]
    if claim.count is not None:
        texts.insert(0, f"{claim.count[0]} to {claim.count[1]} calls")
    if claim.codes:
        texts.append(f"exit code {joined([str(one) for one in claim.codes], 'or')}")
    if claim.value is not ABSENT:
        texts.append(f"value {claim.value!r}")
    if claim.one_of:
        texts.append(f"value {joined([repr(value) for value in claim.one_of], 'or')}")
    if claim.errors:
        texts.append(f"error {joined(list(claim.errors), 'or')}")
    if claim.messages:
        texts.append(f"message with {joined([repr(text) for text in claim.messages])}")
    if claim.within is not None:
        since = "" if claim.since is None else f" since {claim.since}"
        texts.append(f"within {bounds(*claim.within)}{since}")
    return ", ".join(texts)
