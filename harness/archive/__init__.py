"""The run directory: what is stored of a play, how it is read back, and how many stay."""

from harness.archive.keeping import RunDirs
from harness.archive.layout import HISTORY, META, PLAN, SCENARIO, STEADY, STEADY_ECHO, VERDICT, WIRE
from harness.archive.play_id import play_id
from harness.archive.reading import Archived, read_history, read_ops, read_run
from harness.archive.writing import create_run, fill_run, write, write_history, write_judgement, write_wire

__all__ = [
    "HISTORY",
    "META",
    "PLAN",
    "SCENARIO",
    "STEADY",
    "STEADY_ECHO",
    "VERDICT",
    "WIRE",
    "Archived",
    "RunDirs",
    "create_run",
    "fill_run",
    "play_id",
    "read_history",
    "read_ops",
    "read_run",
    "write",
    "write_history",
    "write_judgement",
    "write_wire",
]
