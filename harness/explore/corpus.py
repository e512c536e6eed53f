"""What exploration keeps between sessions: the smallest and fastest scenario of each feature, and counts of all."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from harness.archive import own_folder
from harness.explore.corpus_log import ANOTHER_FOLDER, CorpusLog, Line, Row, Summary
from harness.explore.draft import CANARY, UNIFORM, Draft
from harness.explore.observation import Observation
from harness.explore.statistics import Discovery
from harness.loader import load_keys
from harness.loader.tree.file import read_text
from harness.machine.process import lock
from harness.machine.whole import whole_file
from harness.values.errors import ScenarioError, UsageError
from harness.values.refusals import cannot_begin
from harness.values.verdict import ERROR

FOLDER = Path(".rdzv/corpus")
SUFFIX = ".rdzv.yaml"

MOST_ENTRIES = 2_000
"""Of one subject and torch; beyond them the entry with the fewest features goes, of several the oldest."""

MOST_FEATURES = 50_000
"""Of all subjects together; beyond them a new one is not remembered."""

RECENT = 2_000
"""The runs that are there to learn from again, the newest; all are counted."""

_LOCK = "corpus.lock"
_OURS = re.compile(r"(?P<id>[0-9a-f]{12})\.rdzv\.yaml")
_PARTIAL = re.compile(r"\.[0-9a-f]{12}\.rdzv\.yaml\.partial|\.corpus\.jsonl\.partial")
_CLEARLY = 0.8
"""An entry replaces another one that costs a fifth more: else files would change with each run's small delays."""


@dataclass(frozen=True)
class Entry:
    """A scenario of the corpus.

    Attributes:
        row: what the log says about the run that brought it.
        features: the numbers of what that run showed.
    """

    row: Row
    features: frozenset[int]

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def cost(self) -> float:
        """What it takes to play and to read: bytes, more by the second."""
        return self.row.size * (1 + self.row.seconds)


@dataclass
class _Known:
    """What is known about one subject and torch.

    Attributes:
        owners: by feature, the id of the entry that stays for it.
        owned: by id, how many features an entry stays for.
    """

    runs: int = 0
    seen: set[int] = field(default_factory=set)
    entries: dict[str, Entry] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    owned: dict[str, int] = field(default_factory=dict)
    discovery: Discovery = field(default_factory=Discovery)

    def wins(self, entry: Entry) -> list[int]:
        """The features for which an entry is the first, or clearly better than the one that there is."""
        return [number for number in entry.features if self._is_better(entry, self.owners.get(number))]

    def _is_better(self, entry: Entry, owner: str | None) -> bool:
        return owner is None or (owner != entry.id and entry.cost < _CLEARLY * self.entries[owner].cost)

    def admit(self, entry: Entry) -> None:
        """Take an entry in; what it leaves without a feature goes."""
        won = self.wins(entry)
        if not won:
            return
        before = self.entries.get(entry.id)
        known = frozenset() if before is None else before.features
        self.entries[entry.id] = replace(entry, features=entry.features | known)
        for number in won:
            self._release(number)
            self.owners[number] = entry.id
        self.owned[entry.id] = self.owned.get(entry.id, 0) + len(won)
        if len(self.entries) > MOST_ENTRIES:
            self.drop(min((one for one in self.entries if one != entry.id), key=lambda one: self.owned[one]))

    def _release(self, number: int) -> None:
        owner = self.owners.get(number)
        if owner is None:
            return
        self.owned[owner] -= 1
        if not self.owned[owner]:
            del self.owned[owner], self.entries[owner]

    def drop(self, entry_id: str) -> None:
        """Have an entry no longer; its features may be won by the next run that shows them."""
        del self.entries[entry_id], self.owned[entry_id]
        self.owners = {number: owner for number, owner in self.owners.items() if owner != entry_id}


