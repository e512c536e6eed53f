"""From a scenario and a history to a judgement: pure, and without torch, so that a stored run can be judged again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness.checkers.base import CHECKERS, Checker
from harness.checkers.claims import judge_claim, named_calls
from harness.history.cause import first_failure, why_never
from harness.history.stalls import describe_stall, describe_stalls, each_part, excuse, stood_still
from harness.history.waiting import who_waits
from harness.history.wording import and_n_more, counted, fault_named
from harness.judge.known import entries_that_fit, judge_known
from harness.judge.steady import cut_short, is_red, judge_steady
from harness.scenario.scenario import EXIT, CheckClaim, Claim, Fault, Scenario
from harness.values.errors import HarnessError
from harness.values.history import History, Injection
from harness.values.json import mapping
from harness.values.verdict import ERROR, FAILED, PASSED, SKIPPED, VACUOUS, Judgement, Verdict

_CRASHED = " crashed: "


def judge(
    scenario: Scenario, history: History, steady: History | None = None, echo: History | None = None
) -> Judgement:
    """The judgement of one cell.

    Args:
        steady: the history of the same world without faults, played because this one was red (`needs_steady_state`).
        echo: likewise of the subject `echo`, played because that one did not join (`needs_echo`).

    The subject and torch's version are read from `history.begin`. Never raises: what goes wrong here is an `error`.
    """
    try:
        return _judge(scenario, history, steady, echo)
    except Exception as error:  # a defect of the harness must not read like one of the subject
        return Judgement(ERROR, _why_not_judged("judging", error))


def judge_skipped(need: str, reason: str, required: bool) -> Judgement:
    """The judgement of a cell that was not played because something is missing; an `error` if that was required."""
    if required:
        return Judgement(ERROR, f"{need}: {reason}; --require says that {need} must be there")
    return Judgement(SKIPPED, f"{need}: {reason}")


def has_crashed(judgement: Judgement) -> bool:
    """Whether a checker crashed, or judging did: of a stored run, its history may be damaged."""
    said = [judgement.because, *(verdict.because for verdict in judgement.verdicts if verdict.status == ERROR)]
    return judgement.status == ERROR and any(_CRASHED in because for because in said)


@dataclass(frozen=True)
class _Findings:
    """What was found in one history, before anything is decided.

    Attributes:
        certain: broken claims and invariants that nothing which happened to the machine can explain.
        claims: of `expect`, in the order of the file.
        premise: faults that did not happen, and checks that had nothing to judge.
        standing: the invariants that are not waived.
    """

    certain: tuple[Verdict, ...]
    claims: tuple[Verdict, ...]
    premise: tuple[Verdict, ...]
    standing: tuple[Verdict, ...]
    unnamed_calls: int
    notes: tuple[str, ...]

    def judgement(self, status: str, because: str) -> Judgement:
        """With every verdict. A missing premise takes the place of the claims, which are not judged without it."""
        verdicts = (*(self.claims if status == ERROR or not self.premise else self.premise), *self.standing)
        return Judgement(status, because, verdicts, (), self.unnamed_calls, self.notes)


def _judge(scenario: Scenario, history: History, steady: History | None, echo: History | None) -> Judgement:
    unsupported = (history.ended or {}).get("unsupported")
    if unsupported:
        need, reason = unsupported
        return judge_skipped(need, reason, required=False)
    why = cut_short(history)
    if why:
        return Judgement(ERROR, why)
    found = _find(scenario, history)
    judgement = _decide(found)
    entries = entries_that_fit(scenario, history)
    if len(entries) > 1:
        lines = " and ".join(str(entry.line) for entry in entries)
        because = f"two `known` entries fit this cell, subject and torch (lines {lines}); leave one"
        return replace(judgement, status=ERROR, because=because)
    if entries and not (found.premise and judgement.status == FAILED):
        instead = [_claim(scenario, history, it) for it in entries[0].instead]
        judgement = judge_known(judgement, entries[0], instead, describe_stalls(history))
    if steady is not None and is_red(judgement):
        judgement = judge_steady(scenario, judgement, steady, echo)
    return judgement


def _decide(found: _Findings) -> Judgement:
    """The first that applies: broken safety, an error, an invariant, a missing premise, a broken claim, passed."""
    for verdicts, looked_for, status in (
        (found.certain, FAILED, FAILED),
        ((*found.claims, *found.standing, *found.premise), ERROR, ERROR),
        (found.standing, FAILED, FAILED),
        (found.premise, VACUOUS, VACUOUS),
        (found.claims, FAILED, FAILED),
    ):
        decisive = [verdict for verdict in verdicts if verdict.status == looked_for]
        if decisive:
            return found.judgement(status, _sentence(decisive))
    return found.judgement(PASSED, f"{counted(len(found.claims), 'claim')} and the standing invariants hold")


def _sentence(decisive: list[Verdict]) -> str:
    return f"{decisive[0].name}: {decisive[0].because}{and_n_more(len(decisive))}"


def _find(scenario: Scenario, history: History) -> _Findings:
    claims = tuple(_claim(scenario, history, claim) for claim in scenario.expect)
    idle = tuple(_with_cause(history, verdict) for verdict in claims if verdict.status == VACUOUS)
    standing = {
        kind: _invariant(scenario, history, kind, member) for kind, member in CHECKERS.items() if member.standing
    }
    judging = {kind: verdict for kind, verdict in standing.items() if kind not in scenario.waived}
    return _Findings(
        certain=tuple(_broken_safety(scenario, claims, judging)) if stood_still(history) else (),
        claims=claims,
        premise=tuple(_unless_stalled(history, verdict) for verdict in (*_missing_premises(scenario, history), *idle)),
        standing=tuple(judging.values()),
        unnamed_calls=_unnamed_calls(scenario, history),
        notes=tuple(_notes(scenario, history, standing, claims)),
    )


def _claim(scenario: Scenario, history: History, claim: Claim) -> Verdict:
    return _guarded(claim.name, claim.line, lambda: judge_claim(scenario, history, claim))


def _invariant(scenario: Scenario, history: History, kind: str, member: type[Checker]) -> Verdict:
    """The verdict of an invariant; without anything to judge it holds."""
    verdict = _guarded(kind, 0, lambda: member().check(scenario, history, {}))
    return replace(verdict, status=PASSED) if verdict.status == VACUOUS else verdict


def _guarded(name: str, line: int, check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except Exception as error:  # a checker that crashes has not passed
        return Verdict(name, ERROR, _why_not_judged("the checker", error), line=line)


def _why_not_judged(what: str, error: Exception) -> str:
    """A HarnessError says itself what is wrong, such as a checker whose package is not installed."""
    if isinstance(error, HarnessError):
        return str(error)
    return f"{what}{_CRASHED}{type(error).__name__}: {error}; report this as a defect of the harness"


# -- parts of the harness that stood still -----------------------------------------------------------------------


def _broken_safety(
    scenario: Scenario, claims: tuple[Verdict, ...], standing: Mapping[str, Verdict]
) -> Iterator[Verdict]:
    """Verdicts of checkers that no part of the harness can break by standing still."""
    yield from (verdict for kind, verdict in standing.items() if CHECKERS[kind].safety and verdict.status == FAILED)
    for claim, verdict in zip(scenario.expect, claims, strict=True):
        if isinstance(claim, CheckClaim) and verdict.status == FAILED and CHECKERS[claim.check].safety:
            yield verdict


def _unless_stalled(history: History, verdict: Verdict) -> Verdict:
    """A missing premise; an error if a part of the harness stood still, because that may be why it is missing."""
    stalls = stood_still(history)
    if not stalls:
        return verdict
    longest = max(stalls, key=lambda stall: stall.lasted_ns)
    return replace(verdict, status=ERROR, because=f"{verdict.because}; {excuse(history, longest)}")


# -- the premise -------------------------------------------------------------------------------------------------


def _missing_premises(scenario: Scenario, history: History) -> Iterator[Verdict]:
    """Faults that were never in place, or that touched nothing while they were."""
    played = {injection.fault: injection for injection in history.injections}
    for fault in scenario.faults:
        because = _did_not_happen(scenario, history, fault, played.get(fault.name))
        if because:
            evidence = played[fault.name].evidence if fault.name in played else ()
            expected = f"{fault.kind} is injected and touches something"
            yield Verdict(fault.name, VACUOUS, f"{_fault(fault)} {because}", expected, because, evidence, fault.line)


def _with_cause(history: History, verdict: Verdict) -> Verdict:
    """A check that had nothing to judge, with the first failure of the run: that may be why."""
    failure = first_failure(history)
    return replace(verdict, because=f"{verdict.because}; the first failure: {failure}") if failure else verdict


def _did_not_happen(scenario: Scenario, history: History, fault: Fault, injection: Injection | None) -> str:
    """Why a fault did not do what it is there for, what came first first; empty if it did."""
    if injection is None:
        return f"was never injected: {why_never(history, scenario, fault.after) or 'its moment never came'}"
    if injection.injected_ns is None:
        return f"was never injected{f': {injection.failed}' if injection.failed else ''}{_before(history, injection)}"
    if injection.touched is False:
        facts = ", ".join(f"{name} {value}" for name, value in injection.facts.items())
        return f"touched nothing{f' ({facts})' if facts else ''}{_before(history, injection)}"
    return ""


def _before(history: History, injection: Injection) -> str:
    """What had failed before a fault was to be injected, of the ranks that it was to hit."""
    tried_ns = injection.tried_ns if injection.injected_ns is None else injection.injected_ns
    failure = "" if tried_ns is None else first_failure(history, injection.ranks, tried_ns)
    return f"; before, {failure}" if failure else ""


def _fault(fault: Fault) -> str:
    return f"the fault {fault_named(fault.name, fault.kind)}"


# -- what a reader should know -----------------------------------------------------------------------------------


def _unnamed_calls(scenario: Scenario, history: History) -> int:
    """How many calls began that no claim names; the unwritten end of a process does not count."""
    named = {id(call) for claim in scenario.expect for call in named_calls(scenario, history, claim)}
    begun = [call for call in history.calls if call.invoke is not None and call.step != EXIT]
    return sum(id(call) not in named for call in begun)


def _notes(
    scenario: Scenario, history: History, standing: dict[str, Verdict], claims: tuple[Verdict, ...]
) -> Iterator[str]:
    for injection in history.injections:
        if injection.injected_ns is not None and injection.touched is None:
            yield f"unproven: whether {injection.fault} touched anything cannot be measured"
    for kind, reason in scenario.waived.items():
        verdict = standing.get(kind)
        broken = f"; it was broken: {verdict.because}" if verdict is not None and verdict.status != PASSED else ""
        yield f"{kind} is waived: {reason}{broken}"
    yield from each_part(history)
    yield from (f"{it.name} holds with the lateness measured: {it.because}" for it in claims if it.granted_ns)
    yield from _waits(scenario, history)
    world = mapping(history.begin.get("world"))
    if world.get("private_network") is False:
        lookups = world.get("lookups")
        yield "the world ran on the host's network" + (f"; look-ups: {lookups}" if lookups else "")


def _waits(scenario: Scenario, history: History) -> Iterator[str]:
    """Who waited for whom; it explains a verdict and never changes one."""
    try:
        sentence = who_waits(scenario, history).sentence
    except Exception as error:
        yield f"who waited for whom is not known: {_why_not_judged('finding it', error)}"
    else:
        if sentence and not any(describe_stall(history, stall) in sentence for stall in stood_still(history)):
            yield sentence
