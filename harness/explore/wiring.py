"""The parts of exploration as they are: the one place that knows all of them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from harness.explore.benign import without_benign_claims
from harness.explore.causes import explained
from harness.explore.coda import without_coda
from harness.explore.corpus import SUFFIX, Corpus
from harness.explore.documents import faults_of, kind_of, name_of, removed
from harness.explore.draft import CLEAN, MUTATION, Draft
from harness.explore.draws import Draws
from harness.explore.effort import Arm, Effort
from harness.explore.finding import StoredFinding, Tried
from harness.explore.findings import FOUND, MINIMAL, RUN, Findings, NewFinding, read_document, read_finding
from harness.explore.generate import fits, systematic, uniform
from harness.explore.investigation import Investigation
from harness.explore.mutate import mutated
from harness.explore.novelty import Noise, features
from harness.explore.observation import Observation, Signature
from harness.explore.parts import UNCONFIRMED, Draw, Find, Outcome, Parts
from harness.explore.profile import profile
from harness.explore.signature import cause_key, principal, signatures
from harness.explore.workloads import FAMILIES, workload
from harness.faults.base import FAULTS
from harness.machine.regular import NotReadable, read_regular
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.verdict import FAILED, Judgement

MOST_BYTES_OF_STACKS = 1 << 20
"""Of the file with the stacks of one hang."""

MOST_DRAFTS = 500
"""So many drafts of the corpus are kept as they were read; to read one takes some 10 ms."""

_STACKS = re.compile(r"stacks/[\w.-]+")

PROCESSES = "processes"
"""The kind of world that a scenario need not name."""

MOST_TRIES = 20
"""So many entries that cannot be used, one after another, are as good as none."""

NEWEST, OF_NEWEST = 50, 0.5
"""Half of the mutants are made of one of the newest entries, which were changed least so far; the others of any."""


@contextmanager
def parts(
    corpus: Path, findings: Path, subject: str, torch: str, world: str = PROCESSES, like: str = ""
) -> Iterator[Parts]:
    """All parts, with a corpus that is open until the end.

    Args:
        world: the kind of world that drafts are drawn for; shrinking may find that a plainer one suffices.
        like: a subject whose known causes are known of this one too; empty for none.

    Raises UsageError for a corpus that cannot be used or that another explorer uses, HarnessError for a damaged one.
    """
    with Corpus(corpus, subject, torch) as opened:
        yield Parts(
            workload=lambda seed: workload(Draws(seed), world),
            systematic=systematic,
            uniform=lambda seed, draft, profile: uniform(Draws(seed), draft, profile),
            mutated=lambda seed, draft, profile, other: mutated(Draws(seed), draft, profile, other),
            clean=clean,
            profile=profile,
            features=features,
            signatures=_signatures,
            principal=principal,
            cause_key=cause_key,
            explained=partial(_explained, like),
            investigation=Investigated,
            knowledge=Known(opened, world),
            library=Stored(Findings(findings), subject, torch),
        )


def files(corpus: Path, findings: Path) -> Mapping[str, Path]:
    """The scenario files of all entries of a corpus and of all findings, by their ids and the names of folders."""
    found = {path.name.removesuffix(SUFFIX): path for path in corpus.glob(f"*{SUFFIX}")}
    for stored in (Findings(findings).unfiled, Findings(findings)):
        found.update((name, stored.folder / name / MINIMAL) for name in stored.names())
    return found


def clean(draft: Draft) -> Draft | None:
    """The workload of a draft, as its family writes it: without faults, coda and claims that follow from these."""
    if draft.workload not in FAMILIES:
        return None
    bare = without_benign_claims(without_coda(draft.document))
    document = removed(bare, map(name_of, faults_of(bare)))
    document["title"] = f"The invariants hold while {FAMILIES[draft.workload].title}"
    found = Draft(document, CLEAN, draft.seed, draft.workload)
    return found if fits(found) else None


def _explained(like: str, signature: Signature, subject: str, torch: str, document: Mapping[str, Any]) -> str | None:
    """By what is known of the subject, or of the one that it is like."""
    found = (explained(signature, one, torch, document) for one in (subject, like) if one)
    return next(filter(None, found), None)


def _signatures(
    scenario: Scenario, history: History, judgement: Judgement, run_dir: Path | None
) -> frozenset[Signature]:
    """With the stacks of the run directory, if it is there."""
    return signatures(scenario, history, judgement, partial(_text, run_dir))


def _text(run_dir: Path | None, name: str) -> str:
    """A file of stacks; a history names it, so only what lies in the folder of stacks is read."""
    if run_dir is None or not _STACKS.fullmatch(name):
        return ""
    try:
        return read_regular(run_dir / name, MOST_BYTES_OF_STACKS).decode("utf-8", "replace")
    except (NotReadable, OSError):
        return ""


class Known:
    """The corpus, and the effort that follows from what it knows.

    Args:
        world: the kind of world that entries are given for, whatever they were played in.
    """

    def __init__(self, corpus: Corpus, world: str = PROCESSES) -> None:
        self._corpus = corpus
        self._noise = Noise()
        self._effort = Effort()
        self._draft = lru_cache(MOST_DRAFTS)(lambda entry_id: _in_world(corpus.draft(entry_id), world))
        for row in corpus.recent:
            self._learn(row.cells, row.workload, len(row.new), row.seconds)

    @property
    def runs(self) -> int:
        return self._corpus.runs

    @property
    def features(self) -> int:
        return self._corpus.seen

    @property
    def chance_of_new(self) -> float | None:
        discovery = self._corpus.discovery
        return discovery.chance_of_new if discovery.n else None

    def add(self, observation: Observation) -> frozenset[str]:
        new = self._corpus.add(replace(observation, features=self._noise.without(observation.features)))
        draft = observation.draft
        self._learn(draft.cells, draft.workload, len(new), observation.seconds)
        return new

    def learn_replays(self, replays: Sequence[frozenset[str]]) -> None:
        self._noise.learn(replays)

    def _learn(self, cells: Sequence[str], family: str, new: int, seconds: float) -> None:
        self._effort.spend(cells, new)
        arms = _arms(cells, family)
        if arms:
            self._effort.learn(arms, new, seconds)

    def entry(self, draw: Draw) -> Draft | None:
        entries = self._corpus.entries
        for _ in range(min(len(entries), MOST_TRIES)):
            some = entries[-NEWEST:] if draw() < OF_NEWEST else entries
            chosen = some[int(draw() * len(some))]
            draft = self._draft(chosen.id)
            if draft is not None:
                return draft
            entries = tuple(entry for entry in entries if entry is not chosen)
        return None

    def choose(self, drafts: Sequence[Draft], draw: Draw) -> Draft | None:
        may = [draft for draft in drafts if self._effort.accepts(draft.cells)]
        arms = sorted({arm for draft in may for arm in _arms(draft.cells, draft.workload)})
        if not arms:
            return may[0] if may else None
        best = self._effort.arm(_Random(draw), arms)
        return next((draft for draft in may if best in _arms(draft.cells, draft.workload)), may[0])


def _in_world(draft: Draft | None, kind: str) -> Draft | None:
    """The draft in this kind of world; None if the loader refuses that, because of a fault that it does not have."""
    if draft is None or kind_of(draft.document) == kind:
        return draft
    world = {key: value for key, value in draft.document["world"].items() if key != "kind"}
    if kind != PROCESSES:
        world["kind"] = kind
    moved = replace(draft, document={**draft.document, "world": world})
    return moved if fits(moved) else None


class _Random:
    """Draws of a function, as `Effort` wants them."""

    def __init__(self, draw: Draw) -> None:
        self.random = draw


def _arms(cells: Sequence[str], family: str) -> Collection[Arm]:
    """The layers of the faults of a draft's cells, each with its family of workloads."""
    kinds = {cell.partition("|")[0] for cell in cells}
    return {Arm(FAULTS[kind].layer, family) for kind in kinds if kind in FAULTS}


