"""The investigation of one find: whether it comes again, the smallest draft that shows it, and how surely that does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.explore.draft import Draft
from harness.explore.edits import NEUTRAL, Document, essential
from harness.explore.finding import FEWEST_HITS
from harness.explore.observation import Observation, Signature
from harness.explore.sequential import ACCEPT, REJECT, SequentialTest
from harness.explore.shrink import changes
from harness.reports.parts.statistics import wilson
from harness.values.errors import ScenarioError
from harness.values.verdict import ERROR, SKIPPED

TRIED_AGAIN, MOST_TRIES = ("no ", "fewer ranks"), 2
"""Which changes are tried again though the same draft was refused once: those that take a fault, a rank or a step away.
Of a failure that nine of ten plays show, one of five good candidates is refused by chance."""

_FOUND, _BARE = "found", "no claim but the violated one"


@dataclass(frozen=True)
class Limits:
    """How much one investigation may take.

    Attributes:
        side_by_side: plays that it wants at once.
        first_replays: enough to confirm if they agree.
        replays: of the draft that was found, if the first do not agree.
        fewest_hits: with fewer it is not reproduced.
        most_runs, most_seconds: of confirming, shrinking and one certification together, of a failure that each play
            shows; shrinking stops in time for the certification. Seconds are those of all plays together, whatever
            runs side by side: by the clock it is a quarter of that with four worlds. A failure with probability p gets
            both 1/p times.
        most_times: but at most so many times. Simulated 60 times each with a draft of 8 steps, plays of 4 s that show
            the failure and of 1.2 s that do not: with 100 plays, 2 % of the failures with p = .5 and none with p = .3
            are shrunk to the smallest draft; with 1/p times as many 68 % and 53 %, in 106 s and 125 s (medians).
        fresh_runs: of a certification.
        certifications: how many drafts are certified at most, until the one that was found is taken.
        most_errors: how often a draft is asked again because a play said nothing.
    """

    side_by_side: int = 4
    first_replays: int = 5
    replays: int = 20
    fewest_hits: int = FEWEST_HITS
    most_runs: int = 100
    most_seconds: float = 240.0
    most_times: float = 3.0
    fresh_runs: int = 20
    certifications: int = 3
    most_errors: int = 3


@dataclass(frozen=True)
class Outcome:
    """What an investigation has found out.

    Attributes:
        signature: of what was investigated.
        draft: the smallest that shows it; the one that was found if none is smaller.
        hits, runs: how many of so many fresh runs of it showed it.
        unreproduced: the draft that was found showed it too seldom; then that is `draft`, and nothing was shrunk.
        companions: what else was violated in those runs that showed it: the same cause, as other checks see it.
        used: plays in all.
        seconds: of all plays together.
        ancestry: the ids from the draft that was found to this one.
        changes: what was changed from each to the next.
        complete: whether nothing smaller was left to try; else a limit ended the search.
    """

    signature: Signature
    draft: Draft
    hits: int
    runs: int
    unreproduced: bool
    companions: frozenset[Signature]
    used: int
    seconds: float
    ancestry: tuple[str, ...]
    changes: tuple[str, ...]
    complete: bool

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson interval in which its probability lies with 95 % confidence."""
        return wilson(self.hits, self.runs)


@dataclass
class _Runs:
    """The plays of one draft: how many showed the signature, did not, said nothing, and are under way."""

    draft: Draft
    what: str = ""
    hits: int = 0
    misses: int = 0
    errors: int = 0
    open: int = 0

    @property
    def counted(self) -> int:
        return self.hits + self.misses


@dataclass
class _Shrinking:
    """The search from the last accepted draft: its candidates that are open, and what was refused already."""

    current: Draft
    untried: Iterator[tuple[str, Draft]]
    open: list[_Runs] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refusals: dict[str, int] = field(default_factory=dict)
    passes: int = 1
    accepted_in_pass: bool = False


def is_valid(draft: Draft) -> bool:
    """Whether the loader reads it; its scenario stays at hand for the play."""
    try:
        return bool(draft.scenario.steps)
    except ScenarioError:
        return False


