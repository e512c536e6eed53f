"""Claims as values, checked against the steps that they speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.checkers.base import CHECKERS, standing_invariants
from harness.loader.keys import unions
from harness.loader.keys.entries import Entry, read_entries
from harness.loader.keys.members import attributes_of, check_declarations
from harness.loader.keys.models import AnyClaimKeys, CheckClaimKeys, StepClaimKeys
from harness.loader.keys.scope import Scope, unique_names
from harness.loader.resolve.moments import Moments, check_ranks_have
from harness.loader.resolve.steps import report_member_problems
from harness.loader.tree.nodes import Listing, Location, Node, plain
from harness.loader.tree.nodes import Mapping as MappingNode
from harness.loader.tree.problems import Reporter
from harness.scenario.scenario import ABSENT, EXIT, AnyClaim, CheckClaim, Claim, Step, StepClaim

_NEEDED_OUTCOME: Mapping[str, tuple[str, str]] = {
    "value": ("ok", "only what is ok returns something"),
    "one_of": ("ok", "only what is ok returns something"),
    "error": ("failed", "only what failed raised something"),
    "message": ("failed", "only what failed raised something"),
}
"""By key of a claim, the outcome that it needs, and why."""


@dataclass(frozen=True)
class Claims:
    """Turns the claims of one cell into values.

    Attributes:
        inside: `instead` or `any` if the claims stand there and not in `expect`.
    """

    moments: Moments
    scope: Scope
    report: Reporter
    inside: str = ""

    def read_below(self, entry: Entry, key: str) -> tuple[Claim, ...]:
        """The claims in the list behind a key of an entry."""
        return self.read(self._entries_below(entry, key))

    def read(self, entries: Sequence[Entry]) -> tuple[Claim, ...]:
        """The claims, each with a unique name; those that are wrong are reported and left out."""
        names = unique_names([entry.raw_name for entry in entries])
        found = [self._claim(entry, name) for entry, name in zip(entries, names, strict=True)]
        return tuple(claim for claim in found if claim is not None)

    def _entries_below(self, entry: Entry, key: str) -> tuple[Entry, ...]:
        location = (*entry.location, key)
        return read_entries(unions.claims(), entry.node, location, self.scope, self.report)

    def _claim(self, entry: Entry, name: str) -> Claim | None:
        keys = entry.keys
        if keys is None:
            return None
        if name in standing_invariants():
            message = f"a claim cannot be named {name!r}, as a standing invariant is"
            self.report(entry.location, message, "give it an id")
        if isinstance(keys, CheckClaimKeys):
            parameters = attributes_of(keys, check_declarations()[entry.kind])
            report_member_problems(entry, CHECKERS[entry.kind].problems(parameters), self.report)
            return CheckClaim(name, entry.kind, parameters, entry.line, source(entry.node))
        return self._any_claim(entry, name) if isinstance(keys, AnyClaimKeys) else self._step_claim(keys, entry, name)

    def _any_claim(self, entry: Entry, name: str) -> AnyClaim | None:
        inner = self._entries_below(entry, "any")
        for one in inner:
            if isinstance(one.keys, AnyClaimKeys):
                self.report(one.location, "an `any` cannot hold another", "put its claims into this one")
        simple = [one for one in inner if not isinstance(one.keys, AnyClaimKeys)]
        claims = replace(self, inside=self.inside or "any").read(simple)
        kept = tuple(claim for claim in claims if not isinstance(claim, AnyClaim))
        return AnyClaim(name, kept, entry.line, source(entry.node)) if kept else None

    # -- claims about steps ------------------------------------------------------------------------------------

    def _step_claim(self, keys: StepClaimKeys, entry: Entry, name: str) -> StepClaim | None:
        if None in keys.step:
            return None
        at = entry.location
        outcomes = tuple(dict.fromkeys(keys.is_)) if keys.is_ is not None else ("ok", "failed")
        self._check_calls(keys, at)
        self._check_outcomes(keys, outcomes, at)
        return StepClaim(
            name=name,
            steps=tuple(keys.step),
            ranks=keys.ranks or (),
            life=keys.life,
            outcomes=outcomes,
            count=keys.count,
            value=keys.value if "value" in keys.model_fields_set else ABSENT,
            one_of=tuple(keys.one_of or ()),
            errors=tuple(keys.error or ()),
            messages=tuple(keys.message or ()),
            within=keys.within,
            since=self.moments.read(keys.since, (*at, "since")),
            line=entry.line,
            text=source(entry.node),
            codes=tuple(dict.fromkeys(keys.code or ())),
        )

    def _check_calls(self, keys: StepClaimKeys, at: Location) -> None:
        """Report what the steps do not have: ranks, lives, so many calls."""
        everybody = self.scope.ranks("all")
        known = [Step(EXIT, EXIT, everybody, {}) if one == EXIT else self.moments.steps.get(one) for one in keys.step]
        steps = [step for step in known if step is not None]
        if len(steps) < len(known):
            return
        having = tuple(sorted({rank for step in steps for rank in step.ranks}))
        what = " or ".join(f"step {name!r}" for name in keys.step)
        check_ranks_have(keys.ranks or (), having, what, (*at, "ranks"), self.report)
        for step in steps:
            if keys.life is not None and step.life is not None and keys.life != step.life:
                hint = f"write life: {step.life}, or take the key out"
                self.report((*at, "life"), f"step {step.name!r} is in life {step.life} only", hint)
        calls = sum(step.times * len({*step.ranks} & {*(keys.ranks or everybody)}) for step in steps)
        if keys.count is not None and keys.count[0] > calls:
            self.report((*at, "count"), f"there are only {calls} such calls", f"write at most {calls}")

    def _check_outcomes(self, keys: StepClaimKeys, outcomes: tuple[str, ...], at: Location) -> None:
        """Report what contradicts `is`."""
        if "hung" in outcomes and self.inside != "instead":
            hint = "no call may hang in any run; write what a subject does under `known: instead`"
            self.report((*at, "is"), "`hung` is for `instead` only", hint)
        self._check_code(keys, outcomes, at)
        for key, (needed, why) in _NEEDED_OUTCOME.items():
            if key in keys.model_fields_set and needed not in outcomes:
                hint = f"write `is: {needed}`, or take it out"
                self.report((*at, key), f"`{key}` contradicts `is`: {why}", hint, key=True)

    def _check_code(self, keys: StepClaimKeys, outcomes: tuple[str, ...], at: Location) -> None:
        """Report an exit code of what is no process, and one that contradicts `is`."""
        if not keys.code:
            return
        if any(step != EXIT for step in keys.step):
            message = "`code` is the exit code of a process, and only `exit` has one"
            self.report((*at, "code"), message, "write `step: exit`, or take it out", key=True)
        for code in keys.code:
            needed = "failed" if code else "ok"
            if needed not in outcomes:
                message = f"`code` contradicts `is`: a process that ends with {code} is {needed}"
                self.report((*at, "code"), message, f"write `is: {needed}`, or take it out", key=True)
                return


def source(node: Node) -> str:
    """The claim as it stands in the file."""
    return node.source if isinstance(node, MappingNode | Listing) else str(plain(node))