class Investigated(Investigation):
    """An investigation as the explorer knows it."""

    @property
    def found_out(self) -> Outcome:
        end = self.outcome
        if end is None:
            return Outcome(reached=self.reached)
        minimal = None if end.unreproduced else end.draft
        return Outcome(end.hits, end.runs, minimal, end.companions, end.ancestry)


class Stored:
    """The findings of a subject on disk.

    What another subject has shown is not known: that this one shows it too is news. What was confirmed and fails too
    seldom to be filed is known like what is filed.

    What there was no time to confirm lies with those that were not reproduced, and was played 0 times: so the next
    session knows it.
    """

    def __init__(self, findings: Findings, subject: str, torch: str = "") -> None:
        self._findings, self._subject, self._torch = findings, subject, torch
        self._unfinished: dict[Signature, Path] = {}
        self._stored_as: dict[str, str] = {}
        self._causes = {stored.signature: stored.cause for _, stored in self._all() if self._is_known(stored)}

    def _all(self) -> Iterator[tuple[Path, StoredFinding]]:
        """All that are stored, those that are filed last; `findings list` tells of what is damaged."""
        for findings in (self._findings.unfiled, self._findings):
            for name in findings.names():
                with suppress(HarnessError):
                    yield findings.path(name), findings.read(name)

    def _is_known(self, stored: StoredFinding) -> bool:
        return stored.is_confirmed and stored.is_of(self._subject)

    def cause_of(self, signature: Signature) -> str | None:
        return self._causes.get(signature)

    def has(self, cause: str) -> bool:
        path = self._where(cause)
        return os.path.lexists(path) and self._is_known(read_finding(path))

    def _where(self, cause: str) -> Path:
        return self._findings.where(self._stored_as.get(cause, cause))

    def unfinished(self) -> Sequence[tuple[Observation, Signature]]:
        found = []
        for path, stored in self._all():
            if not stored.of and stored.subject == self._subject:
                with suppress(HarnessError):
                    draft = Draft(read_document(path / MINIMAL), MUTATION, stored.seed)
                    observation = Observation(draft, FAILED, frozenset((stored.signature,)), run_dir=path / RUN)
                    self._unfinished[stored.signature] = path
                    found.append((observation, stored.signature))
        return found

    def uncompared(self) -> Sequence[tuple[StoredFinding, Draft]]:
        found = []
        for path, stored in self._all():
            if self._is_ours(stored) and stored.is_confirmed and not (stored.compared or stored.explained_by):
                with suppress(HarnessError):
                    found.append((stored, Draft(read_document(path / MINIMAL), MUTATION, stored.seed)))
        return found

    def _is_ours(self, stored: StoredFinding) -> bool:
        """Whether this session plays what has shown it. A run also tells how its torch was built: `2.15.0+cpu`."""
        return stored.subject == self._subject and stored.torch.partition("+")[0] == self._torch.partition("+")[0]

    def add(self, find: Find) -> Path:
        """Store a find; one that is unfinished still, and no smaller, stays as it was stored."""
        left = self._unfinished.pop(find.signature, None)
        if left is None:
            return self._add(find, find.shown.run_dir)
        if find.status == UNCONFIRMED and find.outcome.reached is None:
            return left / MINIMAL
        # What it finds out now may have the same name.
        aside = left.with_name(f".left-{secrets.token_hex(8)}")
        os.rename(left, aside)
        try:
            run_dir = find.shown.run_dir
            # What this session began with may be smaller than what was found.
            begun = replace(find.outcome, reached=find.outcome.reached or find.draft)
            first = replace(find, draft=replace(find.draft, document=read_document(aside / FOUND)), outcome=begun)
            return self._add(first, aside / RUN if run_dir == left / RUN else run_dir)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _add(self, find: Find, run_dir: Path | None) -> Path:
        if run_dir is None:
            raise HarnessError(f"{find.cause}: no play of it is stored; report this as a defect of the harness")
        outcome = find.outcome
        new = NewFinding(
            cause=find.cause,
            signature=find.signature,
            failed=outcome.hits,
            of=outcome.plays,
            found=find.draft,
            minimal=find.smallest,
            run_dir=run_dir,
            ancestry=outcome.ancestry or (find.draft.id,),
            explained_by=find.explained_by,
        )
        stored = self._findings.add(new)
        self._stored_as[find.cause] = stored.cause
        if stored.is_confirmed:
            self._causes[find.signature] = stored.cause
        return self._findings.path(stored.cause, stored.unreproduced) / MINIMAL

    def seen(self, cause: str) -> None:
        if os.path.lexists(self._where(cause)):
            self._findings.seen(self._stored_as.get(cause, cause))

    def compared(self, cause: str, tried: Sequence[Tried], without_faults: Tried | None, done: bool) -> None:
        self._findings.compared(self._stored_as.get(cause, cause), tried, without_faults, done)