class Investigation:
    """Confirms, shrinks and certifies one find; a `Task`.

    What counts is whether a play shows the same signature. A play with another one tells of another find, which is kept
    in `others`. Candidates are judged by a sequential test against the probability that the replays have measured.

    Args:
        draft: that was found.
        signature: of the violation to investigate.
    """

    def __init__(self, draft: Draft, signature: Signature, limits: Limits | None = None) -> None:
        self.draft = draft
        self.signature = signature
        self.limits = limits or Limits()
        self.used = 0
        self.seconds = 0.0
        self._others: dict[Signature, Observation] = {}
        self._runs: dict[str, _Runs] = {}
        self._lineage: list[tuple[str, Draft]] = [(_FOUND, draft)]
        self._companions: frozenset[Signature] = frozenset()
        self._confirming: _Runs | None = self._begin(draft)
        self._confirmed = self._confirming
        self._shrinking: _Shrinking | None = None
        self._certifying: _Runs | None = None
        self._certifications = 0
        self._times = 1.0
        self._complete = False
        self.outcome: Outcome | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None

    @property
    def doing(self) -> str:
        doing = {"confirming": self._confirming, "shrinking": self._shrinking, "certifying": self._certifying}
        return next((word for word, one in doing.items() if one is not None), "certifying")

    @property
    def others(self) -> tuple[tuple[Observation, Signature], ...]:
        """What else was found on the way, and in which play; in the end without what goes together with this find."""
        gone = {self.signature, *(self._companions if self.is_done else ())}
        return tuple((play, signature) for signature, play in self._others.items() if signature not in gone)

    @property
    def reached(self) -> Draft | None:
        """The smallest draft that was accepted so far; None before the first is."""
        accepted = [draft for what, draft in self._lineage if what not in (_FOUND, _BARE)]
        return accepted[-1] if accepted else None

    def next(self) -> Sequence[Draft]:
        """The drafts to play now; see `Task`."""
        room = self.limits.side_by_side - sum(runs.open for runs in self._runs.values())
        if self.is_done or room <= 0:
            return ()
        if self._shrinking is not None:
            wanted = self._wanted_candidates(self._shrinking, room)
        else:
            wanted = self._wanted_replays(room)
        for runs in wanted:
            runs.open += 1
        return [runs.draft for runs in wanted]

    def add(self, observation: Observation) -> None:
        """Learn of one play; one of a draft that is of no interest any more counts as used only."""
        self.used += 1
        self.seconds += observation.seconds
        runs = self._runs.get(observation.draft.id)
        if runs is not None:
            runs.open = max(0, runs.open - 1)
        if self.is_done:
            return
        for signature in observation.signatures:
            if signature.check != NEUTRAL:
                self._others.setdefault(signature, observation)
        if runs is not None:
            self._count(runs, observation)
        self._go_on()

    def _count(self, runs: _Runs, observation: Observation) -> None:
        if observation.status in (ERROR, SKIPPED):
            runs.errors += 1
        elif self.signature in observation.signatures:
            runs.hits += 1
            if runs in (self._confirming, self._certifying):
                self._companions |= observation.signatures - {self.signature}
        else:
            runs.misses += 1

    def _begin(self, draft: Draft, what: str = "") -> _Runs:
        """A fresh count of a draft; what is still under way of it will count."""
        under_way = self._runs[draft.id].open if draft.id in self._runs else 0
        self._runs[draft.id] = _Runs(draft, what, open=under_way)
        return self._runs[draft.id]

    def _go_on(self) -> None:
        if self._confirming is not None:
            self._confirm(self._confirming)
        elif self._shrinking is not None:
            self._shrink(self._shrinking)
        elif self._certifying is not None:
            self._certify(self._certifying)

    # -- confirm and certify: the same draft again and again ---------------------------------------------------------

    def _wanted_replays(self, room: int) -> list[_Runs]:
        runs = self._confirming or self._certifying
        assert runs is not None, "something is confirmed, shrunk or certified until there is an outcome"
        wanted = self._goal(runs) - runs.counted - runs.open
        return [runs] * max(0, min(room, wanted))

    def _goal(self, runs: _Runs) -> int:
        if runs is self._certifying:
            return self.limits.fresh_runs
        agree = runs.hits == runs.counted
        return self.limits.first_replays if agree else self.limits.replays

    def _is_hopeless(self, runs: _Runs) -> bool:
        return runs.errors > self.limits.most_errors

    def _confirm(self, runs: _Runs) -> None:
        left = self._goal(runs) - runs.counted
        if self._is_hopeless(runs) or runs.hits + left < self.limits.fewest_hits:
            self._end(runs, unreproduced=True)
        elif left <= 0:
            self._confirming = None
            self._begin_shrinking(runs)

    def _certify(self, runs: _Runs) -> None:
        enough = runs.counted >= self.limits.fresh_runs
        if not enough and not self._is_hopeless(runs):
            return
        assert self._confirmed is not None
        lowest, _ = wilson(self._confirmed.hits, self._confirmed.counted)
        if runs.counted and runs.hits / runs.counted >= lowest and enough:
            self._end(runs)
        else:
            self._go_back()

    def _go_back(self) -> None:
        """Certify an ancestor: half of the way back, in the end the draft that was found."""
        self._certifications += 1
        half = len(self._lineage) // 2 if self._certifications < self.limits.certifications else 1
        self._lineage = self._lineage[: max(1, half)]
        self._complete = False
        if len(self._lineage) == 1:
            assert self._confirmed is not None
            self._end(self._confirmed)
        else:
            self._begin_certifying()

    def _begin_certifying(self) -> None:
        self._shrinking = None
        what, draft = self._lineage[-1]
        self._companions = frozenset()
        self._certifying = self._begin(draft, what)

    def _end(self, runs: _Runs, unreproduced: bool = False) -> None:
        self.outcome = Outcome(
            signature=self.signature,
            draft=runs.draft,
            hits=runs.hits,
            runs=runs.counted,
            unreproduced=unreproduced,
            companions=self._companions,
            used=self.used,
            seconds=self.seconds,
            ancestry=tuple(dict.fromkeys(draft.id for _, draft in self._lineage)),
            changes=tuple(what for what, _ in self._lineage[1:]),
            complete=self._complete and not unreproduced,
        )
        self._confirming = self._shrinking = self._certifying = None

    # -- shrink ------------------------------------------------------------------------------------------------------

    def _begin_shrinking(self, confirmed: _Runs) -> None:
        p = confirmed.hits / confirmed.counted
        self._test = SequentialTest(p)
        self._times = min(1 / p, self.limits.most_times)
        only = self._child(self.draft, essential(self.draft.document, self.signature.check))
        if only.id != self.draft.id:
            self._lineage.append((_BARE, only))
        self._shrinking = _Shrinking(only, self._smaller(only))
        self._shrink(self._shrinking)

    def _child(self, parent: Draft, document: Document) -> Draft:
        return replace(parent, document=document, parent=parent.id, cells=())

    def _smaller(self, draft: Draft) -> Iterator[tuple[str, Draft]]:
        """The candidates of a draft; whether the loader reads them is not known yet."""
        return ((what, self._child(draft, document)) for what, document in changes(draft.document, self.signature))

    def _look_anew(self, shrinking: _Shrinking) -> None:
        shrinking.untried = self._smaller(shrinking.current)
        shrinking.open = []

    def _wanted_candidates(self, shrinking: _Shrinking, room: int) -> list[_Runs]:
        """Runs of the candidates in their order: for each as many as it takes at least to decide."""
        wanted: list[_Runs] = []
        room = min(room, self._runs_left())
        for runs in self._candidates(shrinking):
            lacking = self._test.at_least(runs.hits, runs.misses) - runs.open
            if lacking > 0:
                wanted += [runs] * min(lacking, room - len(wanted))
            if len(wanted) >= room:
                break
        return wanted

    def _candidates(self, shrinking: _Shrinking) -> Iterator[_Runs]:
        yield from list(shrinking.open)
        for what, draft in shrinking.untried:
            tries = MOST_TRIES if what.startswith(TRIED_AGAIN) else 1
            if what in shrinking.refused or shrinking.refusals.get(draft.id, 0) >= tries or not is_valid(draft):
                continue
            runs = self._begin(draft, what)
            shrinking.open.append(runs)
            yield runs

    @property
    def most_runs(self) -> int:
        """How many plays it may take, by what is known of the probability."""
        return int(self.limits.most_runs * self._times)

    def _runs_left(self) -> int:
        """How many runs shrinking may still take, so that the certification stays within the limits."""
        limits = self.limits
        left = self.most_runs - limits.fresh_runs - self.used - sum(runs.open for runs in self._runs.values())
        each = self.seconds / self.used if self.used else 0.0
        in_time = limits.most_seconds * self._times - self.seconds - limits.fresh_runs * each
        return max(0, left) if in_time > 0 else 0

    def _shrink(self, shrinking: _Shrinking) -> None:
        for runs in list(shrinking.open):
            if self._decided(runs) == REJECT:
                shrinking.open.remove(runs)
                shrinking.refused.add(runs.what)
                shrinking.refusals[runs.draft.id] = shrinking.refusals.get(runs.draft.id, 0) + 1
        # Those in front take more away: one that has begun to fail as found is waited for.
        first = next((runs for runs in shrinking.open if runs.hits), None)
        if first is not None and self._decided(first) == ACCEPT:
            self._accept(shrinking, first)
        if self._runs_left() <= 0:
            self._finish_shrinking(complete=False)
        elif not shrinking.open and next(self._candidates(shrinking), None) is None:
            self._end_pass(shrinking)

    def _decided(self, runs: _Runs) -> str | None:
        return REJECT if self._is_hopeless(runs) else self._test.decide(runs.hits, runs.misses)

    def _accept(self, shrinking: _Shrinking, runs: _Runs) -> None:
        shrinking.current = runs.draft
        shrinking.accepted_in_pass = True
        self._lineage.append((runs.what, runs.draft))
        self._look_anew(shrinking)

    def _end_pass(self, shrinking: _Shrinking) -> None:
        """Once more from the start: what was refused may go now, and a flaky one may have been refused by chance."""
        if shrinking.passes >= 2 and not shrinking.accepted_in_pass:
            self._finish_shrinking(complete=True)
            return
        shrinking.passes += 1
        shrinking.accepted_in_pass = False
        shrinking.refused.clear()
        self._look_anew(shrinking)
        if next(self._candidates(shrinking), None) is None:
            self._finish_shrinking(complete=True)

    def _finish_shrinking(self, complete: bool) -> None:
        self._complete = complete
        self._begin_certifying()
