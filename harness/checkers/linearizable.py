"""The calls on each key could have happened one after another, as torch documents them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.disturbances import Disturbances
from harness.history.joins import Join, configured_run_id, joins, recorded_round
from harness.history.keys import keys_of, writes_of
from harness.history.stalls import explanation
from harness.history.timed_calls import timed_call
from harness.history.undisturbed import ANSWERED_WITHIN_NS, is_undisturbed
from harness.history.wording import counted, describe_call, joined
from harness.linearizability.calls import NO_REPLY, STORE_VERBS, Timed, mixed_keys, queue_keys, timed
from harness.linearizability.components import Component, components, decide
from harness.linearizability.counts import too_few
from harness.linearizability.explain import described, evidence, explained
from harness.linearizability.search import UNDECIDED, Budget
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import Call, History
from harness.values.quantity import format_ns
from harness.values.verdict import ERROR, Verdict

STEPS = 300_000
"""For all searches of one check: some seconds."""
STEPS_TO_EXPLAIN = 100_000
LARGEST_SUM, DIGITS = 2**63 - 1, 20
"""Of a sum in torch's server; a number of so many digits is larger."""


@CHECKERS.register("linearizable")
class Linearizable(Checker):
    """Each prefix has its own keys. What cannot be decided is an error, never passed and never failed."""

    declaration = Declaration(
        kind="linearizable",
        summary="the calls on each key could have happened one after another, each between its begin and its end",
        attributes=(
            Attribute("keys", "keys", "the keys to judge", default=None, default_text="all"),
            Attribute(
                "strict",
                "flag",
                "whether `ok` of a write without reply means done, and multi_set is atomic",
                default=False,
            ),
        ),
        example="{check: linearizable, keys: [counter], strict: true}",
        details=(
            "Judged by a model of each verb as torch documents it: a key is missing or holds a text; `add` reads the"
            " number that the text begins with, and 0 if the key is missing; `compare_set` sets a missing key if it"
            ' expects "", else may return what it expects; queues are first in, first out. A call that failed, hung'
            " or died after its begin may have been done at any later time, or never. `set`, `append`, `multi_set` and"
            " `queue_push` have no reply: unless `strict`, the same is true of them until a later call of the same"
            " thread on the same store is answered, and `multi_set` and `multi_get` are one call for each key. With"
            " `strict`, `ok` means done, and both are atomic. `check` is always atomic, `wait` never. Where the proxy"
            " server decodes the store's protocol, a write whose query never left it is not done. `num_keys` must count"
            " at least the keys that were certainly there; torch counts those of other prefixes too. Not judged: a key"
            " used both as a queue and as a value. In `invariants`, a `get`, `multi_get` or `wait` that ended by its"
            f" timeout has found a key missing, if the timeout was {format_ns(ANSWERED_WITHIN_NS)} at least, no fault"
            " was on its rank, a master, the port or a host since its join, its server was there, and no other thread"
            " of its process made a call meanwhile. If the search does not end within its steps, or the run had several"
            " rounds that the subject does not report, or several servers, the verdict is `error`: it is unknown."
        ),
    )
    safety = True
    explored = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        keys, strict = parameters.get("keys"), bool(parameters.get("strict"))
        wanted = None if keys is None else frozenset([keys] if isinstance(keys, str) else map(str, keys))
        found = _Results()
        budget = Budget(STEPS)
        for prefix, calls in _by_prefix(scenario, history).items():
            judged = _judged(history, calls, _Reading(strict, strict, wanted), budget)
            found.add(judged, _not_one_store(history, prefix))
        return self._verdict(found)

    def explore(self, scenario: Scenario, history: History) -> Verdict:
        """With what the subject promises, and only of prefixes that one server served in one round."""
        found = _Results()
        budget = Budget(STEPS)
        disturbances = Disturbances(scenario, history)
        for prefix, calls in _by_prefix(scenario, history).items():
            if not _not_one_store(history, prefix):
                reading = replace(_as_promised(disturbances, calls), found_missing=_FoundMissing(disturbances))
                found.add(_judged(history, calls, reading, budget), "")
        return self._verdict(found)

    def _verdict(self, found: _Results) -> Verdict:
        if found.findings:
            return self.verdict(found.findings, "")
        if found.unknown:
            return Verdict(self.declaration.kind, ERROR, "; ".join(found.unknown), self.declaration.summary)
        if not found.keys:
            return self.nothing(f"no call returned anything about a key{found.mixed}")
        perhaps = f", {counted(found.maybes, 'call')} of unknown outcome" if found.maybes else ""
        return self.verdict(
            (), f"{counted(found.calls, 'call')} on {counted(found.keys, 'key')} fit an order{perhaps}{found.mixed}"
        )


