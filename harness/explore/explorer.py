"""The source of a session of exploration: drafts of all lanes, and the investigation of what they find."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from harness.campaign.source import Trial
from harness.explore.canary import canary, is_canary
from harness.explore.comparison import Comparison, Side
from harness.explore.draft import CANARY, Draft
from harness.explore.hunts import Hunt, Hunts
from harness.explore.lanes import Lanes
from harness.explore.observation import Observation, Signature
from harness.explore.observe import observe, torch_of
from harness.explore.parts import CONFIRMED, UNCONFIRMED, UNREPRODUCED, Find, Forget, Parts, Settings
from harness.explore.tally import Stored, Tally
from harness.judge.result import Result
from harness.values.errors import HarnessError, ScenarioError
from harness.values.verdict import ERROR

MOST_REFUSED_IN_A_ROW = 200
"""Drafts that the loader refuses one after another: then the generator is broken."""

CANARY_EVERY = 50
"""While the canary is wanted and not found, it is played again after so many plays."""

SEEDS_PER_RUN = 1_009
"""More drafts and plays than a session makes for one play that the corpus counts."""

LARGEST_SEED = (1 << 53) - 1
"""Every reader of JSON takes it as it is."""


@dataclass
class _Given:
    """A trial whose result has not come: its draft, and the find that it investigates or compares."""

    draft: Draft
    hunt: Hunt | None = None
    side: Side | None = None


class Explorer:
    """Decides what is played in a session, and learns from each result; a source of a campaign.

    What it learns is stored at once. After an end from outside, `close` must be called: it stores what is unfinished.

    Args:
        forget: is called with run directories that are needed no longer.
        now_ns: the clock on which `settings.span_ns` and `grace_ns` count from the first call of `next`.

    Attributes:
        tally: what was done so far.
    """

    def __init__(self, parts: Parts, settings: Settings, forget: Forget, now_ns: Callable[[], int]) -> None:
        self.tally = Tally(features=parts.knowledge.features, chance=parts.knowledge.chance_of_new)
        self._parts, self._settings, self._forget, self._now_ns = parts, settings, forget, now_ns
        # A next session with the same seed goes on, and does not draw the same again.
        first = settings.seed + SEEDS_PER_RUN * parts.knowledge.runs
        self._seeds, self._play_seeds = count(first), count(first)
        draw = random.Random(first).random
        self._lanes = Lanes(parts, settings.lanes, draw, lambda: next(self._seeds) % LARGEST_SEED)
        self._hunts = Hunts(parts.investigation, settings.side_by_side, forget)
        self._comparisons: list[Comparison] = []
        self._awaited: dict[tuple[Path, int], deque[_Given]] = {}
        self._ended: set[Signature] = set()
        self._causes: dict[Signature, str] = {}
        self._about = ("", "")
        self._given = self._given_to_hunts = 0
        self._until_canary = 0
        self._deadline_ns = 0
        self._grace_until_ns: int | None = None
        self._is_closed = False
        for observation, signature in parts.library.unfinished():
            self._hunts.offer(signature, observation)
        for finding, draft in parts.library.uncompared():
            others = set(settings.others) - {one.subject for one in finding.tried}
            bare = finding.without_faults is None
            self._comparisons.append(Comparison(finding.cause, draft, finding.subject, sorted(others), bare))

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        """The next trial; nothing while the last investigations wait for results; None at the end."""
        if not self._given:
            self._deadline_ns = self._now_ns() + (self._settings.span_ns or 0)
        for result in results:
            self._learn(result)
        trial: Trial | None
        if self._has_found():
            trial = self._compared() if self._has_grace() else None
        elif not self._is_over():
            trial = (self._hunted() if self._hunts_turn() else None) or self._explored()
        else:
            trial = self._hunted() if self._has_grace() else None
        self._note()
        if trial is not None:
            return [trial]
        if self._awaited:
            return []
        self.close()
        return None

    def close(self) -> None:
        """Store what comparisons know, and finds whose investigation has not ended, as unconfirmed.

        May be called again. Raises HarnessError, once all the others are stored, for the first that cannot be.
        """
        if self._is_closed:
            return
        self._is_closed = True
        problems: list[HarnessError] = []
        for comparison in self._comparisons:
            _try(problems, partial(self._store_comparison, comparison))
        while given_up := self._hunts.give_up():  # what one of them has met on its way waits then
            for hunt in given_up:
                _try(problems, partial(self._store, hunt))
        self._note()
        if problems:
            raise problems[0]

    # -- when --------------------------------------------------------------------------------------------------

    def _has_found(self) -> bool:
        """Whether the first new finding ends the session, and is there; the canary is waited for."""
        waits_for_canary = self._settings.canary and self.tally.canary is None
        return self._settings.until_find and bool(self.tally.with_status(CONFIRMED)) and not waits_for_canary

    def _is_over(self) -> bool:
        """Whether nothing more is explored: by the number of plays or the time."""
        runs, span_ns = self._settings.runs, self._settings.span_ns
        return (runs is not None and self._given >= runs) or (
            span_ns is not None and self._now_ns() >= self._deadline_ns
        )

    def _has_grace(self) -> bool:
        """Whether investigations may still go on after the end."""
        now_ns = self._now_ns()
        if self._grace_until_ns is None:
            self._grace_until_ns = now_ns + self._settings.grace_ns
        return now_ns < self._grace_until_ns

    def _hunts_turn(self) -> bool:
        """Whether investigations have had less than their share of the plays."""
        return self._given_to_hunts <= self._settings.share * self._given

    # -- what --------------------------------------------------------------------------------------------------

    def _compared(self) -> Trial | None:
        """A play that a comparison wants."""
        for comparison in list(self._comparisons):
            while (side := comparison.next()) is not None:
                trial = self._trial(_Given(side.draft, side=side), side.subject)
                if trial is not None:
                    self._given_to_hunts += 1
                    return trial
                side.refused()
            self._end_comparison(comparison)
        return None

    def _hunted(self) -> Trial | None:
        """A play that a comparison or an investigation wants."""
        compared = self._compared()
        if compared is not None:
            return compared
        while True:
            for hunt in self._hunts.poll():
                self._store(hunt)
            wanted = self._hunts.next()
            if wanted is None:
                return None
            draft, hunt = wanted
            trial = self._trial(_Given(draft, hunt))
            if trial is not None:
                self._given_to_hunts += 1
                return trial
            self._hunts.refused(hunt, Observation(draft, ERROR))

    def _explored(self) -> Trial:
        """A play of a lane; raises HarnessError if the loader refuses one draft after another."""
        for _ in range(MOST_REFUSED_IN_A_ROW):
            draft = self._lane_draft()
            trial = self._trial(_Given(draft))
            if trial is not None:
                self.tally.lanes[draft.lane] += 1
                return trial
            self._lanes.refused(draft)
        raise HarnessError(
            f"{MOST_REFUSED_IN_A_ROW} drafts in a row are no valid scenarios; report this as a defect of the harness"
        )

    def _lane_draft(self) -> Draft:
        wants_canary = self._settings.canary or CANARY in self._settings.lanes
        if (
            wants_canary
            and self.tally.canary is None
            and not any(is_canary(one.signature) for one in self._hunts.active)
        ):
            self._until_canary -= 1
            if self._until_canary < 0:
                self._until_canary = CANARY_EVERY
                return canary(self._settings.seed)
        return self._lanes.next()

    def _trial(self, given: _Given, subject: str | None = None) -> Trial | None:
        """The trial of a draft; None if the loader refuses it."""
        try:
            scenario = given.draft.scenario
        except ScenarioError:
            self.tally.refused += 1
            return None
        seed = next(self._play_seeds) % LARGEST_SEED
        self._awaited.setdefault((scenario.path, seed), deque()).append(given)
        self._given += 1
        return Trial(scenario, seed=seed, subject=subject)

    # -- what came of it ---------------------------------------------------------------------------------------

    def _learn(self, result: Result) -> None:
        """Find the draft of a result, and learn from it."""
        key = (result.scenario.path, result.seed)
        queue = self._awaited[key]
        given = queue.popleft()
        if not queue:
            del self._awaited[key]
        if given.side is not None:
            self._learn_side(given.side, result)
            return
        self._about = (result.subject, torch_of(result) or self._about[1])
        observation = observe(given.draft, result, self._parts.signatures, self._parts.features)
        self.tally.statuses[result.status] += 1
        if given.hunt is not None:
            self.tally.investigated += 1
            self._hunts.learn(given.hunt, observation)
            for hunt in self._hunts.poll():
                self._store(hunt)
        elif given.draft.lane == CANARY:
            for signature in filter(is_canary, observation.signatures):
                self._hunts.offer(signature, observation, first=True)
        else:
            new = self._parts.knowledge.add(observation)
            self._lanes.learn(observation, result, bool(new))
            self._look_at(observation)
        if result.run_dir is not None and not self._hunts.needs(result.run_dir):
            self._forget(result.run_dir)

    def _learn_side(self, side: Side, result: Result) -> None:
        """Learn of a play of a comparison; what another subject violates is no find of this session."""
        self.tally.compared += 1
        side.learn(result)
        for comparison in list(self._comparisons):
            self._end_comparison(comparison)
        if result.run_dir is not None:
            self._forget(result.run_dir)

    def _end_comparison(self, comparison: Comparison) -> None:
        if comparison.is_done and comparison in self._comparisons:
            self._comparisons.remove(comparison)
            self._store_comparison(comparison)

    def _store_comparison(self, comparison: Comparison) -> None:
        tried, without_faults = comparison.tried, comparison.without_faults
        if tried or without_faults is not None or comparison.is_done:
            self._parts.library.compared(comparison.cause, tried, without_faults, comparison.is_done)

    def _look_at(self, observation: Observation) -> None:
        """Count what is explained or stored, and have the rest investigated.

        Of several the principal one: one cause often violates several properties, and the investigation finds out
        which of the others go together with it.
        """
        unknown = [one for one in sorted(observation.signatures) if not self._is_known(one, observation)]
        if any(map(self._hunts.has, unknown)):
            unknown = [one for one in unknown if self._hunts.has(one)]
        principal = self._parts.principal(unknown)
        if principal is not None:
            self._hunts.offer(principal, observation)

    def _is_known(self, signature: Signature, observation: Observation) -> bool:
        """Whether a violation is explained, stored or investigated already; the first two are counted."""
        known = self._parts.explained(signature, *self._about, observation.draft.document)
        if known is not None:
            self.tally.explained[known] += 1
            return True
        cause = self._causes.get(signature) or self._parts.library.cause_of(signature)
        if cause is not None:
            if cause not in self.tally.again:
                self._parts.library.seen(cause)
            self.tally.again[cause] += 1
        return cause is not None or signature in self._ended

    def _store(self, hunt: Hunt) -> None:
        """Keep what an investigation has found out, and look at what else it has met."""
        outcome = hunt.task.found_out
        smallest = outcome.minimal or outcome.reached or hunt.draft
        cause = self._parts.cause_key(hunt.signature, smallest.document)
        unproven = UNREPRODUCED if hunt.task.is_done else UNCONFIRMED
        status = unproven if outcome.minimal is None else CONFIRMED
        explained_by = self._parts.explained(hunt.signature, *self._about, smallest.document) or ""
        find = Find(hunt.signature, hunt.draft, status, cause, outcome, hunt.best(smallest), explained_by)
        for replays in hunt.features.values():
            self._parts.knowledge.learn_replays(replays)
        self._ended |= {hunt.signature, *outcome.companions}
        self._hunts.drop(self._ended)
        if is_canary(hunt.signature):
            self.tally.canary = find
        else:
            is_new = not explained_by and not self._parts.library.has(cause)
            self.tally.finds.append(Stored(find, self._parts.library.add(find), is_new))
            self._go_on_from(hunt, find, is_new)
        self._hunts.finished(hunt)

    def _go_on_from(self, hunt: Hunt, find: Find, is_new: bool) -> None:
        """Count the cause, compare it if it is new, and have what was met on the way investigated."""
        if find.explained_by:
            self.tally.explained[find.explained_by] += 1
        elif find.status == CONFIRMED:
            self._causes.update(dict.fromkeys((find.signature, *find.outcome.companions), find.cause))
            if is_new and self._parts.library.has(find.cause):
                others = self._settings.others
                self._comparisons.append(Comparison(find.cause, find.smallest, self._about[0], others))
        for observation, signature in hunt.task.others:
            self._look_at(replace(observation, signatures=frozenset((signature,))))

    def _note(self) -> None:
        """Bring the tally up to date."""
        self.tally.features = self._parts.knowledge.features
        self.tally.chance = self._parts.knowledge.chance_of_new
        hunted = [hunt.described for hunt in self._hunts.active]
        self.tally.under_way = (*hunted, *(f"comparing {comparison.cause}" for comparison in self._comparisons))
        self.tally.waiting = self._hunts.waiting


def _try(problems: list[HarnessError], act: Callable[[], None]) -> None:
    """Do something; keep why it could not be done."""
    try:
        act()
    except HarnessError as error:
        problems.append(error)
