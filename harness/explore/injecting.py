"""Faults on top of a workload: what is injected, where, at which moment, and when it is healed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.explore.benign import benign_fault
from harness.explore.documents import (
    ALL,
    Document,
    Entry,
    changed,
    choice_of,
    copied,
    faults_of,
    fresh_name,
    joined,
    kind_of,
    masters_of,
    name_of,
    names_of,
    present_of,
    ranks_in,
    size_of,
    steps_of,
    timeout_ns_of,
)
from harness.explore.draft import Profile
from harness.explore.draws import Draws
from harness.explore.moments import (
    AT_START,
    Where,
    at_anchor,
    is_restarted,
    last_places,
    names_messages,
    next_call,
    scope_of,
)
from harness.explore.ranges import MS, fault_attributes, faults_for, written_ns
from harness.explore.traffic import written_share
from harness.faults.base import FAULTS
from harness.history.disturbances import RELEASING

MOST_FAULTS = 4
STREAMS = ("upstream", "downstream", "both")
OTHERS = 0.8
"""How often a further fault is of a kind that is not there yet: two pauses of one rank are one."""
RECONNECTED = 0.35
"""How often the ranks of a link that is hit open one more connection under the fault."""
MOST_BODY = 8
"""Steps that leave room for the coda."""
BENIGN_AT_START = 0.4
"""How often a benign fault of a link is there before its rank's greeting (F01)."""
CLOSING = (*RELEASING, "cycle", "exit")
"""Verbs that end connections."""
NEXT = 0.5
"""How often the values of a fault speak of the call that waits for it only, and of nothing that comes later."""
PARTIAL = 0.04
"""How often a toxic hits half of the connections only."""
SHORTEST_NS = 150 * MS
"""The least time until a fault is healed: what waits for it must begin meanwhile."""
SHORTEST_AT_START_NS = 200 * MS
"""The same for a fault that is there before the ranks are."""


@dataclass(frozen=True)
class Placing:
    """How faults are placed in one draft.

    Attributes:
        where: draws the moment, given the document so far and the layer of the fault.
        gates: how often the steps that come next wait for the fault, so that it is in place when they begin.
        heals: whether every fault is healed some time after its injection, so that a coda can follow.
    """

    where: Callable[[Draws, Document, Profile, str], Where]
    gates: float
    heals: bool


def with_fault(
    draws: Draws, document: Mapping[str, Any], profile: Profile, kinds: Mapping[str, float], placing: Placing
) -> tuple[Document, str]:
    """The document with one fault more, of a kind drawn by weight, and its cell."""
    found = copied(document)
    there = {fault["inject"] for fault in faults_of(found)}
    new = {kind: weight for kind, weight in kinds.items() if kind not in there}
    kind = draws.weighted(new if new and draws.chance(OTHERS) else kinds)
    where = placing.where(draws, found, profile, FAULTS[kind].layer)
    if FAULTS[kind].wants == "nobody" and placing.where is at_anchor and not is_restarted(found):
        where = Where(None, AT_START)  # the master listens from then on
    return with_fault_at(draws, found, profile, kind, where, placing)


def kinds_for(document: Mapping[str, Any]) -> list[str]:
    """The faults that can touch something in this world and workload, sorted."""
    closes = any(step["do"] in CLOSING for step in steps_of(document))
    found = faults_for(kind_of(document))
    return sorted(kind for kind, member in found.items() if closes or member.wants != "closing")


def with_fault_at(
    draws: Draws,
    document: Mapping[str, Any],
    profile: Profile,
    kind: str,
    where: Where,
    placing: Placing,
    ranks: tuple[int, ...] | None = None,
) -> tuple[Document, str]:
    """The document with a fault of this kind, at this moment, and its cell; the ranks are drawn if they are not given.

    A kind for which no attributes fit becomes `pause`, which needs none.
    """
    found = copied(document)
    ranks = _targets(draws, kind, where, found, profile) if ranks is None else ranks
    held = next_call(found, profile, where, ranks) if draws.chance(placing.gates) else None
    place, waiting = (where.place, "") if held is None else held
    scope = scope_of(found, profile, place, ranks, waiting, held is not None and draws.chance(NEXT))
    if where.place >= 0 and not scope.words and names_messages(kind):
        # None of its messages comes later; nearly every such fault would touch nothing.
        return with_fault_at(draws, found, profile, kind, Where(None, AT_START), placing, ranks)
    attributes = fault_attributes(draws, kind, kind_of(found), ranks, scope)
    if attributes is None:
        return with_fault_at(draws, document, profile, "pause", where, placing, ranks or (0,))
    member = FAULTS[kind]
    fault: Entry = {"id": fresh_name(kind.removeprefix("x_").replace("_", "-"), names_of(found)), "inject": kind}
    if member.layer != "port":
        chosen = choice_of(ranks, size_of(found))
        fault["ranks"] = ALL if chosen is None else chosen
    if member.toxic:
        fault["stream"] = draws.choice(STREAMS)
    fault |= attributes
    if member.toxic and draws.chance(PARTIAL):
        fault["toxicity"] = 0.5
    if where.moment is not None:
        fault["after"] = where.moment
    fault |= _healing(draws, found, placing, where)
    if held is not None:
        found = _gated(found, held[1], name_of(fault))
        is_due = draws.chance(1 if member.wants == "connecting" else RECONNECTED)
        if member.layer == "link" and is_due and len(steps_of(found)) < MOST_BODY:
            found = _reconnected(found, held[1], ranks)
    found["faults"] = [*faults_of(found), fault]
    return found, cell_of(fault, where, found)


