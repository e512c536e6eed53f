"""No call sees or changes a key that only another run id, or an earlier round of its own, wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.joins import Rounds, configured_run_id
from harness.history.keys import (
    Count,
    Sighting,
    WireKeys,
    Write,
    deletes_of,
    explained,
    keys_of,
    names_on_wire,
    possible_counts,
    sightings_of,
    wire_keys,
    writes_of,
)
from harness.history.wording import describe_call
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import Call, History
from harness.values.verdict import Verdict


@dataclass(frozen=True)
class Tenant:
    """The owner of keys: a run id, in one of its rounds; in one of several where the history does not say in which."""

    run_id: str
    rounds: range

    def owns(self, writer: Tenant) -> bool:
        """Whether the tenant may see a key of that writer; what a later round wrote is not judged."""
        return self.run_id == writer.run_id and writer.rounds[-1] >= self.rounds[0]

    def __str__(self) -> str:
        return f"run {self.run_id}, round {' or '.join(map(str, self.rounds))}"


@dataclass(frozen=True)
class _Touch:
    """A call by which a tenant may have written a key, or (without a write) deleted it."""

    tenant: Tenant
    call: Call
    write: Write | None = None


@CHECKERS.register("prefix_isolation")
class PrefixIsolation(Checker):
    """Values show whose write was seen, where they can; a write with an unknown outcome may have been done or not."""

    declaration = Declaration(
        kind="prefix_isolation",
        summary="no call sees or changes a key that only another run id, or an earlier round of its own, wrote",
        example="{check: prefix_isolation}",
        details=(
            "The round is what the subject reports, else how often this handler has returned in this life; behind a"
            " join that its guard ended, and that may have returned late, it may be the round before too. Run ids that"
            " contain slashes are judged by the whole path too: key `b/x` of run `a` is not key `x` of run `a/b`."
            " `num_keys` is not judged. Where the proxy server reads the store's protocol, the keys on the wire are"
            " further proof: a key that a call of one run wrote must not be named by another run."
        ),
    )
    standing = True
    safety = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        used = _used(scenario, history)
        tenants = {tenant for _, tenant in used}
        if len(tenants) < 2:
            return self.nothing("fewer than two run ids or rounds used a store")
        touches = _Touches(used)
        findings = [finding for call, tenant in used for finding in _trespasses(call, tenant, touches)]
        seen = _seen_on_wire(scenario, history, used)
        shared = list(_shared_on_wire(seen))
        fine = f"{len(used)} calls of {len(tenants)} run ids and rounds kept to their own keys"
        if len({run_id for run_id, _ in seen}) > 1:
            on_wire = {key for _, one in seen for key in one.keys}
            fine += f", and each of {len(on_wire)} keys on the wire is of one run only"
        return self.verdict([*findings, *shared], fine)


def _seen_on_wire(scenario: Scenario, history: History, used: list[tuple[Call, Tenant]]) -> list[tuple[str, WireKeys]]:
    """The keys of calls that each link carried, with their run; links that serve several runs are left out."""
    named: dict[int, set[str]] = {}
    for call, _ in used:
        named.setdefault(call.rank, set()).update(keys_of(call), (write.key for write in writes_of(call)))
    found = []
    for one in wire_keys(history):
        runs = _runs_of_link(scenario, one.rank)
        # What a join itself keeps in the store is not judged here; `agreement` judges joins.
        keys = {key: kinds for key, kinds in one.keys.items() if names_on_wire(key, named.get(one.rank, ()))}
        if len(runs) == 1 and keys:
            found.append((runs.pop(), replace(one, keys=keys)))
    return found


def _runs_of_link(scenario: Scenario, rank: int) -> set[str]:
    ranks = scenario.world.ranks
    configs = ranks[rank].handlers.values() if rank < len(ranks) else ()
    return {config.run_id for config in configs if config.rank != 0}


def _shared_on_wire(seen: list[tuple[str, WireKeys]]) -> Iterator[Finding]:
    """Keys that one run wrote and another named, byte for byte: proof whatever the values were."""
    for writer_run, writer in seen:
        for other_run, other in seen:
            for key in sorted(writer.keys.keys() & other.keys.keys()) if writer_run != other_run else ():
                if writer.writes(key):
                    who = f"rank {other.rank} (run {other_run})"
                    yield Finding(
                        f"{who} named key {key!r} on the wire, which rank {writer.rank} (run {writer_run}) wrote",
                        f"key {key!r} of run {writer_run} on the wire of run {other_run}",
                        (writer.evidence, other.evidence),
                    )


def _used(scenario: Scenario, history: History) -> list[tuple[Call, Tenant]]:
    """Every call that may have touched a key, and the tenant whose store it used."""
    rounds = Rounds(history)
    return [
        (call, Tenant(configured_run_id(scenario, call), rounds.at(call)))
        for call in history.calls
        if writes_of(call) or deletes_of(call) or sightings_of(call)
    ]


class _Touches:
    """Which tenants may have written or deleted what: by key, and by the key with the run id before it."""

    def __init__(self, used: list[tuple[Call, Tenant]]) -> None:
        self._by_key: dict[str, dict[Tenant, list[_Touch]]] = {}
        self._by_path: dict[str, dict[Tenant, list[_Touch]]] = {}
        for call, tenant in used:
            for write in writes_of(call):
                self._remember(write.key, _Touch(tenant, call, write))
            for key in deletes_of(call):
                self._remember(key, _Touch(tenant, call))

    def _remember(self, key: str, touch: _Touch) -> None:
        for index, place in ((self._by_key, key), (self._by_path, f"{touch.tenant.run_id}/{key}")):
            index.setdefault(place, {}).setdefault(touch.tenant, []).append(touch)

    def own(self, call: Call, tenant: Tenant, key: str) -> list[_Touch]:
        """What the tenant may have done to the key by the end of the call, without the call itself."""
        return [
            touch
            for writer, touches in self._by_key.get(key, {}).items()
            if tenant.owns(writer)
            for touch in touches
            if touch.call is not call and _before_end(touch, call)
        ]

    def foreign(self, call: Call, tenant: Tenant, key: str) -> list[_Touch]:
        """What others may have written by the end of the call, under that key or under the same path."""
        writers = {**self._by_path.get(f"{tenant.run_id}/{key}", {}), **self._by_key.get(key, {})}
        return [
            touch
            for writer, touches in writers.items()
            if not tenant.owns(writer)
            for touch in touches
            if touch.write is not None and _before_end(touch, call)
        ]


def _before_end(touch: _Touch, call: Call) -> bool:
    return (touch.call.begun_ns or 0) <= (call.ended_ns or 0)


def _trespasses(call: Call, tenant: Tenant, touches: _Touches) -> Iterator[Finding]:
    for sighting in sightings_of(call):
        foreign = touches.foreign(call, tenant, sighting.key)
        if not foreign:
            continue
        own = touches.own(call, tenant, sighting.key)
        if _is_trespass(call, sighting, own, foreign):
            yield _finding(call, tenant, sighting, _culprit(sighting, foreign))


def _is_trespass(call: Call, sighting: Sighting, own: list[_Touch], foreign: list[_Touch]) -> bool:
    if isinstance(sighting.seen, Count):
        return _is_foreign_count(call, sighting.seen, own)
    if not any(touch.write for touch in own):
        return True
    if sighting.seen is None or explained(sighting.seen, _writes(own)):
        return False
    return explained(sighting.seen, _writes([*own, *foreign]))


def _is_foreign_count(call: Call, count: Count, own: list[_Touch]) -> bool:
    """Whether a count cannot result from the tenant's own adds; unknown (False) once it also set or deleted the key."""
    if any(touch.write is None or touch.write.kind != "add" for touch in own):
        return False
    adds = [(write.value, _is_certain(touch.call, call)) for touch in own if (write := touch.write)]
    least, most = possible_counts(adds)
    return not least <= count.result - count.amount <= most


def _is_certain(earlier: Call, later: Call) -> bool:
    return earlier.outcome == "ok" and (earlier.ended_ns or 0) <= (later.begun_ns or 0)


def _writes(touches: list[_Touch]) -> list[Write]:
    return [touch.write for touch in touches if touch.write is not None]


def _culprit(sighting: Sighting, foreign: list[_Touch]) -> _Touch:
    """The write that it most likely saw: the last of this very value, else the last."""
    exact = [touch for touch in foreign if touch.write is not None and touch.write.value == sighting.seen]
    return (exact or foreign)[-1]


def _finding(call: Call, tenant: Tenant, sighting: Sighting, culprit: _Touch) -> Finding:
    seen = sighting.seen.result if isinstance(sighting.seen, Count) else sighting.seen
    what = f"key {sighting.key!r}" + ("" if seen is None else f" = {seen!r}")
    writer = f"{describe_call(culprit.call)} ({culprit.tenant})"
    verb = "deleted" if call.f == "delete_key" else "saw"
    return Finding(
        f"{describe_call(call)} ({tenant}) {verb} {what}, which is not its own: {writer} wrote it",
        f"{verb} {what} of {culprit.tenant}",
        (*culprit.call.evidence, *call.evidence),
    )
