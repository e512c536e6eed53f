"""`list failures` and `list words`: what `explain` knows besides the kinds."""

from __future__ import annotations

import pytest

from harness.cli import main
from harness.reference.failures import failures
from harness.reference.glossary import terms

Captured = pytest.CaptureFixture[str]


def test_each_failure_has_its_line(capsys: Captured) -> None:
    """By number, with what goes wrong."""
    assert main(["list", "failures"]) == 0
    *lines, empty, hint = capsys.readouterr().out.splitlines()
    assert lines == [f"{number}  {failure.failure}" for number, failure in failures().items()]
    assert (empty, hint) == ("", "`rdzv-harness explain FAILURE` says more of one")


def test_each_word_has_its_line(capsys: Captured) -> None:
    """With the first sentence of what it means."""
    assert main(["list", "words"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:-2]] == [term.name for term in terms()]
    assert any(line.startswith("nemesis ") and line.endswith("heals them") for line in lines)


def test_a_mistyped_family_names_them(capsys: Captured) -> None:
    """Beside the families of kinds."""
    assert main(["list", "failers"]) == 2
    assert "scenario, failure, word" in capsys.readouterr().err