def with_benign_fault(
    draws: Draws, document: Mapping[str, Any], profile: Profile, placing: Placing
) -> tuple[Document, str]:
    """The document with a fault that changes nothing, and its cell."""
    found = copied(document)
    drawn = benign_fault(draws, found)
    where = placing.where(draws, found, profile, FAULTS[drawn["inject"]].layer)
    if FAULTS[drawn["inject"]].layer == "link" and draws.chance(BENIGN_AT_START):
        where = Where(None, AT_START)
    kind, length = drawn.pop("inject"), drawn.pop("for", None) or written_share(draws, timeout_ns_of(found), 0.05, 1)
    (rank, *_) = _targets(draws, kind, where, found, profile)
    fault: Entry = {"id": fresh_name(kind, names_of(found)), "inject": kind, "ranks": rank, **drawn}
    if where.moment is not None:
        fault["after"] = where.moment
    fault["for"] = length
    found["faults"] = [*faults_of(found), fault]
    return found, cell_of(fault, where, found)


def cell_of(fault: Entry, where: Where, document: Document) -> str:
    """What the budget of a fault counts."""
    ranks = ranks_in(fault.get("ranks"), size_of(document))
    is_port = FAULTS[fault["inject"]].layer == "port"
    role = "master" if is_port or masters_of(document) & {*ranks} else "worker"
    return f"{fault['inject']}|{fault.get('stream', '')}|{role}|{where.kind}"


def _targets(draws: Draws, kind: str, where: Where, document: Document, profile: Profile) -> tuple[int, ...]:
    """The ranks that a fault hits: mostly the one whose moment it is."""
    layer = FAULTS[kind].layer
    if layer == "port":
        return ()
    present, masters = present_of(document), masters_of(document)
    able = [rank for rank in present if layer != "link" or rank not in masters]
    able = able or [rank for rank in range(size_of(document)) if layer != "link" or rank not in masters]
    if layer == "link" and draws.chance(0.15):
        return tuple(able)
    if where.rank in able and draws.chance(0.7):
        return (where.rank,)
    last = last_places(profile)
    able = [rank for rank in able if last.get(rank, -1) > where.place] or able
    served = [rank for rank in able if rank in masters]
    return (draws.choice(served if served and draws.chance(0.5) else able),)


def _healing(draws: Draws, document: Document, placing: Placing, where: Where) -> Entry:
    """`for` or `until`; nothing if it lasts until the end of the play."""
    shortest_ns = SHORTEST_NS if where.moment is not None else SHORTEST_AT_START_NS
    length = written_ns(int(draws.log_uniform(shortest_ns, 3 * timeout_ns_of(document) // 2)) // MS * MS)
    form = "for" if placing.heals else draws.weighted({"for": 4, "until": 2, "never": 4})
    if form == "until":
        return {"until": {"step": name_of(draws.choice(steps_of(document))), "is": "ended"}}
    return {"for": length} if form == "for" else {}


def _gated(document: Document, step: str, fault: str) -> Document:
    """The document in which a step waits for a fault.

    Without that a workload is often over before the fault is in place: its calls take less than the injection.
    """
    return changed(document, "workload", step, lambda one: {**_no_after(one), "after": joined(one.get("after"), fault)})


def _reconnected(document: Document, step: str, ranks: tuple[int, ...]) -> Document:
    """The document in which these ranks clone their stores before a step: some faults meet new connections only."""
    found, steps = copied(document), steps_of(document)
    at = [name_of(one) for one in steps].index(step)
    like: Entry = {key: steps[at][key] for key in ("handler", "thread", "life", "after") if key in steps[at]}
    own = sorted({*ranks} & {*ranks_in(steps[at].get("ranks"), size_of(document))})
    clone: Entry = {"id": fresh_name("clone", names_of(document)), "do": "clone", "ranks": choice_of(own, 0), **like}
    found["workload"] = [*steps[:at], clone, *steps[at:]]
    return found


def _no_after(step: Entry) -> Entry:
    return {key: value for key, value in step.items() if key != "after"}


def restart_of(draws: Draws, document: Mapping[str, Any], profile: Profile, placing: Placing) -> tuple[Document, str]:
    """The document with a kill of the rank that has steps for a second life, and its cell."""
    (victim, *_) = [step["ranks"] for step in steps_of(document) if step.get("life") == 2]
    found = copied(document)
    where = placing.where(draws, found, profile, FAULTS["kill"].layer)
    return with_fault_at(draws, found, profile, "kill", where, placing, (victim,))


def has_second_life(document: Mapping[str, Any]) -> bool:
    """Whether a step is for a rank that was started again."""
    return any(step.get("life") == 2 for step in steps_of(document))
