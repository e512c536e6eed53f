"""The last line of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.archive.logs import MOST_CHARACTERS, TAIL_BYTES, last_line


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"one\ntwo\n", "two"),
        (b"one\n  two  \n\n \n", "two"),
        (b"cut short", "cut short"),
        (b"\xff broken", "\ufffd broken"),
        (b"x" * TAIL_BYTES * 2 + b"\nlast", "last"),
        (b"\n\n", ""),
        (b"", ""),
    ],
)
def test_the_last_line_that_is_not_blank_is_told(tmp_path: Path, content: bytes, line: str) -> None:
    """Whatever a program wrote, and however much."""
    (tmp_path / "log").write_bytes(content)
    assert last_line(tmp_path / "log") == line


def test_a_long_line_is_shortened_and_a_missing_log_is_none(tmp_path: Path) -> None:
    """It is stored in every history."""
    (tmp_path / "log").write_text("y" * 1000)
    assert len(last_line(tmp_path / "log")) == MOST_CHARACTERS
    assert last_line(tmp_path / "absent") == ""
