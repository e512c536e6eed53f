"""From a workload and what one run of it has shown to drafts with faults: in turn, drawn, or drawn at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.explore.benign import LEAST_TIMEOUT_NS, is_benign, with_benign_claims
from harness.explore.coda import can_end_with_coda, with_coda
from harness.explore.documents import Document, copied, faults_of, masters_of, present_of
from harness.explore.draft import SYSTEMATIC, UNIFORM, Draft, Profile
from harness.explore.draws import Draws
from harness.explore.injecting import (
    Placing,
    has_second_life,
    kinds_for,
    restart_of,
    with_benign_fault,
    with_fault,
    with_fault_at,
)
from harness.explore.moments import AT_START, Where, at_anchor, at_time, usable_anchors, where_of
from harness.explore.ranges import written_ns
from harness.explore.workloads import FAMILIES
from harness.faults.base import FAULTS
from harness.loader import is_scenario

COUNTS = {1: 68, 2: 23, 3: 7, 4: 2}
"""Faults of a drawn draft, and how often there are so many."""
CODA = 0.7
"""How often a draft ends with a coda, where it can."""
BENIGN = 0.08
"""How often all faults of a draft change nothing."""
GATED = 0.9
"""How often the step that comes next waits for the fault."""
TRIES = 8
ENDING = "faults expect"
"""The keys that come last in a file, in this order."""


def uniform(draws: Draws, draft: Draft, profile: Profile) -> Draft:
    """The workload with faults at anchors, drawn without regard to what was seen before."""
    return _drawn(draws, draft, profile, Placing(at_anchor, GATED, draws.chance(CODA)))


def timed(draws: Draws, draft: Draft, profile: Profile) -> Draft:
    """The workload with faults of the same kinds at drawn times: what tools without anchors do, to compare with."""
    return _drawn(draws, draft, profile, Placing(at_time, 0, draws.chance(CODA)))


def systematic(draft: Draft, profile: Profile) -> Iterator[Draft]:
    """The workload with each fault at each anchor and at the start, in each role, once, and then with pairs of these.

    Anchors of one kind and role are one, the first. The order is drawn from the draft's seed, so that a part of it
    has some of everything. What needs the port where nobody listens is there at the start only.
    """
    draws = Draws(draft.seed).child("systematic")
    singles = draws.shuffled(_singles(draft, profile))
    placing = Placing(at_anchor, 1, can_end_with_coda(draft.document, draft.workload))
    given: set[tuple[str, tuple[int, ...]]] = set()
    for kind, where, ranks in singles:
        made = with_fault_at(draws, draft.document, profile, kind, where, placing, ranks)
        if (made[1], ranks) in given:
            continue  # a fault that meets nothing at its anchor is there from the start
        given.add((made[1], ranks))
        yield from _finished([made], draft, profile, SYSTEMATIC, draft.seed)
    for kind, where, ranks in singles:
        other, other_where, other_ranks = draws.choice(singles)
        first = with_fault_at(draws, draft.document, profile, kind, where, placing, ranks)
        second = with_fault_at(draws, first[0], profile, other, other_where, replace(placing, gates=0), other_ranks)
        yield from _finished([first, second], draft, profile, SYSTEMATIC, draft.seed)


def _singles(draft: Draft, profile: Profile) -> list[tuple[str, Where, tuple[int, ...]]]:
    """Every fault at every kind of anchor and at the start, for each role that it can hit."""
    firsts: dict[tuple[str, str], Where] = {}
    for place, anchor in usable_anchors(copied(draft.document), profile):
        firsts.setdefault((anchor.kind, anchor.role), where_of(place, anchor))
    start = Where(None, AT_START)
    return [
        (kind, where, ranks)
        for kind in kinds_for(draft.document)
        for where in ((start,) if FAULTS[kind].wants == "nobody" else (start, *firsts.values()))
        for ranks in _in_each_role(FAULTS[kind].layer, where, draft.document)
    ]


def _in_each_role(layer: str, where: Where, document: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """One master and one worker; the rank whose moment it is is the first choice for its role."""
    if layer == "port":
        return [()]
    masters, present = masters_of(document), present_of(document)
    workers = [rank for rank in present if rank not in masters]
    served = [] if layer == "link" else [rank for rank in present if rank in masters]
    return [(where.rank if where.rank in ranks else ranks[0],) for ranks in (workers, served) if ranks]


def _drawn(draws: Draws, draft: Draft, profile: Profile, placing: Placing) -> Draft:
    """A draft that loads; without steps that wait for faults in the end, since only these may form a circle."""
    for number in range(TRIES):
        last = number == TRIES - 1
        found = list(
            _finished(
                _inject(draws, draft, profile, replace(placing, gates=0) if last else placing),
                draft,
                profile,
                UNIFORM,
                draws.seed,
            )
        )
        if found:
            return found[0]
    raise AssertionError(f"no draft of workload {draft.id} loads")


def _inject(draws: Draws, draft: Draft, profile: Profile, placing: Placing) -> list[tuple[Document, str]]:
    """The document after each fault, and the cell of each."""
    document: Document = copied(draft.document)
    heals = placing.heals and can_end_with_coda(document, draft.workload)
    placing = replace(placing, heals=heals)
    kinds = draws.swarm(kinds_for(document))
    count, is_benign = draws.weighted(COUNTS), draws.chance(BENIGN) or FAMILIES[draft.workload].only_benign
    if is_benign:
        document["world"]["timeout"] = written_ns(LEAST_TIMEOUT_NS)
    made: list[tuple[Document, str]] = []
    for number in range(min(count, 2) if is_benign else count):
        if is_benign:
            made.append(with_benign_fault(draws, document, profile, placing))
        elif number == 0 and has_second_life(document) and draws.chance(0.75):
            made.append(restart_of(draws, document, profile, placing))
        else:
            made.append(with_fault(draws, document, profile, kinds, placing))
        document = made[-1][0]
    return made


def _finished(
    made: list[tuple[Document, str]], draft: Draft, profile: Profile, lane: str, seed: int
) -> Iterator[Draft]:
    """The draft of a document with its faults, if it loads."""
    document, cells = made[-1][0], tuple(cell for _, cell in made)
    found = Draft(dressed(document, draft.workload, profile), lane, seed, draft.workload, draft.parent, cells)
    if fits(found):
        yield found


def dressed(document: Mapping[str, Any], family: str, profile: Profile) -> Document:
    """The document with all that follows from its steps and faults: the coda, claims, and the title."""
    found = with_coda(document) if can_end_with_coda(document, family) else copied(document)
    found = with_benign_claims(found, profile)
    kinds = dict.fromkeys(fault["inject"] for fault in faults_of(found))
    under = f", under {' and '.join(kinds)}" if kinds else ""
    found["title"] = f"The invariants hold while {FAMILIES[family].title}{under}"
    return {key: found[key] for key in sorted(found, key=lambda key: (key in ENDING, ENDING.find(key)))}


def fits(draft: Draft) -> bool:
    """Whether the loader takes its document, and its faults are such as its workload may have."""
    may_fail = bool(faults_of(draft.document)) and not is_benign(draft.document)
    return is_scenario(draft.document) and not (may_fail and FAMILIES[draft.workload].only_benign)
