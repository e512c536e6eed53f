"""The page opens from a file, loads nothing and says nothing wrong."""

from __future__ import annotations

import synthetic_runs

from browser.opened import Open, Written


def test_it_opens_from_a_file(opened: Open, written: Written) -> None:
    """With scripts, without a server: no request, no error, and the verdict is on the screen."""
    page = opened(written("small", lambda: [synthetic_runs.small()]))
    assert "1 of 1 cell is red" in page.text()
