"""The tables of the scenarios and failures are complete."""

from __future__ import annotations

import claims_table
import failures_table
from packaging.specifiers import SpecifierSet
from scenarios_table import README, SCENARIOS, table

from harness.loader import load
from harness.reference.failures import failures, shown
from harness.scenario.scenario import Known

TORCH = "2.15.0"
"""What the table of claims was made with."""


def test_the_table_is_that_of_the_files() -> None:
    """Readers overlook a file that is not in the table, or is there with another claim or verdict."""
    there = README.read_text(encoding="utf-8")
    assert there == table(there), "write it again: python tests/breaking/scenarios_table.py --write"


def test_every_file_is_in_a_folder_that_has_a_table() -> None:
    """Rows are made under headings, so a folder without a heading would be missing without an error."""
    lines = README.read_text(encoding="utf-8").splitlines()
    missing = [
        str(path.relative_to(SCENARIOS))
        for path in sorted(SCENARIOS.rglob("*.rdzv.yaml"))
        if not any(f"({path.relative_to(SCENARIOS)})" in line for line in lines)
    ]
    assert not missing


def test_every_row_of_the_table_is_a_scenario() -> None:
    """A row for a file that is gone leads nowhere."""
    text = README.read_text(encoding="utf-8")
    linked = [part.split(")")[0] for part in text.split("](")[1:]]
    assert [link for link in linked if not (SCENARIOS / link).is_file()] == []


def test_a_file_name_says_its_claim_in_the_folder_it_belongs_to() -> None:
    """Names are hyphenated words, and folders those of the format."""
    folders = {path.parent.name for path in SCENARIOS.rglob("*.rdzv.yaml")}
    assert folders == {
        "timeouts", "store_reuse", "prefix_isolation", "dropped_masters", "port_conflicts", "latency", "hosts",
        "regressions", "wire",
    }  # fmt: skip
    assert all(path.name.count("-") >= 2 for path in SCENARIOS.rglob("*.rdzv.yaml"))


def test_the_claims_of_the_page_are_those_that_files_call_known() -> None:
    """Its table is what `compare` printed; a claim that was broken or repaired since then would make it wrong."""
    text = claims_table.PAGE.read_text(encoding="utf-8")
    rows = set(claims_table.rows(text))
    files = list(SCENARIOS.rglob("*.rdzv.yaml"))
    known = {
        str(path.relative_to(SCENARIOS))
        for path in files
        if any(_is_of(entry, TORCH) for cell in load(path) for entry in cell.known)
    }
    assert rows == known
    assert f"\n{len(files) - len(rows)} other claims are kept by all.\n" in text


def test_the_failures_of_the_page_are_as_the_files_show_them() -> None:
    """The known entries decide which of the failures static-strict removes."""
    there = failures_table.PAGE.read_text(encoding="utf-8")
    assert there == failures_table.table(there), "write it again: python tests/breaking/failures_table.py --write"
    assert list(failures()) == [f"F{number:02d}" for number in range(1, len(failures()) + 1)]
    assert f"The {len(failures())} failures that" in there


def test_each_failure_has_a_scenario() -> None:
    """How stock and static-strict handle it is read from scenarios alone, so a row without one would say `holds`."""
    assert [number for number, found in shown(failures()).items() if not found.titles] == []


def _is_of(entry: Known, torch: str) -> bool:
    subjects = entry.subject in ("static", "static-strict")
    return subjects and (not entry.torch or SpecifierSet(entry.torch).contains(torch))
