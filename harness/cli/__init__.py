"""The command line: `rdzv-harness`."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. `arguments` are those of the process unless given."""
    try:
        from harness.cli import entry
    except KeyboardInterrupt:
        return 130
    return entry.main(arguments)
