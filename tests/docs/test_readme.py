"""The README is a page of a minute: short, its links lead somewhere, and its figures are those of the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.reference.failures import failures

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/rdzv-harness/rdzv-harness"
LINKS = re.findall(r"\]\(([^)\s]+)\)", README)
LARGEST_BYTES = 8 * 1024


def test_it_is_read_in_a_minute() -> None:
    """What does not fit belongs on a page of its own."""
    assert len(README.encode()) <= LARGEST_BYTES


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_a_link_is_absolute_and_leads_to_a_file(link: str) -> None:
    """The package index shows the page too, where a relative link leads nowhere."""
    kind, _, path = link.removeprefix(f"{REPOSITORY}/").partition("/main/")
    assert kind in ("blob", "raw"), link
    file, _, anchor = path.partition("#")
    assert (ROOT / file).is_file(), link
    assert not anchor or f"\n## {anchor.upper()}\n" in (ROOT / file).read_text(encoding="utf-8"), link


def test_the_symptoms_are_those_of_the_catalogue() -> None:
    """Users search for the lines of their logs, so a line that is only like theirs is not found."""
    symptoms = README.partition("## Do I need it?")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in symptoms.splitlines() if line.startswith("| `")]
    assert len(rows) == 3
    for log, behind in rows:
        number = re.findall(r"\[(F\d\d)\]", behind)[0]
        for line in re.findall(r"`([^`]+)`", log):
            assert line in failures()[number].see, (number, line)


def test_its_figures_are_those_of_the_pages() -> None:
    """A claim that torch breaks or keeps since then would make them wrong."""
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in results if line.startswith("| [") and "| broken" in line]
    files = len(list((ROOT / "scenarios").rglob("*.rdzv.yaml")))
    stock, strict = (sum(row[column].startswith("broken") for row in rows) for column in (1, 2))
    text = " ".join(README.split())
    assert f"{stock} of the {files} claims are broken" in text
    assert f"breaks {strict} of the {files} claims" in text
    assert f"plays all {files}" in text
    assert f"all {len(failures())} failures" in text


def test_its_worst_findings_are_broken_by_torch() -> None:
    """Each row links the scenario of a claim that the table of results has as broken."""
    worst = README.partition("## The five worst findings")[2].partition("\n## ")[0]
    files = re.findall(r"/blob/main/(scenarios/[^)]+)\)", worst)
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert len(files) == 5
    assert [file for file in files if f"](../{file}) | broken" not in text] == []
