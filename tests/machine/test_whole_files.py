"""A file that is written as a whole: it takes its place at the end, or nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machine.whole import whole_file
from harness.values.errors import HarnessError


def test_the_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    """Until then the old one is read."""
    path = tmp_path / "file"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "new")]


def refused(path: Path) -> None:
    with whole_file(path) as partial:
        partial.write_text("ne")
        raise OSError(28, "No space left on device")


def test_what_the_system_refuses_leaves_the_old_file(tmp_path: Path) -> None:
    """Nothing of the new one is left, and the error names the file."""
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(HarnessError) as error:
        refused(path)
    assert str(error.value).startswith(f"cannot write {path} (No space left on device)")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]
