"""The run directory: what is stored of a play, how it is read back, and how many stay."""

from harness.archive.keeping import RunDirs
from harness.archive.layout import HISTORY, META, PLAN, SCENARIO, STEADY, STEADY_ECHO, VERDICT
from harness.archive.reading import Archived, read_history, read_ops, read_run
from harness.archive.writing import create_run, fill_run, write, write_history, write_judgement

__all__ = [
    "HISTORY",
    "META",
    "PLAN",
    "SCENARIO",
    "STEADY",
    "STEADY_ECHO",
    "VERDICT",
    "Archived",
    "RunDirs",
    "create_run",
    "fill_run",
    "read_history",
    "read_ops",
    "read_run",
    "write",
    "write_history",
    "write_judgement",
]
