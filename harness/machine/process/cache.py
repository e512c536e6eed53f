"""The folder of this user's caches."""

from __future__ import annotations

import os
from pathlib import Path

from harness.values.errors import UsageError


def folder() -> Path:
    """XDG_CACHE_HOME, or `.cache` in the home; raises UsageError for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise UsageError("this user has no home folder for caches; set HOME or XDG_CACHE_HOME") from error
