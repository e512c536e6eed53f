"""Changes of a draft that was worth keeping: another moment, value or kind, a fault or a step more or less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from harness.explore.benign import without_benign_claims
from harness.explore.coda import CODA_STEPS, can_end_with_coda, without_coda
from harness.explore.documents import (
    Document,
    Entry,
    changed,
    copied,
    faults_of,
    fresh_name,
    kind_of,
    masters_of,
    moments_of,
    name_of,
    named_in,
    names_of,
    ranks_in,
    removed,
    renamed,
    size_of,
    steps_of,
    timeout_ns_of,
)
from harness.explore.draft import MUTATION, Draft, Profile
from harness.explore.draws import Draws
from harness.explore.generate import GATED, dressed, fits
from harness.explore.injecting import MOST_FAULTS, Placing, cell_of, kinds_for, with_fault, with_fault_at
from harness.explore.moments import AT_START, Where, at_anchor, scope_of
from harness.explore.ranges import Scope, attributes_for, fault_attributes
from harness.explore.traffic import SHORTEST_NS, Steps, Traffic
from harness.explore.workloads import MOST_STEPS
from harness.faults.base import FAULTS
from harness.steps import STEP_MEMBERS

TRIES = 12
MOST_CHANGES = 3


def mutated(draws: Draws, draft: Draft, profile: Profile, other: Draft) -> Draft | None:
    """One to three changes of a draft; `other` gives faults where two are spliced.

    The cells of faults that stay are kept; the profile is that of the draft's workload before any change. None if no
    change was found that makes another draft which fits.
    """
    for _ in range(TRIES):
        found = _changed_once_or_more(draws, draft, profile, other)
        if found is not None and found.document != draft.document and fits(found):
            return found
    return None


def _changed_once_or_more(draws: Draws, draft: Draft, profile: Profile, other: Draft) -> Draft | None:
    change = _Change(draws, draft, profile, other)
    for _ in range(draws.weighted({1: 6, 2: 3, MOST_CHANGES: 1})):
        draws.weighted(change.possible())()
    if not faults_of(change.document) or len(steps_of(change.document)) > change.most_steps:
        return None
    cells = tuple(change.cells.get(name_of(fault), "") for fault in faults_of(change.document))
    document = dressed(change.document, draft.workload, profile)
    return Draft(document, MUTATION, draws.seed, draft.workload, draft.id, cells)


class _Change:
    """A document while it is changed, without coda and claims that follow from its faults.

    Attributes:
        cells: of each fault, by its name.
        most_steps: that leave room for the coda.
    """

    def __init__(self, draws: Draws, draft: Draft, profile: Profile, other: Draft) -> None:
        self.draws, self.profile, self.other = draws, profile, other
        self.document: Document = _bare(draft.document)
        heals = can_end_with_coda(self.document, draft.workload) and all("for" in one for one in self._faults)
        self.placing = Placing(at_anchor, GATED, heals)
        self.most_steps = MOST_STEPS - CODA_STEPS if heals else MOST_STEPS
        names = [name_of(fault) for fault in self._faults]
        self.cells = dict(zip(names, draft.cells, strict=False))

    @property
    def _faults(self) -> list[Entry]:
        return faults_of(self.document)

    def possible(self) -> dict[Callable[[], None], float]:
        """What can be done to the document as it is, with weights."""
        count, steps = len(self._faults), len(steps_of(self.document))
        may_grow = steps < self.most_steps
        return {
            self.move_fault: 4 if count else 0,
            self.change_value: 4 if count else 0,
            self.change_kind: 2 if count else 0,
            self.change_healing: 2 if count else 0,
            self.add_fault: 3 if count < MOST_FAULTS else 0,
            self.remove_fault: 2 if count > 1 else 0,
            self.add_step: 2 if may_grow else 0,
            self.remove_step: 2 if self._spare_steps() else 0,
            self.change_step: 2 if self._spare_steps() else 0,
            self.splice: 2 if faults_of(self.other.document) else 0,
        }

    # -- faults ----------------------------------------------------------------------------------------------------

    def move_fault(self) -> None:
        """Another moment for one fault; what waited for it still does."""
        fault = self.draws.choice(self._faults)
        where = at_anchor(
            self.draws, {**self.document, "faults": self._without(fault)}, self.profile, FAULTS[fault["inject"]].layer
        )
        if name_of(fault) in self._needed_before(where.moment):
            return
        moved = {key: value for key, value in fault.items() if key != "after"}
        if where.moment is not None:
            moved = _with_moment(moved, where.moment)
        self._put(fault, moved, where)

    def change_value(self) -> None:
        """Another value for one attribute of a fault, or another stream, or another rank."""
        fault = self.draws.choice(self._faults)
        member, ranks = FAULTS[fault["inject"]], ranks_in(fault.get("ranks"), size_of(self.document))
        drawn = fault_attributes(self.draws, fault["inject"], kind_of(self.document), ranks, self._scope(ranks)) or {}
        own = {one.name for one in member.declaration.attributes}
        kept = {key: value for key, value in fault.items() if key not in own}
        if member.toxic and self.draws.chance(0.3):
            drawn = {key: fault[key] for key in own if key in fault}
            kept["stream"] = self.draws.choice(("upstream", "downstream", "both"))
        elif member.layer != "port" and self.draws.chance(0.3):
            drawn = {key: fault[key] for key in own if key in fault}
            kept["ranks"] = self.draws.choice(self._targets(member.layer))
        self._put(fault, {**kept, **drawn})

    def change_kind(self) -> None:
        """Another fault at the same moment, for as long."""
        fault = self.draws.choice(self._faults)
        kind = self.draws.choice(kinds_for(self.document))
        where = Where(fault.get("after"), self._anchor_kind(fault))
        placing = replace(self.placing, gates=0)
        made, cell = with_fault_at(self.draws, self.document, self.profile, kind, where, placing)
        new = faults_of(made)[-1]
        kept: Entry = {key: fault[key] for key in ("for", "until") if key in fault}
        new = {**{key: value for key, value in new.items() if key not in ("for", "until")}, **kept}
        self.document = renamed(self.document, name_of(fault), name_of(new))
        self.document["faults"] = [new if name_of(one) == name_of(new) else one for one in self._faults]
        self.cells[name_of(new)] = cell

    def change_healing(self) -> None:
        """Another length."""
        fault = self.draws.choice(self._faults)
        where = Where(None, AT_START)
        kinds = {fault["inject"]: 1.0}
        made, _ = with_fault(
            self.draws, self.document, self.profile, kinds, replace(self.placing, gates=0, where=lambda *_: where)
        )
        new = faults_of(made)[-1]
        kept = {key: value for key, value in fault.items() if key not in ("for", "until")}
        self._put(fault, {**kept, **{key: new[key] for key in ("for", "until") if key in new}})

    def add_fault(self) -> None:
        kinds = self.draws.swarm(kinds_for(self.document))
        self.document, cell = with_fault(self.draws, self.document, self.profile, kinds, self.placing)
        self.cells[name_of(self._faults[-1])] = cell

    def remove_fault(self) -> None:
        self.document = removed(self.document, [name_of(self.draws.choice(self._faults))])

    def splice(self) -> None:
        """Faults of another draft, as far as this workload has the steps and ranks that they speak of."""
        for fault in faults_of(_bare(self.other.document)):
            if len(self._faults) < MOST_FAULTS and self._fits(fault):
                name = fresh_name(str(fault["inject"]).removeprefix("x_").replace("_", "-"), names_of(self.document))
                new = {**fault, "id": name}
                self.document["faults"] = [*self._faults, new]
                self.cells[name] = cell_of(new, Where(None, self._anchor_kind(fault)), self.document)

    def _fits(self, fault: Entry) -> bool:
        """Whether a fault of another workload can stand in this one."""
        size, layer = size_of(self.document), FAULTS[fault["inject"]].layer
        moments = [fault[key] for key in ("after", "until") if key in fault]
        speaks_of = {name for moment in moments for name in named_in(moment)} - {name_of(fault)}
        ranks = ranks_in(fault.get("ranks"), size)
        is_linked = layer != "link" or not masters_of(self.document) & {*ranks}
        heals = "for" in fault or not self.placing.heals
        return heals and is_linked and max(ranks) < size and all(self._has(name) for name in speaks_of)

    def _has(self, name: str) -> bool:
        """Whether a word of a moment is a step of this workload, or a duration."""
        return name in {name_of(step) for step in steps_of(self.document)} or name[:1].isdigit()

    # -- steps -----------------------------------------------------------------------------------------------------

    def add_step(self) -> None:
        """One more store step at the end, with the handler and thread of one that is there."""
        like = self.draws.choice(steps_of(self.document))
        where: Entry = {key: like[key] for key in ("handler", "thread", "life") if key in like}
        steps = Steps(self.draws, size_of(self.document), timeout_ns_of(self.document))
        steps.steps = [*steps_of(self.document)]
        may_wait = not any("thread" in step for step in steps.steps)
        Traffic(steps, None, where, may_wait).draw(1, like.get("ranks"))
        self.document["workload"] = steps.steps

    def remove_step(self) -> None:
        self.document = removed(self.document, [self.draws.choice(self._spare_steps())])

    def change_step(self) -> None:
        """Other arguments for one step that has some, or other ranks."""
        name = self.draws.choice(self._spare_steps())
        self.document = changed(self.document, "workload", name, self._with_other_arguments)

    def _with_other_arguments(self, step: Entry) -> Entry:
        member = STEP_MEMBERS[step["do"]]
        keys = tuple(
            sorted({one["key"] for one in steps_of(self.document) if one["do"] == step["do"] and "key" in one})
        )
        scope = Scope(
            timeout_ns_of(self.document), size_of(self.document), keys or tuple(step.get("keys") or ("a",)),
            words=frozenset(step.get("weights") or ()), shortest_ns=SHORTEST_NS,
        )  # fmt: skip
        drawn = attributes_for(self.draws, member.declaration, member.problems, scope)
        own = {one.name for one in member.declaration.attributes}
        if drawn is None or member.draw is not None:
            return step
        return {**{key: value for key, value in step.items() if key not in own}, **drawn}

    def _spare_steps(self) -> list[str]:
        """Steps that a workload can do without: all but joins and what others wait for."""
        waited_for = {name for moment in moments_of(self.document) for name in named_in(moment)}
        return [
            name_of(step)
            for step in steps_of(self.document)
            if step["do"] not in ("rendezvous", "cycle", "exit") and name_of(step) not in waited_for
        ]

    # -- parts -----------------------------------------------------------------------------------------------------

    def _without(self, fault: Entry) -> list[Entry]:
        return [one for one in self._faults if name_of(one) != name_of(fault)]

    def _put(self, fault: Entry, new: Entry, where: Where | None = None) -> None:
        """Put a fault in the place of one, under the same name."""
        self.document["faults"] = [new if name_of(one) == name_of(fault) else one for one in self._faults]
        kind = self._anchor_kind(fault) if where is None else where.kind
        self.cells[name_of(fault)] = cell_of(new, Where(None, kind), self.document)

    def _anchor_kind(self, fault: Entry) -> str:
        return self.cells.get(name_of(fault), "").rpartition("|")[2] or AT_START

    def _scope(self, ranks: tuple[int, ...]) -> Scope:
        return scope_of(self.document, self.profile, -1, ranks)

    def _targets(self, layer: str) -> list[int]:
        masters = masters_of(self.document)
        return [rank for rank in range(size_of(self.document)) if layer != "link" or rank not in masters]

    def _needed_before(self, moment: Any) -> set[str]:
        """The faults that must have come before a moment can: those that it names, and those that these wait for."""
        found: set[str] = set()
        waiting = [*named_in(moment)]
        entries = {name_of(one): one for one in (*steps_of(self.document), *self._faults)}
        while waiting:
            name = waiting.pop()
            if name not in found and name in entries:
                found.add(name)
                waiting += named_in(entries[name].get("after"))
        return found


def _with_moment(fault: Entry, moment: Any) -> Entry:
    """The fault with its moment where a person writes it: before what heals it."""
    ends: Entry = {key: fault[key] for key in ("for", "until") if key in fault}
    return {**{key: value for key, value in fault.items() if key not in ends}, "after": moment, **ends}


def _bare(document: Mapping[str, Any]) -> Document:
    """The document without what follows from its steps and faults."""
    return without_benign_claims(without_coda(copied(document)))
