"""The run directories of one runner, in a folder that others may share: made, held while needed, and pruned."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive import own_folder
from harness.archive.files import MOST_BYTES_OF_TEXT, Damaged, Gone, json_of, read_bytes, text_of
from harness.archive.holder import PREFIX, Holder, is_held, sweep
from harness.archive.layout import HOLDER, META, VERDICT
from harness.archive.writing import ANOTHER_RUNS_DIR, create_run, new_run_dir
from harness.scenario.scenario import Scenario
from harness.values.json import mapping
from harness.values.refusals import cannot, cannot_begin
from harness.values.verdict import KNOWN, PASSED, SKIPPED

AS_EXPECTED = (PASSED, KNOWN, SKIPPED)

PRUNED = ".pruned-"
"""How the name of a directory begins that is being deleted: it is a run no more, also if the deletion is cut short."""

LOOK_EVERY = 20
"""After so many results the folder is listed again, for what others have made and deleted there."""
DELETED_AT_ONCE = 3
"""At most so many directories are deleted after one result: more than are made, and little time."""
CLEANING_LIMIT_NS = 1_000_000_000
"""What is still to be deleted then is left to the next run."""

# What is known of a directory: it is under way, or the runner that holds it still needs it, or it can go.
_PLAYING, _NEEDED, _GREEN, _RED = "playing", "needed", "green", "red"


class RunDirs:
    """The run directories of one runner.

    Of all that are finished, `keep` stay. When there are more, those that came out as expected (passed, known failure,
    skipped) go first, the oldest first, until only the newest tenth of `keep` is left of them: so much stays to be
    looked at. Then the others go, the oldest first. A directory that a living runner plays in stays, and so does one
    that is not as expected while its runner lives: the reports at the end of the run name it.

    Args:
        folder: where they are; it is made when the first is.
        now_ns: the clock.
    """

    def __init__(self, folder: Path, keep: int, now_ns: Callable[[], int] = clock.now_ns) -> None:
        self._folder = folder.absolute()
        self._keep = keep
        self._now_ns = now_ns
        self._holder: Holder | None = None
        self._own: set[str] = set()
        self._states: dict[str, str] = {}
        self._immovable: set[str] = set()
        self._to_delete: list[Path] = []
        self._until_look = 0

    def hold(self) -> Holder:
        """The lock on the directories of this runner, and with it their folder, made where there is none.

        Raises UsageError for a folder that cannot be used, HarnessError where the machine has too little of something.
        """
        if self._holder is not None and not self._holder.is_seen:
            self.release()
        if self._holder is None:
            try:
                own_folder.make(self._folder)
                self._holder = Holder(self._folder)
            except OSError as error:
                raise cannot_begin(f"write to {self._folder}", error, ANOTHER_RUNS_DIR) from error
        return self._holder

    def create(self, scenario: Scenario, meta: Mapping[str, Any]) -> Path:
        """A new run directory, held until it is judged as expected or `release` is called."""
        run_dir = create_run(self._folder, scenario, {**meta, HOLDER: self.hold().name})
        self._own.add(run_dir.name)
        self._states[run_dir.name] = _PLAYING
        return run_dir

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def adopt(self, run_dir: Path, scenario: Scenario) -> Path:
        """Take over a run directory that another machine has filled, from elsewhere on this disk; returns its new path.

        Raises HarnessError.
        """
        try:
            adopted = new_run_dir(self._folder, scenario)
            os.rename(run_dir, adopted)  # it is empty, and so it is replaced
        except OSError as error:
            raise cannot(f"move {run_dir}", error) from error
        self._own.add(adopted.name)
        self._states[adopted.name] = _PLAYING
        return adopted

    def judged(self, run_dir: Path, status: str) -> None:
        """Say that one of these has its verdict; prunes in a small step."""
        self._states[run_dir.name] = _GREEN if status in AS_EXPECTED else _NEEDED
        self._until_look -= 1
        if self._until_look < 0:
            self._look()
        self._prune()
        self._delete(lambda deleted: deleted < DELETED_AT_ONCE)

    def let_go(self, run_dir: Path) -> None:
        """Say that a judged one is needed no longer, so that it is pruned while its runner lives."""
        if self._states.get(run_dir.name) == _NEEDED:
            self._states[run_dir.name] = _RED

    def finish(self) -> None:
        """Prune for the last time; all that go are gone by name, and deleted as far as `CLEANING_LIMIT_NS` allows."""
        self._look()
        self._prune()
        deadline_ns = self._now_ns() + CLEANING_LIMIT_NS
        self._delete(lambda _: self._now_ns() < deadline_ns)

    def release(self) -> None:
        """Hold no directory any longer: the reports are written."""
        if self._holder is not None:
            self._holder.release()
            self._holder = None

    # -- pruning -----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """List the folder; a directory that is finished is looked into once."""
        self._until_look = LOOK_EVERY
        found: dict[str, str] = {}
        for entry in _entries(self._folder):
            name = entry.name
            if name.startswith(PRUNED):
                self._to_delete.append(self._folder / name)
            elif name.startswith(PREFIX):
                sweep(self._folder, name)
            elif name not in self._immovable and _is_folder(entry):
                known = self._states.get(name)
                state = known if known in (_GREEN, _RED) or name in self._own else _state(self._folder, name)
                if state is not None:
                    found[name] = state
        self._states = found
        self._to_delete = list(dict.fromkeys(self._to_delete))

    def _prune(self) -> None:
        """Rename what goes: from then on it is not a run."""
        finished = [name for name, state in self._states.items() if state != _PLAYING]
        too_many = len(finished) - self._keep
        if too_many <= 0:
            return
        greens = sorted(name for name in finished if self._states[name] == _GREEN)
        going = greens[: max(0, min(too_many, len(greens) - greens_kept(self._keep)))]
        reds = sorted(name for name in finished if self._states[name] == _RED)
        for name in [*going, *reds[: too_many - len(going)]]:
            self._take_away(name)

    def _take_away(self, name: str) -> None:
        del self._states[name]
        target = self._folder / f"{PRUNED}{secrets.token_hex(8)}"
        try:
            os.rename(self._folder / name, target)
        except FileNotFoundError:  # another runner was faster
            return
        except OSError:  # it belongs to somebody else
            self._immovable.add(name)
            return
        self._to_delete.append(target)

    def _delete(self, may_go_on: Callable[[int], bool]) -> None:
        deleted = 0
        while self._to_delete and may_go_on(deleted):
            shutil.rmtree(self._to_delete.pop(0), ignore_errors=True)
            deleted += 1


def greens_kept(keep: int) -> int:
    """How many of `keep` may be as expected where there are more red ones: a tenth, and one of two or more."""
    return min(max(keep // 10, 1), max(keep - 1, 0))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _state(folder: Path, name: str) -> str | None:
    """What a directory is that this runner has not made; None if it is not a run, or not yet."""
    if not os.path.lexists(folder / name / META):
        return None
    status = _row(folder / name / VERDICT).get("status")
    if status in AS_EXPECTED:
        return _GREEN
    if is_held(folder, _row(folder / name / META).get(HOLDER)):
        return _PLAYING if status is None else _NEEDED
    return _RED


def _row(path: Path) -> Mapping[str, Any]:
    """The mapping in a file; empty if there is none, or if it is damaged."""
    try:
        return mapping(json_of(path, text_of(path, read_bytes(path, MOST_BYTES_OF_TEXT))))
    except (Damaged, Gone):
        return {}
