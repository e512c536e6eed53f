"""The time of day as reports write it."""

from __future__ import annotations

from datetime import datetime, timezone

from harness import clock


def now() -> str:
    """The time of day as ISO 8601, UTC, in seconds."""
    return datetime.fromtimestamp(clock.wall_time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
