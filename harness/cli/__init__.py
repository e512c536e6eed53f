"""The command line: `rdzv-harness`."""

from harness.cli.entry import main

__all__ = ["main"]
