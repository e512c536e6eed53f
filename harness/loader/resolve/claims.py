"""Claims as they are written, turned into values: steps and ranks resolved, bounds in nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.checkers.base import standing_invariants
from harness.loader.keys.fields import Keys
from harness.loader.keys.members import check_declarations
from harness.loader.keys.models import AnyClaimKeys, CheckClaimKeys, StepClaimKeys
from harness.loader.keys.names import Entry, Names, ReportProblem, ranks_within, resolve_ranks, unique_names
from harness.loader.resolve.moments import Moments
from harness.loader.tree.nodes import Listing, Location, Mapping, Node, plain
from harness.loader.tree.problems import suggestion
from harness.scenario.scenario import ABSENT, EXIT, AnyClaim, CheckClaim, Claim, StepClaim
from harness.values.quantity import Duration

ReadEntry = Callable[[Node, Location], Entry]


@dataclass(frozen=True)
class Claims:
    """Reads the claims of one cell.

    Attributes:
        read_entry: checks one claim by its model.
        parameters: converts the parameters of a check.
        handlers: names of the handlers that steps build.
    """

    names: Names
    moments: Moments
    size: int
    report: ReportProblem
    read_entry: ReadEntry
    parameters: Callable[[Entry, Any], dict[str, Any]]

    def read_all(self, entries: Sequence[Entry], inside: str = "") -> tuple[Claim, ...]:
        """The claims, each with a unique name; those that are wrong are told and left out.

        Args:
            inside: `instead` or `any`: where they stand, if not in `expect`.
        """
        names = unique_names([entry.raw_name for entry in entries])
        found = [self._read(entry, name, inside) for entry, name in zip(entries, names, strict=True)]
        return tuple(claim for claim in found if claim is not None)

    def _read(self, entry: Entry, name: str, inside: str) -> Claim | None:
        if name in standing_invariants() and entry.model is not None:
            self.report(
                entry.location, f"a claim cannot be named {name!r}, as a standing invariant is", "give it an id"
            )
        if entry.model is None:
            return None
        keys = entry.keys()
        if isinstance(keys, StepClaimKeys):
            return self._step_claim(keys, entry, name, inside)
        if isinstance(keys, CheckClaimKeys):
            parameters = self.parameters(entry, check_declarations()[entry.kind])
            return CheckClaim(name, entry.kind, parameters, entry.line, source(entry.node))
        return self._any_claim(keys, entry, name, inside)

    def _any_claim(self, keys: Keys, entry: Entry, name: str, inside: str) -> Claim | None:
        assert isinstance(keys, AnyClaimKeys)
        listing = entry.node.get("any") if isinstance(entry.node, Mapping) else None
        items = listing.items if isinstance(listing, Listing) else ()
        inner = [self.read_entry(item, (*entry.location, "any", index)) for index, item in enumerate(items)]
        for one in inner:
            if isinstance(one.model, AnyClaimKeys):
                self.report(one.location, "an `any` cannot hold another", "put its claims into this one")
        simple = [one for one in inner if not isinstance(one.model, AnyClaimKeys)]
        claims = tuple(claim for claim in self.read_all(simple, inside or "any") if not isinstance(claim, AnyClaim))
        return AnyClaim(name, claims, entry.line, source(entry.node)) if claims else None

    # -- claims about steps ------------------------------------------------------------------------------------

    def _step_claim(self, keys: StepClaimKeys, entry: Entry, name: str, inside: str) -> Claim | None:
        at = entry.location
        steps = self._steps(keys, at)
        if steps is None:
            return None
        ranks = () if keys.ranks is None else resolve_ranks(keys.ranks, self.size, (*at, "ranks"), self.report)
        self._check_ranks(keys, steps, ranks, at)
        outcomes = tuple(dict.fromkeys(keys.is_)) if keys.is_ is not None else ("ok", "failed")
        self._check_outcomes(keys, outcomes, at, inside)
        since = None if keys.since is None else self.moments.read(keys.since, (*at, "since"))
        return StepClaim(
            name=name,
            steps=steps,
            ranks=ranks,
            life=keys.life,
            outcomes=outcomes,
            count=keys.count,
            value=keys.value if "value" in keys.model_fields_set else ABSENT,
            one_of=tuple(keys.one_of or ()),
            errors=tuple(keys.error or ()),
            messages=tuple(keys.message or ()),
            within=self._within(keys.within, (*at, "within")),
            since=since,
            line=entry.line,
            text=source(entry.node),
        )

    def _steps(self, keys: StepClaimKeys, at: Location) -> tuple[str, ...] | None:
        """The unique names of the steps; None if one is unknown."""
        found = []
        for index, raw in enumerate(keys.step):
            if raw == EXIT:
                found.append(EXIT)
            elif (entry := self.names.entry(raw, (*at, "step", index), "step")) is not None:
                found.append(self.names.of(entry))
        return tuple(found) if len(found) == len(keys.step) else None

    def _check_ranks(self, keys: StepClaimKeys, steps: Iterable[str], ranks: tuple[int, ...], at: Location) -> None:
        """ReportProblem what the steps do not have: ranks, lives, so many calls."""
        known = [self.names.steps.get(name) for name in steps]
        if any(step is None and name != EXIT for step, name in zip(known, steps, strict=True)):
            return
        everybody = tuple(range(self.size))
        having = sorted({rank for step in known for rank in (everybody if step is None else step.ranks)})
        what = " or ".join(f"step {name!r}" for name in keys.step)
        ranks_within(ranks, tuple(having), (*at, "ranks"), what, self.report)
        for step in known:
            if step is not None and None not in (keys.life, step.life) and keys.life != step.life:
                message = f"step {step.name!r} is in life {step.life} only"
                self.report((*at, "life"), message, f"write life: {step.life}, or take the key out")
        calls = sum(len([rank for rank in ranks or everybody if step is None or rank in step.ranks])
                    * (1 if step is None else step.times) for step in known)  # fmt: skip
        if keys.count is not None and keys.count[0] > calls:
            self.report((*at, "count"), f"there are only {calls} such calls", f"write at most {calls}")

    def _check_outcomes(self, keys: StepClaimKeys, outcomes: tuple[str, ...], at: Location, inside: str) -> None:
        """ReportProblem what contradicts `is`."""
        if "hung" in outcomes and inside != "instead":
            hint = "that no call hangs is judged in every run; what a subject does stands in `known: instead`"
            self.report((*at, "is"), "`hung` is for `instead` only", hint)
        for key, needed, words in (
            ("value", "ok", "only what is ok returns something"),
            ("one_of", "ok", "only what is ok returns something"),
            ("error", "failed", "only what failed raised something"),
            ("message", "failed", "only what failed raised something"),
        ):
            if key in keys.model_fields_set and needed not in outcomes:
                hint = f"write `is: {needed}`, or take it out"
                self.report((*at, key), f"`{key}` contradicts `is`: {words}", hint, key=True)

    def _within(self, bounds: list[Duration] | None, at: Location) -> tuple[int | None, int] | None:
        if bounds is None:
            return None
        resolved = [bound.resolve(self.moments.timeout_ns) for bound in bounds]
        if len(resolved) == 1:
            return None, resolved[0]
        if resolved[0] > resolved[1]:
            self.report(at, "the lower bound is above the upper one", "write [lower, upper]")
        return resolved[0], resolved[1]


def source(node: Node) -> str:
    """The claim as it stands in the file."""
    return node.source if isinstance(node, Mapping | Listing) else str(plain(node))


def check_breaks(breaks: Sequence[str], claims: Sequence[Entry], location: Location, report: ReportProblem) -> None:
    """ReportProblem which names are no claim and no standing invariant, or more than one claim."""
    names = [entry.raw_name for entry in claims]
    for index, name in enumerate(breaks):
        at = (*location, index)
        if name in standing_invariants():
            continue
        lines = [str(entry.line) for entry in claims if entry.raw_name == name]
        if len(lines) > 1:
            report(
                at, f"the name {name!r} can mean the claims in lines {' and '.join(lines)}", "give them different ids"
            )
        elif not lines:
            known = [*dict.fromkeys(one for one in names if one), *standing_invariants()]
            report(at, f"there is no claim and no standing invariant {name!r}", suggestion(name, known, "there is"))


def handler_problem(handler: str, built: Sequence[str]) -> str:
    """A hint for a handler that no step builds."""
    return suggestion(handler, built, "steps build") or "no step builds a handler; add `{do: rendezvous}`"
