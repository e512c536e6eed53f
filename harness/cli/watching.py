"""`run --watch`: plays everything once, then waits, and plays the scenarios of the files that have changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.cli import streams
from harness.cli.errors import report
from harness.cli.exit_codes import INTERRUPTED, NOTHING_SELECTED, USAGE
from harness.cli.running import MakeRunner, Request, play_cells
from harness.cli.selecting import check_programs, select, with_torch
from harness.cli.watched_files import Difference, Seen, difference, look, names
from harness.history.wording import counted
from harness.values.errors import HarnessError, ScenarioError, UsageError

if TYPE_CHECKING:
    from harness.play.options import RunOptions
    from harness.scenario.scenario import Scenario

Look = Callable[[Collection[str]], Seen]
"""What is there now, given the words of the programs of jobs."""


class Changes(Protocol):
    """What is needed of `harness.machine.folder_changes.FolderChanges`."""

    def follow(self, folders: Collection[Path]) -> bool: ...

    def wait(self) -> object: ...

    def settle(self) -> None: ...


def watch(request: Request, options: RunOptions, make_runner: MakeRunner | None = None) -> int:
    """Play what is asked for, and again what changes, until Ctrl-C; returns the exit code of the last round.

    Ctrl-C while something is played ends it as without `--watch`.

    Raises UsageError before anything is played, also for what makes no sense with `--watch`.
    """
    from harness.loader import discover
    from harness.machine.folder_changes import FolderChanges

    problems = list(_conflicts(request))
    if problems:
        raise UsageError("\n".join(problems))
    discover(request.paths)  # paths that do not exist are refused as without --watch
    rounds = Rounds(request, replace(options, python=with_torch(options.python)), make_runner)
    with FolderChanges() as changes:
        return Watch(rounds, partial(look, request.paths, left_out=options.runs_dir), changes).run()


def _conflicts(request: Request) -> Iterator[str]:
    """What cannot stand beside `--watch`, each with what to do."""
    from harness.loader.builtin import is_builtin

    built_in = [str(path) for path in request.paths if is_builtin(path)]
    if not request.paths or built_in:
        which = ", ".join(built_in) or "no path"
        yield f"--watch: {which} means scenarios that ship with the harness, which do not change; name files or folders"
    for option, is_given, reason in (
        ("--last-failed", request.last_failed, "give one of them"),
        ("--shard", request.shard is not None, "give one of them"),
        ("--until-fail", request.until_fail, "give --repeat N in its place"),
        ("--cluster", request.cluster is not None, "each round would ask all machines again"),
        ("--history", any(one.kind == "history" for one in request.reports), "it has a line for each night"),
        ("a report on standard output", any(one.path is None for one in request.reports), "give it a file"),
    ):
        if is_given:
            yield f"--watch and {option} exclude each other; {reason}"


@dataclass
class Watch:
    """The loop: what is there, what has changed since the look before, and a round for it.

    Args:
        changes: waits until something has changed in folders.
    """

    rounds: Rounds
    look: Look
    changes: Changes

    def run(self) -> int:
        """Returns the exit code of the last round; raises UsageError for what is wrong before the first one."""
        seen, files, words = self._next(Seen())
        code = self.rounds.play(files.new)
        while code != INTERRUPTED and streams.flush() is None:  # else nobody would see a result any more
            try:
                streams.say(_waiting(seen, self.rounds.paths))
                seen, files, words = self._wait(seen)
            except KeyboardInterrupt:
                streams.say("the watch has ended")
                break
            streams.say("; ".join(names(files, words)))
            code = self._round(code, files, words)
        return code

    def _wait(self, seen: Seen) -> tuple[Seen, Difference[Path], Difference[str]]:
        """The next time that something differs; also what was saved during the last round does."""
        while True:
            while not self._differs(seen):
                self.changes.wait()
            self.changes.settle()  # who saves a file may not be done yet
            seen, files, words = self._next(seen)
            if files or words:
                return seen, files, words

    def _differs(self, seen: Seen) -> bool:
        now = self._look()
        return (now.scenarios, now.named) != (seen.scenarios, seen.named)

    def _next(self, seen: Seen) -> tuple[Seen, Difference[Path], Difference[str]]:
        """What is there now and differs; files are read again, since they say which other files count."""
        now = self._look()
        files, words = difference(seen.scenarios, now.scenarios), difference(seen.named, now.named)
        self.rounds.read([*files.saved, *files.new], files.gone)
        later = self._look() if files else now
        # A file that was saved since the first of the two looks differs in the next call.
        named = {word: now.named.get(word, stamp) for word, stamp in later.named.items()}
        words = replace(words, gone=tuple(word for word in words.gone if word in self.rounds.words))
        return Seen(now.scenarios, named, later.folders), files, words

    def _look(self) -> Seen:
        """What is there once every folder that counts is watched, so that nothing can change unseen from then on."""
        while True:
            before = self.look(self.rounds.words)
            if self.changes.follow(before.folders):
                now = self.look(self.rounds.words)
                if now.folders == before.folders:
                    return now

    def _round(self, code: int, files: Difference[Path], words: Difference[str]) -> int:
        """The exit code of a round; of the one before if nothing is left to be played. Errors are printed."""
        played = [*files.saved, *files.new, *self.rounds.users([*words.saved, *words.new])]
        if not played:
            return code
        try:
            return self.rounds.play(played)
        except HarnessError as error:
            return report(error)


class Rounds:
    """Plays the cells of some of the files.

    Whatever was read of the others is kept, so that `-k` chooses among the cells of all files.
    """

    def __init__(self, request: Request, options: RunOptions, make_runner: MakeRunner | None = None) -> None:
        self._request, self._options, self._make_runner = request, options, make_runner
        self._is_job = options.subject == "command"
        self._cells: dict[Path, list[Scenario]] = {}
        self._problems: dict[Path, list[str]] = {}

    @property
    def paths(self) -> Collection[Path]:
        """Those of the command line."""
        return self._request.paths

    @property
    def words(self) -> frozenset[str]:
        """The words of all programs of jobs; some of them name files."""
        return frozenset(word for cells in self._cells.values() for word in self._words(cells))

    def users(self, words: Collection[str]) -> list[Path]:
        """The files with a program that has one of these words."""
        return [path for path, cells in self._cells.items() if not set(words).isdisjoint(self._words(cells))]

    def _words(self, cells: Iterable[Scenario]) -> Iterator[str]:
        if not self._is_job:
            return
        from harness.play.plan import argv_of

        for cell in cells:
            for rank in range(cell.world.size):
                yield from argv_of(cell, rank, self._options.command)

    def read(self, files: Iterable[Path], gone: Iterable[Path]) -> None:
        """Read files, and forget others; what is wrong with one is said when it is to be played."""
        from harness.loader import load

        for path in files:
            self._problems.pop(path, None)
            try:
                self._cells[path] = load(path, self._is_job)
            except ScenarioError as error:
                self._cells[path], self._problems[path] = [], error.problems
        for path in gone:
            self._cells.pop(path, None)
            self._problems.pop(path, None)

    def play(self, files: Collection[Path]) -> int:
        """Print what is wrong with some of these files, play the others, and report; returns the exit code.

        Raises UsageError before anything is played.
        """
        request = self._request
        problems = [problem for path in files for problem in self._problems.get(path, ())]
        if problems:
            report(ScenarioError(problems))
        every = [cell for cells in self._cells.values() for cell in cells]
        cells = [cell for cell in select(every, request.tags, request.names) if cell.path in files]
        check_programs(cells, self._options)
        if cells:
            code = play_cells(request, self._options, cells, self._make_runner)
            return USAGE if problems and code != INTERRUPTED else code
        if problems:
            return USAGE
        streams.say("nothing selected: no cell of these files fits --tags and -k")
        return NOTHING_SELECTED


def _waiting(seen: Seen, paths: Collection[Path]) -> str:
    """What is watched, and how to go on or to end."""
    files = counted(len(seen.scenarios), "scenario file")
    others = f" and {counted(len(seen.named), 'file')} of their jobs" if seen.named else ""
    return f"watching {', '.join(map(str, paths))}: {files}{others}; save one to play it again, Ctrl-C ends"
