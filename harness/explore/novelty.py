"""What was seen in a run, as a set of short texts: a text that no earlier run had is new.

No rank number, time, port, run id, name of a step or key of the workload enters, so that two runs which differ only in
these have the same features.

What cannot be seen: the state of a static-strict master. It joins over its own endpoint, which no proxy server
decodes; so the state of the keeper is that of its `rendezvous` call, while that of a joiner is the kind of key that its
link asked for last.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from harness.explore.profile import MASTER, role_of
from harness.history.joins import joins
from harness.history.timed_calls import timed_call
from harness.scenario.scenario import EXIT, Fault, Scenario
from harness.values.history import Call, History, Injection
from harness.values.quantity import SLACK_NS
from harness.values.wire import PASSED, WireMessage

MOST_FEATURES = 1000
"""Of one run; beyond them the last ones in alphabetical order are left out."""

LONGEST_FEATURE = 200
"""Characters; what is longer is cut."""

NOTHING, OPENED, ENDED = "-", "^", "$"
"""In place of a message: there is none, a connection begins, a sequence ends."""

_SOON = " <T/4"
STRICT = "static-strict"
_STRICT_STAGES = {
    "": "runs", "=": "record", "v": "version", "r": "roster", "w": "late", "s": "slot", "t": "call", "a": "answer",
    "c": "decision", "x": "closed",
}  # fmt: skip
_STRICT_KEY = re.compile(r"\+(?:\?|(=).*|[0-9a-f]+\.(?:[0-9]+)?([vrwstacx]).*)", re.DOTALL)


def features(scenario: Scenario, history: History) -> frozenset[str]:
    """The features of one run: of its calls, its messages, its faults, and the stages of a static-strict join."""
    found = {
        *_of_calls(scenario, history),
        *_of_messages(scenario, history),
        *_of_faults(scenario, history),
        *_of_stages(scenario, history),
    }
    cut = {feature[:LONGEST_FEATURE] for feature in found}
    return frozenset(cut if len(cut) <= MOST_FEATURES else sorted(cut)[:MOST_FEATURES])


# -- calls -------------------------------------------------------------------------------------------------------------


def _of_calls(scenario: Scenario, history: History) -> Iterator[str]:
    """How each call ended, and what it followed in its thread if one of both did not go smoothly.

    Pairs, not whole sequences: a sequence as one feature would be new for each new workload, whatever happened in it.
    For the same reason there is no pair of two calls that went smoothly: it only says what the workload is. A skipped
    call is in no pair: what came before says why it was skipped.
    """
    sequences: dict[tuple[int, str], list[tuple[str, bool]]] = defaultdict(list)
    for call in history.calls:
        role = role_of(scenario, call.rank)
        if call.invoke is None:
            yield f"call {role} {call.f} {call.outcome}"
            continue
        what, is_smooth = _call(scenario, history, call)
        yield f"call {role} {what}"
        sequences[call.rank, call.thread].append((what, is_smooth))
    for (rank, _), calls in sequences.items():
        role = role_of(scenario, rank)
        for (first, is_smooth), (then, was_smooth) in pairwise(calls):
            if first != then and not (is_smooth and was_smooth):
                yield f"calls {role} {first} > {then}"


def _call(scenario: Scenario, history: History, call: Call) -> tuple[str, bool]:
    """Verb, outcome, class of the error, how long it took in timeouts, and whether it is of a later life.

    Also whether the call went smoothly: it was `ok`, soon, in the first life.
    """
    error = "" if call.error is None else f" {call.error.kind}"
    took, life = _bucket(scenario, history, call), "" if call.life == 1 else " again"
    is_smooth = call.outcome == "ok" and took in ("", _SOON) and not life
    return f"{call.f} {call.outcome}{error}{took}{life}", is_smooth


def _bucket(scenario: Scenario, history: History, call: Call) -> str:
    """How long the call took, in timeouts; the time for which the machine let its processes wait does not count."""
    elapsed_ns, timeout_ns = call.elapsed_ns, scenario.world.timeout_ns
    if elapsed_ns is None or call.step == EXIT or call.f == "sleep":
        return ""
    timed = timed_call(scenario, history, call)
    if timed is not None:
        timeout_ns = max(1, timed.timeout_ns)
        if elapsed_ns >= timeout_ns / 4:
            elapsed_ns -= timed.lateness.total_ns
    if elapsed_ns < timeout_ns / 4:
        return _SOON
    # A call that raises at its timeout took no less, however late the machine was.
    if elapsed_ns < timeout_ns and not (call.outcome == "failed" and (call.elapsed_ns or 0) >= timeout_ns):
        return " <T"
    return " <T+1" if elapsed_ns < timeout_ns + SLACK_NS else " later"


def _collapsed(items: Iterable[str]) -> Iterator[str]:
    last = None
    for item in items:
        if item != last:
            yield item
        last = item


# -- messages ----------------------------------------------------------------------------------------------------------


def _of_messages(scenario: Scenario, history: History) -> Iterator[str]:
    """Which message, injection or healing followed which on one connection."""
    faults = {fault.name: fault for fault in scenario.faults}
    for connection in _connections(history):
        rank = connection[0].rank
        marks = sorted(_marks(history, faults, rank))
        events = [(_went_on_ns(message), _message(message)) for message in connection]
        opened_ns = connection[0].time_ns
        under = "+".join(sorted({mark.removeprefix("inject ") for mark in _active(history, faults, rank, opened_ns)}))
        sequence = [f"{OPENED} under {under}" if under else OPENED]
        later = [(time_ns, mark) for time_ns, mark in marks if time_ns >= opened_ns]
        sequence += (what for _, what in sorted([*events, *later], key=lambda event: event[0]))
        sequence.append(ENDED)
        yield from (f"wire {first} > {then}" for first, then in pairwise(_collapsed(sequence)))


def _connections(history: History) -> Iterable[Sequence[WireMessage]]:
    """The messages of each connection. A link may have several at once, whose order says nothing."""
    found: dict[int, list[WireMessage]] = defaultdict(list)
    for message in history.wire.messages if history.wire is not None else ():
        found[message.connection].append(message)
    return found.values()


def _message(message: WireMessage) -> str:
    fate = "" if message.fate == PASSED else f" {message.fate}"
    return f"{message.side} {message.kind}{fate}"


def _went_on_ns(message: WireMessage) -> int:
    """When it was sent on: what waits in the proxy server while a fault is injected comes after the fault."""
    return message.time_ns if message.sent_ns is None else message.sent_ns


def _marks(history: History, faults: dict[str, Fault], rank: int) -> Iterator[tuple[int, str]]:
    """The times at which a fault that concerns a rank was in place, and was healed."""
    for injection in history.injections:
        if injection.injected_ns is None or not _concerns(injection, rank):
            continue
        what = _kind(faults, injection)
        yield injection.injected_ns, f"inject {what}"
        if injection.healed_ns is not None:
            yield injection.healed_ns, f"heal {what}"


def _active(history: History, faults: dict[str, Fault], rank: int, time_ns: int) -> Iterator[str]:
    for injection in history.injections:
        placed_ns, healed_ns = injection.injected_ns, injection.healed_ns
        begun = placed_ns is not None and placed_ns < time_ns
        if begun and (healed_ns is None or time_ns < healed_ns) and _concerns(injection, rank):
            yield _kind(faults, injection)


def _concerns(injection: Injection, rank: int) -> bool:
    """Whether a fault is about a rank; one without ranks, of a port or a host, is about all."""
    return not injection.ranks or rank in injection.ranks


def _kind(faults: dict[str, Fault], injection: Injection) -> str:
    fault = faults.get(injection.fault)
    return f"{injection.kind} {fault.stream}" if fault is not None and fault.stream else injection.kind


# -- faults ------------------------------------------------------------------------------------------------------------


def _of_faults(scenario: Scenario, history: History) -> Iterator[str]:
    """For each fault and rank: the last message before it was in place, and how the rank fared afterwards."""
    faults = {fault.name: fault for fault in scenario.faults}
    messages = history.wire.messages if history.wire is not None else ()
    passed = sorted((message for message in messages if message.fate == PASSED), key=_went_on_ns)
    for injection in history.injections:
        what = _kind(faults, injection)
        if injection.injected_ns is None:
            yield f"fault {what} refused"
            continue
        if injection.touched is False:
            yield f"fault {what} untouched"
        for rank in injection.ranks or range(scenario.world.size):
            role = role_of(scenario, rank)
            links = [message for message in passed if message.rank == rank or role == MASTER]
            before = _last_before(links, injection.injected_ns)
            yield f"fault {what} {role} after {before} then {_fared(history, rank, injection.injected_ns)}"


def _last_before(messages: Sequence[WireMessage], time_ns: int) -> str:
    """The last message before a time; of the master, who has no link, on any link."""
    index = bisect_right([_went_on_ns(message) for message in messages], time_ns)
    return _message(messages[index - 1]) if index else NOTHING


def _fared(history: History, rank: int, since_ns: int) -> str:
    """The first call that ended otherwise than `ok` from then on, by verb, outcome and error; `ok` if all were."""
    for call in history.calls:
        is_later = call.ended_ns is None or call.ended_ns >= since_ns
        if call.rank == rank and call.step != EXIT and is_later and call.outcome != "ok":
            error = "" if call.error is None else f" {call.error.kind}"
            return f"{call.f} {call.outcome}{error}"
    return "ok"


# -- the stages of a static-strict join --------------------------------------------------------------------------------


def _of_stages(scenario: Scenario, history: History) -> Iterator[str]:
    """Pairs of the state of the keeper, who serves the run, and the stage of a joiner, by its queries in order."""
    if history.begin.get("subject") != STRICT or history.wire is None:
        return
    changes = sorted(_keeper_changes(history))
    times = [time_ns for time_ns, _ in changes]
    for message in history.wire.messages:
        stage = _stage(message)
        if message.side == "query" and stage:
            index = bisect_right(times, message.time_ns)
            keeper = changes[index - 1][1] if index else "absent"
            fate = "" if message.fate == PASSED else f" {message.fate}"
            yield f"stages keeper {keeper} joiner {stage}{fate}"


def _keeper_changes(history: History) -> Iterator[tuple[int, str]]:
    """When the keeper's join began, and how it ended."""
    for join in joins(history):
        if join.is_master:
            yield join.begun_ns, "joining"
            if join.call.ended_ns is not None:
                yield join.call.ended_ns, f"joined {join.call.outcome}"


def _stage(message: WireMessage) -> str:
    """What a query is about, if its first key is one of the join's own; else empty."""
    match = _STRICT_KEY.fullmatch(message.keys[0].removeprefix("/")) if message.keys else None
    if match is None:
        return ""
    return f"{message.kind} {_STRICT_STAGES[match[1] or match[2] or '']}"


# -- noise -------------------------------------------------------------------------------------------------------------


class Noise:
    """Learns from replays which features come and go by themselves: those seen in under half of a draft's replays.

    Over several drafts it counts the replays of those drafts that had the feature at all.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._replays: Counter[str] = Counter()

    def learn(self, replays: Sequence[Iterable[str]]) -> None:
        """The features of each replay of one draft; a single one tells nothing."""
        if len(replays) < 2:
            return
        times = Counter(feature for replay in replays for feature in set(replay))
        for feature, seen in times.items():
            self._seen[feature] += seen
            self._replays[feature] += len(replays)

    def is_noise(self, feature: str) -> bool:
        """False for a feature that was never seen in replays."""
        return 2 * self._seen[feature] < self._replays[feature]

    def without(self, found: Iterable[str]) -> frozenset[str]:
        """These features without the noise."""
        return frozenset(feature for feature in found if not self.is_noise(feature))
