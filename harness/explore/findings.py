"""The folder of findings: a folder for each cause, with its scenarios, one of its runs, and what is known about it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive import Archived, own_folder, read_run
from harness.archive.files import MOST_BYTES_OF_TEXT, Damaged, Gone, json_of, read_bytes, text_of
from harness.archive.results import result_of
from harness.explore.draft import Draft
from harness.explore.finding import FILED_FROM, UNREPRODUCED, StoredFinding, Tried, folder_name
from harness.explore.observation import Signature
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.loader.tree import document as yaml
from harness.loader.tree.nodes import plain
from harness.loader.tree.problems import Problems
from harness.reports.parts.facts import about
from harness.reports.parts.statistics import wilson
from harness.reports.timeline import View, of_result
from harness.values.errors import HarnessError
from harness.values.json import mapping
from harness.values.refusals import cannot
from harness.values.verdict import FAILED

FINDINGS_DIR = Path(".rdzv/findings")

FOUND, MINIMAL, FINDING, RUN, TIMELINE = (
    "found.rdzv.yaml",
    "minimal.rdzv.yaml",
    "finding.json",
    "run",
    "timeline.txt",
)
"""What the folder of a finding holds."""

ANOTHER_DIR = "choose another --findings"
DELETE = "delete its folder, and the explorer will find it again"


@dataclass(frozen=True)
class NewFinding:
    """What an investigation has found out about a failure.

    Attributes:
        cause: the cause key of the minimal draft.
        failed, of: how many fresh plays of the minimal draft failed with this signature.
        found, minimal: the draft that found it, and the smallest that still fails; equal if nothing could be left out.
        run_dir: the run directory of a red play of the minimal draft, which is copied.
        ancestry, explained_by: as a `StoredFinding` has them; without ancestry it is these two drafts.
    """

    cause: str
    signature: Signature
    failed: int
    of: int
    found: Draft
    minimal: Draft
    run_dir: Path
    ancestry: tuple[str, ...] = ()
    explained_by: str = ""


class Findings:
    """The findings of a folder, which several explorers may share; nothing is made before the first is added.

    A finding is there as a whole or not at all. Below `FILED_FROM` it is kept in the folder `unreproduced`. The cause
    key of one that was not confirmed is that of a draft which was not made small, so equal keys may be different
    causes: each signature and subject has a folder of its own.

    Args:
        wall_time: seconds since 1970.
    """

    def __init__(self, folder: Path = FINDINGS_DIR, wall_time: Callable[[], float] = clock.wall_time) -> None:
        self.folder = folder
        self._wall_time = wall_time

    def known(self, cause: str) -> bool:
        """Whether this cause is filed."""
        return os.path.lexists(self.path(cause))

    def path(self, cause: str, unreproduced: bool = False) -> Path:
        """The folder of a cause, whether it is there or not."""
        folder = self.folder / UNREPRODUCED if unreproduced else self.folder
        return folder / folder_name(cause)

    def where(self, cause: str) -> Path:
        """The folder of a cause that is filed, else where it lies if it is not filed."""
        return self.path(cause, unreproduced=not self.known(cause))

    @property
    def unfiled(self) -> Findings:
        """Those that are not filed."""
        return Findings(self.folder / UNREPRODUCED, self._wall_time)

    def names(self) -> list[str]:
        """The names of the folders of all that are filed, sorted; raises HarnessError where they cannot be listed."""
        try:
            with os.scandir(self.folder) as entries:
                return sorted(
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False)
                    and not entry.name.startswith(".")
                    and entry.name != UNREPRODUCED
                )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise cannot(f"list {self.folder}", error, ANOTHER_DIR) from error

    def read(self, cause: str, unreproduced: bool = False) -> StoredFinding:
        """What is stored of a cause, or in the folder of that name.

        Raises HarnessError with file and field for what is damaged or gone.
        """
        return read_finding(self.path(cause, unreproduced))

    def add(self, new: NewFinding) -> StoredFinding:
        """Store a finding, and return what is stored.

        A cause that is there already is seen once more, perhaps with another subject. One that is not filed takes the
        place of one that failed more seldom.

        Raises HarnessError for a run directory that is damaged or gone, for a stored finding that is damaged, and
        where something cannot be written; then the folder is as before.
        """
        unreproduced = wilson(new.failed, new.of)[0] < FILED_FROM
        finding = self._finding(new, read_run(new.run_dir), unreproduced)
        if self.known(new.cause) and (not unreproduced or self.read(new.cause).is_of(finding.subject)):
            return self._seen_at(self.path(new.cause), finding.subject)
        if unreproduced:
            finding = self._apart(finding)
        path = self.path(finding.cause, unreproduced)
        if os.path.lexists(path):
            before = self._seen_at(path, finding.subject)
            if not unreproduced or finding.interval[0] <= before.interval[0]:
                return before
            finding = replace(finding, first_seen=before.first_seen, seen=before.seen)
            shutil.rmtree(path, ignore_errors=True)
        try:
            with self._new_folder(path) as folder:
                _fill(folder, new, finding)
                taken = not _renamed(folder, path)
        except OSError as error:
            raise cannot(f"write {path}", error, ANOTHER_DIR) from error
        if taken:  # another explorer was faster
            return self._seen_at(path, finding.subject)
        if not unreproduced:
            self._drop_unfiled(finding)
        return finding

    def _apart(self, finding: StoredFinding) -> StoredFinding:
        """With a cause of its own if one with this key is stored that may be another."""
        path = self.where(finding.cause)
        if not os.path.lexists(path):
            return finding
        other = read_finding(path)
        is_one = other.signature == finding.signature or (other.is_confirmed and finding.is_confirmed)
        if is_one and other.subject == finding.subject:
            return finding
        about = json.dumps([finding.signature.to_json(), finding.subject])
        return replace(finding, cause=f"{finding.cause}-{sha256(about.encode()).hexdigest()[:6]}")

    def _drop_unfiled(self, finding: StoredFinding) -> None:
        """Take away what is known of a cause from before it was filed."""
        path = self.path(finding.cause, unreproduced=True)
        with suppress(HarnessError):
            if read_finding(path).is_of(finding.subject):
                shutil.rmtree(path, ignore_errors=True)

    def seen(self, cause: str) -> StoredFinding:
        """Note that a cause was seen once more; raises HarnessError as `read`."""
        return self._seen_at(self.where(cause))

    def compared(
        self, cause: str, tried: Iterable[Tried], without_faults: Tried | None, done: bool = True
    ) -> StoredFinding:
        """Note how a cause fares elsewhere, and without its faults; raises HarnessError as `read`.

        Args:
            done: whether nothing is left to compare.
        """
        path = self.where(cause)
        return _updated(path, read_finding(path).with_tries(tried, without_faults, done))

    def _seen_at(self, path: Path, subject: str = "") -> StoredFinding:
        return _updated(path, read_finding(path).seen_again(self._now(), subject))

    @contextmanager
    def _new_folder(self, path: Path) -> Iterator[Path]:
        """An empty folder beside a path; what is left of it at the end is deleted."""
        own_folder.make(path.parent)
        folder = path.with_name(f".new-{secrets.token_hex(8)}")
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _finding(self, new: NewFinding, archived: Archived, unreproduced: bool) -> StoredFinding:
        result = _judged(archived)
        facts = about(result)
        now = self._now()
        versions = mapping(archived.history.begin.get("versions"))
        return StoredFinding(
            cause=new.cause,
            signature=new.signature,
            failed=new.failed,
            of=new.of,
            breaks=tuple(verdict.name for verdict in result.judgement.verdicts if verdict.status == FAILED),
            seed=new.found.seed,
            played_with=result.seed,
            subject=facts.subject,
            torch=facts.torch,
            python=facts.python,
            harness=str(versions.get("harness") or ""),
            engine=facts.proxy,
            ancestry=new.ancestry or tuple(dict.fromkeys((new.found.id, new.minimal.id))),
            first_seen=now,
            last_seen=now,
            explained_by=new.explained_by,
            unreproduced=unreproduced,
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall_time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_finding(path: Path) -> StoredFinding:
    """The finding of a folder; raises HarnessError with file and field for what is damaged or gone."""
    file = path / FINDING
    try:
        content = read_bytes(file, MOST_BYTES_OF_TEXT)
        finding = StoredFinding.from_json(json_of(file, text_of(file, content), DELETE))
    except Gone as error:
        raise HarnessError(f"{path} is not a finding ({error}); {DELETE}") from error
    except ValueError as error:
        raise Damaged(file, str(error), advice=DELETE) from error
    if finding.name != path.name:
        raise Damaged(file, f"its cause {finding.cause[:80]!r} is not that of its folder", advice=DELETE)
    return finding


def _updated(path: Path, finding: StoredFinding) -> StoredFinding:
    """Store what a finding says now, as a whole or not at all."""
    partial = path / f".{FINDING}-{secrets.token_hex(4)}"
    try:
        partial.write_text(_text(finding), encoding="utf-8")
        os.replace(partial, path / FINDING)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise cannot(f"write {path / FINDING}", error, ANOTHER_DIR) from error
    return finding


def read_file(path: Path) -> str:
    """The text of a file of a finding; raises HarnessError for what is damaged or gone."""
    try:
        return text_of(path, read_bytes(path, MOST_BYTES_OF_TEXT))
    except Gone as error:
        raise HarnessError(f"{error}; {DELETE}") from error


def read_document(path: Path) -> dict[str, Any]:
    """The keys of a scenario of a finding; raises ScenarioError for what is not YAML, HarnessError as `read_file`."""
    text = read_file(path)
    problems = Problems()
    tree = yaml.parse(text, problems)
    problems.raise_if_any(path, text)
    return {} if tree is None else dict(plain(tree))


def _judged(archived: Archived) -> Result:
    """A stored run with its judgement, made again if it has none."""
    judgement = archived.judgement or judge(archived.scenario, archived.history, archived.steady, archived.steady_echo)
    return result_of(archived, judgement)


def _fill(folder: Path, new: NewFinding, finding: StoredFinding) -> None:
    (folder / FOUND).write_text(new.found.text, encoding="utf-8")
    (folder / MINIMAL).write_text(new.minimal.text, encoding="utf-8")
    shutil.copytree(new.run_dir, folder / RUN, symlinks=True)
    copied = read_run(folder / RUN)  # the original may have been pruned meanwhile
    (folder / TIMELINE).write_text(of_result(_judged(copied), View()), encoding="utf-8")
    (folder / FINDING).write_text(_text(finding), encoding="utf-8")


def _text(finding: StoredFinding) -> str:
    return json.dumps(finding.to_json(), indent=1) + "\n"


def _renamed(folder: Path, path: Path) -> bool:
    """Give a folder its name; False if another has it."""
    try:
        os.rename(folder, path)
    except OSError:
        if os.path.lexists(path):
            return False
        raise
    return True