class Corpus:
    """A folder of scenarios that have shown something, with a log of all runs; open from its making until `close`.

    Features are kept apart by subject and torch: what one has shown says nothing about another.

    A scenario is stored before the line that names it, each as a whole or not at all. A kill at any moment loses at
    most the run whose line was being written.

    Args:
        folder: it is made where there is none.
        subject, torch: what is explored.

    Attributes:
        notes: sentences about what was dropped or repaired.

    Raises UsageError if another explorer uses the folder, or if it cannot be used; HarnessError for a damaged log,
    with file and line.
    """

    def __init__(self, folder: Path = FOLDER, subject: str = "static", torch: str = "") -> None:
        self.folder = folder
        self.subject, self.torch = subject, torch
        self._lock = _locked(folder)
        try:
            self._log = CorpusLog(folder)
        except BaseException:
            os.close(self._lock)
            raise
        self.notes: list[str] = list(self._log.notes)
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._all: dict[tuple[str, str], _Known] = {}
        self._recent: deque[Row] = deque(maxlen=RECENT)
        self._read(self._log.taken())

    def __enter__(self) -> Corpus:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let others use the folder; may be called once."""
        self._log.close()
        os.close(self._lock)

    # -- what is there -------------------------------------------------------------------------------------------------

    @property
    def _known(self) -> _Known:
        return self._all.setdefault((self.subject, self.torch), _Known())

    @property
    def runs(self) -> int:
        """How many runs of this subject and torch there were, in all sessions."""
        return self._known.runs

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Those of this subject and torch, in the order in which they came."""
        return tuple(self._known.entries.values())

    @property
    def recent(self) -> tuple[Row, ...]:
        """The last runs of this subject and torch, of earlier sessions too, the newest last."""
        return tuple(row for row in self._recent if (row.subject, row.torch) == (self.subject, self.torch))

    @property
    def seen(self) -> int:
        """How many features this subject and torch have shown."""
        return len(self._known.seen)

    @property
    def discovery(self) -> Discovery:
        """Of the uniform lane, over all sessions."""
        return self._known.discovery

    def texts(self, entry: Entry) -> frozenset[str]:
        """The features that an entry has shown."""
        return frozenset(self._texts[number] for number in entry.features)

    def draft(self, entry_id: str) -> Draft | None:
        """The draft of an entry, which loads as a scenario; None for one whose file is damaged, which is dropped.

        Raises KeyError if there is no such entry.
        """
        row = self._known.entries[entry_id].row
        path = self._path(entry_id)
        try:
            draft = Draft(load_keys(read_text(path), path), row.lane, row.seed, row.workload, row.parent, row.cells)
            if draft.id == entry_id:
                _ = draft.scenario
                return draft
            reason = "the file was changed"
        except (ScenarioError, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
        self.notes.append(f"{path} is left out and deleted: {reason}")
        for known in self._all.values():
            if entry_id in known.entries:
                known.drop(entry_id)
        _unlink(path)
        return None

    # -- what was played -----------------------------------------------------------------------------------------------

    def new(self, features: Iterable[str]) -> frozenset[str]:
        """Those of these features that this subject and torch have not shown yet."""
        seen = self._known.seen
        return frozenset(one for one in features if self._numbers.get(one) not in seen)

    def add(self, observation: Observation) -> frozenset[str]:
        """Take a run in, and return what was new about it; raises HarnessError where it cannot be stored.

        An `error` and a canary say nothing about the subject: they are logged without features.
        """
        draft = observation.draft
        says = observation.status != ERROR and draft.lane != CANARY
        found = observation.features if says else frozenset()
        new = self.new(found)
        row = self._row(observation, found)
        entry = Entry(row, frozenset({*row.old, *range(len(self._texts), len(self._texts) + len(row.new))}))
        kept = bool(self._known.wins(entry))
        if kept:
            self._store(draft)
        row = replace(row, kept=kept)
        self._log.append(row)
        before = set(self._known.entries)
        self._take(row)
        self._prune(before)
        if self._log.is_full:
            self._shorten()
        return new

    def _prune(self, before: Iterable[str]) -> None:
        """Delete the files of those that are entries of no subject any longer."""
        for gone in set(before).difference(*(known.entries for known in self._all.values())):
            _unlink(self._path(gone))

    def _row(self, observation: Observation, found: Iterable[str]) -> Row:
        draft = observation.draft
        ordered = sorted(found)
        room = MOST_FEATURES - len(self._texts)
        return Row(
            id=draft.id,
            lane=draft.lane,
            seed=draft.seed,
            workload=draft.workload,
            parent=draft.parent,
            cells=draft.cells,
            seconds=round(observation.seconds, 3),
            size=len(draft.text.encode("utf-8")),
            status=observation.status,
            subject=self.subject,
            torch=self.torch,
            new=tuple(one for one in ordered if one not in self._numbers)[: max(0, room)],
            old=tuple(self._numbers[one] for one in ordered if one in self._numbers),
        )

    def _store(self, draft: Draft) -> None:
        with whole_file(self._path(draft.id)) as partial:
            partial.write_text(draft.text, encoding="utf-8")

    def _path(self, entry_id: str) -> Path:
        return self.folder / f"{entry_id}{SUFFIX}"

    # -- reading and shortening the log --------------------------------------------------------------------------------

    def _read(self, lines: Sequence[Line]) -> None:
        """Take in all lines; entries whose files are not there are left out."""
        names = [entry.name for entry in os.scandir(self.folder)]
        files = {match["id"] for name in names if (match := _OURS.fullmatch(name))}
        for line in lines:
            self._take(line)
        lost = sorted({one for known in self._all.values() for one in known.entries} - files)
        if lost:
            self.notes += [f"{self._path(one)} is not there any longer; its features have no scenario" for one in lost]
            self._forget()
            for line in lines:
                self._take(replace(line, kept=line.kept and line.id in files) if isinstance(line, Row) else line)
        self._prune(files)
        for name in names:
            if _PARTIAL.fullmatch(name):
                _unlink(self.folder / name)

    def _forget(self) -> None:
        self._texts.clear()
        self._numbers.clear()
        self._all.clear()
        self._recent.clear()

    def _take(self, line: Line) -> None:
        """Fold one line into what is known; the same whether it was just written or is read."""
        first = len(self._texts)
        self._texts += line.new
        self._numbers.update((text, first + index) for index, text in enumerate(line.new))
        features = frozenset({*line.old, *range(first, len(self._texts))})
        known = self._all.setdefault((line.subject, line.torch), _Known())
        known.seen |= features
        if isinstance(line, Summary):
            known.runs += line.runs
            known.discovery = Discovery.from_json(line.discovery)
            return
        if line.counted:
            known.runs += 1
            self._recent.append(line)
            if line.lane == UNIFORM and line.status != ERROR:
                known.discovery.add(self._texts[number] for number in features)
        if line.kept:
            known.admit(Entry(line, features))

    def _shorten(self) -> None:
        """Have the log say the same in fewer lines, and go on with the numbers that these give to features."""
        lines, recent = list(self._shortened()), list(self._recent)
        self._log.replace(lines)
        before = {one for known in self._all.values() for one in known.entries}
        self._forget()
        for line in lines:
            self._take(line)
        self._recent.extend(recent)
        self._prune(before)

    def _shortened(self) -> Iterator[Line]:
        """The counts of each subject and torch, and its entries."""
        numbers: dict[int, int] = {}
        for (subject, torch), known in self._all.items():
            new = sorted(known.seen - numbers.keys())
            old = tuple(sorted(numbers[number] for number in known.seen & numbers.keys()))
            numbers.update({number: len(numbers) + index for index, number in enumerate(new)})
            texts = tuple(self._texts[number] for number in new)
            yield Summary(subject, torch, known.runs, texts, old, known.discovery.to_json())
        for known in self._all.values():
            for entry in known.entries.values():
                renumbered = tuple(sorted(numbers[number] for number in entry.features))
                yield replace(entry.row, new=(), old=renumbered, counted=False)


def _locked(folder: Path) -> int:
    """The lock on a corpus, which one explorer has at a time."""
    path = folder / _LOCK
    try:
        own_folder.make(folder)
        held = lock.take(path)
    except OSError as error:
        raise cannot_begin(f"write to {folder}", error, ANOTHER_FOLDER) from error
    if held is None:
        raise UsageError(
            f"another explorer uses the corpus in {folder}, or its file system has no locks; "
            f"wait for its end, or {ANOTHER_FOLDER}"
        )
    return held


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
