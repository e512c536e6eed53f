"""The table of the scenarios is whole."""

from __future__ import annotations

from pathlib import Path

from harness.loader import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def test_every_scenario_stands_in_the_table() -> None:
    """A file that is not in the table, or stands there with another claim, is overlooked by readers."""
    lines = (SCENARIOS / "README.md").read_text(encoding="utf-8").splitlines()
    missing = [
        path.name
        for path in sorted(SCENARIOS.rglob("*.rdzv.yaml"))
        if not any(f"({path.relative_to(SCENARIOS)})" in line and load(path)[0].title in line for line in lines)
    ]
    assert not missing


def test_every_row_of_the_table_is_a_scenario() -> None:
    """A row for a file that is gone leads nowhere."""
    text = (SCENARIOS / "README.md").read_text(encoding="utf-8")
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
