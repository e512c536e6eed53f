"""`doctor --torch VERSION`, and `doctor --python PATH` behind the checks: what the track record knows of that torch."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED
from harness.cli.record_commands import CHOSEN
from harness.cli.selecting import load_all as load_scenarios
from harness.reports.parts.safe import one_line

RUN, DOCTOR = "rdzv-harness record run", "rdzv-harness doctor"


def report(version: str, record: Path | None) -> int:
    """Print the page of a version; returns the exit code.

    Args:
        record: its folder; None is the record that ships with the harness.

    Raises UsageError for what is no version, one that is too old, and a record that cannot be read.
    """
    return _print(version, record, "")


def report_interpreter(python: str, record: Path | None) -> int:
    """The same for the torch of an interpreter; prints nothing if it has none, which the checks have said."""
    from harness.machine.process.interpreter import examine

    info = examine(Path(python))
    if info.problem or not info.torch:
        return AS_EXPECTED
    print()
    return _print(info.torch, record, python)


def _print(version: str, record: Path | None, python: str) -> int:
    from harness.machine.torches import torches
    from harness.record.advice_page import Commands, page
    from harness.record.folder import OWN, load_all
    from harness.record.named import named
    from harness.record.record import Record
    from harness.reference.failures import failures

    results = load_all([OWN if record is None else record])
    found = named({one.torch for one in results}, version)  # before the scenarios are read, which takes seconds
    if not found.torch:
        torches.check(version)
    whole = Record(results, load_scenarios(()))
    for line in Record([one for one in results if one.torch in found.torches], whole.scenarios).out_of_date():
        streams.say(line)
    origin = "the record that ships with rdzv-harness" if record is None else f"the record in {record}"
    for line in page(whole, failures(), found, origin, Commands(*_commands(version, record, python))):
        print(one_line(line))
    return AS_EXPECTED


def _commands(version: str, record: Path | None, python: str) -> tuple[str, str]:
    """The lines that record this torch, and that print its page again; nobody can install what was built elsewhere."""
    from harness.machine.torches.torches import called
    from harness.record.named import parsed

    wanted = parsed(version, ())
    folder = shlex.quote(str(CHOSEN if record is None else record))
    if python or wanted.is_prerelease:
        which = f"--python {shlex.quote(called(python)) if python else 'PATH'}"
        return f"{RUN} {which} --record {folder}", f"{DOCTOR} {which} --record {folder}"
    return (
        f"{RUN} --torch {wanted.base_version} --record {folder}",
        f"{DOCTOR} --torch {wanted.base_version} --record {folder}",
    )
