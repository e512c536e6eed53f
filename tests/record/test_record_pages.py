"""The pages of the track record are what the stored results give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from record_parts import TORCHES, record

from harness.cli import record_commands
from harness.record import folder, html
from harness.record.bounds import CONTRADICTED, bounds
from harness.record.derived import document
from harness.record.pages import PAGES, Sources, behaviour, track_record
from harness.reference.failures import failures

DOCS = Path(__file__).parents[2] / "docs"
STORED = DOCS / "record"


@pytest.fixture(scope="module")
def stored() -> Sources:
    """What the repository's record gives, as `record show --output docs` reads it."""
    return record_commands.sources((), STORED, DOCS)


@pytest.fixture
def made() -> Sources:
    """One cell on five torches."""
    found = record(dict(zip(TORCHES, [5, 5, 2, 0, 0], strict=True)))
    return Sources(found, failures(), lambda subject, torch: f"record/{subject}/{torch}.json")


def test_the_pages_are_what_the_record_gives(stored: Sources) -> None:
    """`rdzv-harness record show --record docs/record --format md --output docs` writes them."""
    assert {name: write(stored) for name, write in PAGES.items()} == {
        name: (DOCS / name).read_text(encoding="utf-8") for name in PAGES
    }


def test_the_record_contradicts_no_known_entry(stored: Sources) -> None:
    """A range of versions in a scenario is what was played."""
    assert [str(bound) for bound in bounds(stored.record) if bound.word == CONTRADICTED] == []


def test_the_record_ships_with_the_harness() -> None:
    """The folder that commands read without --record is that of the repository."""
    assert folder.OWN.resolve() == STORED.resolve()
    assert folder.files(folder.OWN)


def test_a_failure_is_shown_with_its_brackets_and_its_evidence(made: Sources) -> None:
    """A word for each release, where it begins and ends, and links to the section and to the results."""
    page = track_record(made)
    row = next(line for line in page.splitlines() if line.startswith("| [F12](#f12)"))
    words = ["[**broken**](#f12)", "[**broken**](#f12)", "[flaky 2 of 5](#f12)", "[kept](#f12)", "[kept](#f12)"]
    assert row.split(" | ")[1:-1] == words
    assert row.endswith("| introduced in <=2.6.0; fixed in (2.8.0, 2.9.0] |")
    assert "[**broken** 5/5][static 2.6.0]" in page.replace("**broken 5/5**", "**broken** 5/5")
    assert "\n[static 2.6.0]: record/static/2.6.0+cu124.json\n" in page


def test_what_differs_between_neighbours_is_shown(made: Sources) -> None:
    """A heading for each pair, and a line for each difference."""
    page = behaviour(made)
    assert "## `static`: 2.8.0 to 2.9.0" in page
    assert page.count("Nothing differs.") == 4


def test_the_derived_values_are_plain(made: Sources) -> None:
    """JSON takes them: statuses, ends and times of each claim."""
    found = json.loads(json.dumps(document(made.record, made.failures)))
    cell = found["cells"]["timeouts/a-join-ends-in-time"]["static"]["torch"]["2.8.0"]
    assert (cell["word"], cell["broken"], cell["plays"]) == ("flaky", 2, 5)
    assert cell["statuses"] == {"failed": 2, "passed": 3}
    assert cell["claims"]["in-time"]["seconds"] == {"median": 2.03, "shortest": 2.01, "longest": 2.05}


def test_the_html_page_needs_nothing_else(made: Sources) -> None:
    """No script, no address, and each word."""
    page = html.page(made.record, made.failures)
    assert "<script" not in page
    assert "http" not in page
    assert '<td class="flaky">flaky 2 of 5</td>' in page