@dataclass(frozen=True, order=True)
class _Prefix:
    """What keys belong to: a run, and a round if the subject reports it (else 0)."""

    run_id: str
    round: int


@dataclass(frozen=True)
class _Judged:
    """The verdict on the keys of one prefix."""

    findings: tuple[Finding, ...]
    undecided: tuple[str, ...]
    judged: tuple[Component, ...]
    mixed: frozenset[str]


class _Results:
    """What was found, over all prefixes."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.unknown: list[str] = []
        self.calls = self.maybes = self.keys = 0
        self._mixed: set[str] = set()

    def add(self, judged: _Judged, not_one_store: str) -> None:
        if not_one_store and (judged.judged or judged.findings):
            self.unknown.append(f"unknown: {not_one_store}")
            return
        self.findings.extend(judged.findings)
        self.unknown.extend(judged.undecided)
        self._mixed.update(judged.mixed)
        for component in judged.judged:
            self.keys += len(component.keys)
            self.calls += sum(part.must for part in component.parts)
            self.maybes += sum(not part.must for part in component.parts)

    @property
    def mixed(self) -> str:
        """A remark on keys that were left out."""
        if not self._mixed:
            return ""
        return f"; not judged, because used both as queue and as value: {joined(sorted(map(repr, self._mixed)))}"


def _by_prefix(scenario: Scenario, history: History) -> dict[_Prefix, list[Call]]:
    """The calls that can say something, by prefix."""
    found: dict[_Prefix, list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.invoke is not None and call.f in STORE_VERBS:
            found[_prefix(scenario, call)].append(call)
    return found


def _prefix(scenario: Scenario, call: Call) -> _Prefix:
    return _Prefix(configured_run_id(scenario, call), recorded_round(call) or 0)


@dataclass(frozen=True)
class _Reading:
    """How calls are read: as `timed` has it, and the keys to judge (None is all)."""

    strict: bool
    atomic: bool
    wanted: frozenset[str] | None = None
    found_missing: Callable[[Call], bool] = lambda call: False


@dataclass(frozen=True)
class _FoundMissing:
    """Whether a call has waited for keys until its timeout, and not all were there when the server was asked.

    The server answers at once if they are. So it is if the server could answer, the timeout was long enough for that on
    a machine that was late, and no other call of the process, whose end the call may have waited for (F17), was under
    way.
    """

    disturbances: Disturbances

    def __call__(self, call: Call) -> bool:
        scenario, history = self.disturbances.scenario, self.disturbances.history
        waited = timed_call(scenario, history, call)
        return (
            waited is not None
            and min(waited.timeout_ns, call.elapsed_ns or 0) >= ANSWERED_WITHIN_NS
            and waited.timeout_ns - waited.lateness.total_ns >= ANSWERED_WITHIN_NS // 2
            and scenario.world.torchrun is None
            and is_undisturbed(self.disturbances, call, joins(history))
            and not any(_is_beside(other, call) for other in history.calls)
            and explanation(history, history.window_of(call)) is None
        )


def _is_beside(other: Call, call: Call) -> bool:
    """Whether another thread of the call's process made a call in its time."""
    return (
        (other.rank, other.life) == (call.rank, call.life)
        and other.thread != call.thread
        and other.begun_ns is not None
        and other.begun_ns <= (call.ended_ns or 0)
        and (other.ended_ns is None or other.ended_ns >= (call.begun_ns or 0))
    )


def _as_promised(disturbances: Disturbances, calls: Sequence[Call]) -> _Reading:
    """Static-strict's writes are done when they return, and torch's server keeps no `multi_set` whole (F47).

    Its sums may wrap around, as torch's do (F46): counters that may get so far are not judged. Neither are keys whose
    writes without reply a fault may have dropped: the server answers the request behind them all the same (F09).
    """
    if not disturbances.is_strict:
        return _Reading(strict=False, atomic=False)
    unjudged = _may_wrap_around(calls) | _may_be_lost(disturbances, calls)
    keys = frozenset(key for call in calls for key in (*keys_of(call), *(write.key for write in writes_of(call))))
    return _Reading(strict=True, atomic=False, wanted=keys - unjudged if unjudged else None)


