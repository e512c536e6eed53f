"""The names of what a run directory holds."""

from __future__ import annotations

SCENARIO, META, PLAN, HISTORY, WIRE, VERDICT = (
    "scenario.rdzv.yaml",
    "run.json",
    "plan.json",
    "history.jsonl",
    "wire.jsonl",
    "verdict.json",
)
MOST_BYTES = 1 << 27
"""Of one file of operations or messages; the largest that a scenario has written has some megabytes."""

OPS = "ops"
FOLDERS = (OPS, "logs", "stacks")
STEADY, STEADY_ECHO = "steady", "steady-echo"
"""The same world without faults, and without faults with the subject `echo`."""

CHECKSUMS = "SHA256SUMS"
"""The checksums of the files that are read back, as `sha256sum --check` reads them."""

CHECKED, HOLDER = "checksums", "holder"
"""Keys of `run.json`: whether there are checksums, and the lock file of the runner that needs the directory."""
