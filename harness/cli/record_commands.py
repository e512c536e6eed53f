"""`record merge`, `show`, `diff` and `known`: what a record says, without playing anything."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, SOME_FAILED
from harness.cli.selecting import load_all as load_scenarios
from harness.machine.whole import whole_file
from harness.reports.parts.safe import one_line
from harness.values.errors import UsageError
from harness.values.refusals import cannot_begin
from harness.values.suggest import nearest

if TYPE_CHECKING:
    from harness.record.document import Results
    from harness.record.pages import Sources
    from harness.record.record import Record

FORMS = ("md", "html", "json")
DIFF_FORMS = ("text", "md")
CHOSEN = Path(".rdzv/record")


def folder_of(record: Path | None) -> Path:
    """The folder that is named, else `.rdzv/record` if it is there, else the record that ships with the harness."""
    from harness.record.folder import OWN

    if record is not None:
        return record
    return CHOSEN if CHOSEN.exists() else OWN


def merge(paths: Sequence[Path], record: Path) -> int:
    """Add what is in files and folders to a record; returns the exit code. Raises UsageError for what is not one."""
    from harness.record import folder

    there = [record] if record.exists() and any(record.rglob(f"*{folder.SUFFIX}")) else []
    for results in folder.load_all([*there, *paths]):
        print(one_line(str(folder.save(record, results))))
    return AS_EXPECTED


def show(paths: Sequence[Path], record: Path | None, form: str, output: Path | None) -> int:
    """Print or write what is derived from a record; returns the exit code.

    Args:
        paths: the scenarios of today; none is all built-in ones.
        output: a folder, which gets the pages of this form; it is made if it is not there.

    Raises UsageError for another form, for a record that cannot be read, and for a folder that cannot be made.
    """
    if form not in FORMS:
        raise UsageError(f"--format {form}: there is {', '.join(FORMS)}")
    pages = _pages(sources(paths, record, output), form)
    if output is not None:
        _make_folder(output)
    for name, text in pages.items():
        if output is None:
            print(text, end="")
            continue
        with whole_file(output / name) as partial:
            partial.write_text(text, encoding="utf-8")
        streams.say(one_line(str(output / name)))
    return AS_EXPECTED


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_begin(f"make {folder}", error, "choose another folder with --output") from error


def sources(paths: Sequence[Path], record: Path | None, output: Path | None = None) -> Sources:
    """A record beside the scenarios of today; says what is out of date."""
    from harness.record import folder
    from harness.record.pages import Sources
    from harness.reference.failures import failures

    where = folder_of(record)

    def link(subject: str, torch: str) -> str:
        return Path(os.path.relpath(folder.path_of(where, torch, subject), output or Path())).as_posix()

    return Sources(_record(paths, where), failures(), link)


def _record(paths: Sequence[Path], where: Path) -> Record:
    from harness.record import folder
    from harness.record.record import Record

    record = Record(folder.load_all([where]), load_scenarios(paths))
    for line in record.out_of_date():
        streams.say(line)
    return record


def _pages(sources: Sources, form: str) -> dict[Path, str]:
    from harness.record import derived, html, pages

    if form == "md":
        return {name: write(sources) for name, write in pages.PAGES.items()}
    if form == "html":
        return {Path("track-record.html"): html.page(sources.record, sources.failures)}
    document = derived.document(sources.record, sources.failures)
    return {Path("track-record.json"): json.dumps(document, indent=1) + "\n"}


def diff(before: str, after: str, record: Path | None, subjects: Sequence[str], form: str = "text") -> int:
    """Print what differs between two torches of a record, or between two files or folders; 1 if anything does.

    Of two folders of which one has several torches each torch is compared with itself; one that is new with its
    predecessor. Plays of one text of a scenario are compared with plays of the same text.

    Raises UsageError for what is neither, if the two have no subject in common, and for another form.
    """
    from harness.record import comparing

    if form not in DIFF_FORMS:
        raise UsageError(f"--format {form}: there is {', '.join(DIFF_FORMS)}")
    one, other = (_results(word, record) for word in (before, after))
    are_folders = Path(before).is_dir() and Path(after).is_dir()
    has_torches = are_folders and max(len(_torches(one)), len(_torches(other))) > 1
    for word, found in () if has_torches else ((before, one), (after, other)):
        if len(_torches(found)) > 1:
            raise UsageError(f"{word} has torch {', '.join(_torches(found))}; name the file of one of them")
    names = [", ".join(sorted({its.subject for its in found})) for found in (one, other)]
    one, other = ([its for its in found if not subjects or its.subject in subjects] for found in (one, other))
    if not {its.subject for its in one} & {its.subject for its in other}:
        raise UsageError(f"{before} has {names[0]}, {after} has {names[1]}: no subject to compare")
    compared = (comparing.of_many if has_torches else comparing.of_two)(one, other)
    lines = list(comparing.lines(compared, has_torches))
    for line in lines if form == "text" else comparing.markdown(compared):
        print(line)
    streams.say(f"{len(lines)} difference{'s' if len(lines) != 1 else ''}")
    return SOME_FAILED if lines else AS_EXPECTED


def _torches(found: Sequence[Results]) -> list[str]:
    return sorted({one.torch for one in found})


def _results(word: str, record: Path | None) -> list[Results]:
    """The results that a word means: those of a file or a folder, else those of a torch of the record."""
    from harness.record import folder

    if Path(word).exists():
        return folder.load_all([Path(word)])
    results = folder.load_all([folder_of(record)])
    found = [one for one in results if word in (one.torch, one.torch.split("+")[0])]
    if not found:
        torches = _torches(results)
        near = nearest(word, torches)
        hint = f"did you mean {near}? " if near else ""
        raise UsageError(f"{word}: no file, and no torch of the record; {hint}it has {', '.join(torches)}")
    return found


def known(paths: Sequence[Path], record: Path | None) -> int:
    """Print every `known` entry with a range of versions, and what the record says of it; 1 if it contradicts one."""
    from harness.record.bounds import CONTRADICTED, bounds

    found = list(bounds(_record(paths, folder_of(record))))
    for bound in found:
        print(one_line(str(bound)))
    if not found:
        print("no `known` entry names versions of torch")
    return SOME_FAILED if any(bound.word == CONTRADICTED for bound in found) else AS_EXPECTED
