"""`reproduce`: from a scenario, or a finding, to a script that needs the standard library and torch alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, SOME_FAILED
from harness.cli.selecting import load_all, select, with_torch
from harness.loader import builtin
from harness.values.errors import UsageError
from harness.values.json import mapping
from harness.values.printable import printable

if TYPE_CHECKING:
    from harness.reproduce.script import Script
    from harness.reproduce.trying import Run
    from harness.scenario.scenario import Scenario

FINDINGS_DIR = Path(".rdzv/findings")
MINIMAL, FINDING = "minimal.rdzv.yaml", "finding.json"
SUFFIX = ".rdzv.yaml"
RUNS = 5


@dataclass(frozen=True)
class Wish:
    """What is to be written.

    Attributes:
        what: a scenario file, the name of a built-in scenario, the folder of a finding, or its name below
            `.rdzv/findings`.
        names: an expression that selects one cell of a matrix, or None.
        output: where the script goes; a bug report goes beside it, with the suffix `.md`.
        runs: how often the script is run; 0 is not at all.
    """

    what: str
    output: Path
    python: str
    subject: str = "static"
    names: str | None = None
    runs: int = RUNS
    issue: bool = False


def reproduce(wish: Wish) -> int:
    """Write the script, run it, and say in its header how often it failed; returns the exit code.

    Raises UsageError for a scenario that no script can play, or an interpreter without torch.
    """
    from harness.reproduce.script import script

    path = scenario_file(wish.what)
    scenario = one_cell(select(load_all([path]), None, wish.names), wish)
    breaks, because = _failure(scenario, path, wish.subject)
    made = script(scenario, wish.subject, breaks, because)
    _write(wish.output, made.text())
    if not wish.runs:
        if wish.issue:
            _write_report(wish.output, made, [])
        print(printable(f"{wish.output}: written, and not run"))
        return AS_EXPECTED
    return _try(wish, made)


def _try(wish: Wish, made: Script) -> int:
    """Run the script, and write it again with what it did."""
    from harness.machine.process.interpreter import require
    from harness.reproduce.trying import others, runs_of, seen_in

    python = with_torch(wish.python)
    require(Path(python))
    runs = runs_of(wish.output, python, wish.runs)
    seen = seen_in(runs)
    _write(wish.output, made.text(seen))
    if wish.issue:
        _write_report(wish.output, made, runs)
    rest = others(runs)
    print(printable(f"{wish.output}: failed as found in {seen.failed} of {seen.of} runs{f' ({rest})' if rest else ''}"))
    for line in seen.broken:
        print(printable(f"  {line}"))
    if not seen.failed:
        streams.say(printable(f"the last run printed:\n{runs[-1].output.rstrip()}"))
    return AS_EXPECTED if seen.failed else SOME_FAILED


def scenario_file(what: str) -> Path:
    """The file, or the built-in scenario, that is meant; raises UsageError if there is none."""
    if builtin.is_builtin(what):
        return builtin.one(what)
    path = Path(what)
    folders = (path, FINDINGS_DIR / what)
    if what.endswith(SUFFIX) and path.is_file():
        return path
    for folder in folders:
        if (folder / MINIMAL).is_file():
            return folder / MINIMAL
    raise UsageError(
        f"{what} is neither a scenario file ({SUFFIX}) nor a finding of {FINDINGS_DIR}; "
        "`rdzv-harness findings list` names those that there are"
    )


def one_cell(cells: Sequence[Scenario], wish: Wish) -> Scenario:
    """The only cell; raises UsageError with the names of all if there are several, or none."""
    if len(cells) == 1:
        return cells[0]
    if not cells:
        raise UsageError(f"{wish.what}: no cell fits -k {wish.names}")
    names = ", ".join(cell.id for cell in cells)
    raise UsageError(f"{wish.what} has {len(cells)} cells: {names}; choose one with -k 'NAME[CELL]'")


def _failure(scenario: Scenario, path: Path, subject: str) -> tuple[tuple[str, ...], str]:
    """What breaks and why: by the finding that the file is of, else by its `known` entry, else any claim."""
    from harness.reproduce.script import known_entry

    found = _of_finding(path.parent / FINDING) if path.name == MINIMAL else ()
    if found:
        return found, ""
    entry = known_entry(scenario, subject)
    if entry is None:
        return (), ""
    return entry.breaks, entry.because + (f" (torch {entry.torch})" if entry.torch else "")


def _of_finding(path: Path) -> tuple[str, ...]:
    """The claims and checks that a finding breaks; empty if there is no such file."""
    try:
        facts: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); name another file or finding") from error
    if not isinstance(facts, Mapping):
        raise UsageError(f"{path} is no finding; name another")
    oracle, breaks = mapping(facts.get("signature")).get("check"), facts.get("breaks")
    named = [oracle, *(breaks if isinstance(breaks, list) else [])]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def _write_report(output: Path, made: Script, runs: Sequence[Run]) -> None:
    from harness.reproduce.issue import report
    from harness.reproduce.script import Seen
    from harness.reproduce.trying import AS_FOUND, seen_in

    shown = next((run.output for run in runs if run.status == AS_FOUND), runs[0].output if runs else "")
    seen = seen_in(runs) if runs else Seen(0, 0)
    _write(output.with_suffix(".md"), report(made, seen, shown))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}); choose another place with -o") from error