def _may_be_lost(disturbances: Disturbances, calls: Sequence[Call]) -> frozenset[str]:
    """The keys that a rank whose queries were dropped wrote without a reply."""
    ranks = disturbances.losing_queries
    unanswered = (call for call in calls if call.rank in ranks and call.f in NO_REPLY)
    return frozenset(write.key for call in unanswered for write in writes_of(call))


def _may_wrap_around(calls: Sequence[Call]) -> frozenset[str]:
    """The keys whose numbers, all added up, are more than a sum holds."""
    most: dict[str, int] = defaultdict(int)
    for call in calls:
        for write in writes_of(call):
            digits = str(write.value).strip().lstrip("+-")
            if digits.isdecimal():
                most[write.key] += int(digits) if len(digits) < DIGITS else LARGEST_SUM + 1
    return frozenset(key for key, reached in most.items() if reached > LARGEST_SUM)


def _judged(history: History, calls: Sequence[Call], reading: _Reading, budget: Budget) -> _Judged:
    wanted = reading.wanted
    parts, mixed = timed(history, calls, reading.strict, reading.atomic, reading.found_missing), mixed_keys(calls)
    groups = [one for one in components(parts) if wanted is None or not wanted.isdisjoint(one.keys)]
    judged = [one for one in groups if one.tells and mixed.isdisjoint(one.keys)]
    findings, undecided = [], []
    to_explain = Budget(STEPS_TO_EXPLAIN)
    for component in judged:
        found = decide(component, budget, to_explain)
        if found.first is not None:
            findings.append(Finding(explained(component, found), described(found.first), evidence(found)))
        elif found.verdict == UNDECIDED:
            undecided.append(_advice(component))
    if wanted is None:
        queues = queue_keys(calls)  # `num_keys` does not count them, though `check` and `wait` see them
        findings.extend(_too_few(calls, [part for part in parts if queues.isdisjoint(part.action.keys)]))
    shown_mixed = frozenset(key for one in groups for key in one.keys if key in mixed)
    return _Judged(tuple(findings), tuple(undecided), tuple(judged), shown_mixed)


def _advice(component: Component) -> str:
    maybes = sum(not part.must for part in component.parts)
    return (
        f"unknown: the search for an order of the {counted(len(component.parts), 'call')} on"
        f" {joined([repr(key) for key in component.keys])}, {maybes} of them of unknown outcome, did not end within its"
        " steps; use fewer calls or more keys, or let the embedded engine serve, which knows what passed"
    )


def _too_few(calls: Sequence[Call], parts: Sequence[Timed]) -> Iterator[Finding]:
    for found in too_few([call for call in calls if call.f == "num_keys"], parts):
        there = f"{joined([repr(key) for key in found.there])} {'was' if len(found.there) == 1 else 'were'} there"
        yield Finding(
            f"{describe_call(found.call)} counted {counted(found.call.returned, 'key')}, while {there}",
            f"num_keys returned {found.call.returned}",
            tuple(dict.fromkeys(index for call in (*found.proofs, found.call) for index in call.evidence)),
        )


# -- one prefix, one store ---------------------------------------------------------------------------------------


def _not_one_store(history: History, prefix: _Prefix) -> str:
    """Why calls of one prefix may have met different stores; empty if they cannot have."""
    of_run = [join for join in joins(history) if join.run_id == prefix.run_id]
    servers = {(join.call.rank, join.call.life, join.handler) for join in of_run if join.is_master}
    if len(servers) > 1 or _reopened(history, of_run):
        return f"run {prefix.run_id} was served by several servers, one after another; judge each in its own scenario"
    if prefix.round == 0 and _has_rounds(of_run):
        return f"run {prefix.run_id} had several rounds, and the subject does not report which call is of which"
    return ""


def _has_rounds(of_run: Sequence[Join]) -> bool:
    returns: dict[tuple[int, int, str], int] = defaultdict(int)
    for join in of_run:
        returns[join.call.rank, join.call.life, join.handler] += join.returned
    return any(count > 1 for count in returns.values())


def _reopened(history: History, of_run: Sequence[Join]) -> bool:
    """Whether a master joined again after it had let its server go; in another life it is another server anyway."""
    masters = [join for join in of_run if join.is_master]
    for call in history.calls:
        if call.f in ("drop", "shutdown") and call.begun_ns is not None:
            mine = [join for join in masters if join.call.rank == call.rank]
            if any(join.begun_ns < call.begun_ns for join in mine) and any(
                join.begun_ns > call.begun_ns for join in mine
            ):
                return True
    return False
