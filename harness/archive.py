"""The run directory: everything needed to read, show and judge a run again."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain, count
from pathlib import Path
from typing import Any

from harness import clock
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError, UsageError
from harness.values.history import History
from harness.values.ops import Op
from harness.values.refusals import cannot, cannot_begin
from harness.values.verdict import Judgement

SCENARIO, META, PLAN, HISTORY, VERDICT = (
    "scenario.rdzv.yaml",
    "run.json",
    "plan.json",
    "history.jsonl",
    "verdict.json",
)
FOLDERS = ("ops", "logs", "stacks")
STEADY = "steady"
ANOTHER_RUNS_DIR = "choose another --runs-dir"
LONGEST_NAME = 100  # a file system allows 255 bytes; folders below add their own


@dataclass(frozen=True)
class Archived:
    """A run as it is stored.

    Attributes:
        judgement: the stored one; None if the run was not judged to the end.
        meta: `run.json`: path, cell, subject, seed, attempt, command, python, started.
        steady: the history of the steady-state check, if one was made.
    """

    run_dir: Path
    scenario: Scenario
    history: History
    judgement: Judgement | None
    meta: Mapping[str, Any]
    steady: History | None


def create_run(runs_dir: Path, scenario: Scenario, meta: Mapping[str, Any]) -> Path:
    """A new run directory with what is known before the play; its name is the time and the scenario's id.

    Raises UsageError for a path that cannot be used, HarnessError where the machine has too little of something. Then
    nothing of it is left.
    """
    stamp = datetime.fromtimestamp(clock.wall_time(), timezone.utc).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    slug = re.sub(r"[^A-Za-z0-9=,.-]+", "-", scenario.id)[:LONGEST_NAME].strip("-")
    run_dir = _make_unique(runs_dir.absolute(), f"{stamp}-{slug}")
    try:
        fill_run(run_dir, scenario, {"started": stamp, **meta})
    except HarnessError:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    return run_dir


def fill_run(run_dir: Path, scenario: Scenario, meta: Mapping[str, Any]) -> None:
    """Fill a run directory with its folders, the scenario and `run.json`; raises HarnessError."""
    try:
        for folder in FOLDERS:
            (run_dir / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_begin(f"create {run_dir}", error, ANOTHER_RUNS_DIR) from error
    write(run_dir / SCENARIO, scenario.text)
    about = {"path": str(scenario.path), "cell": [list(pair) for pair in scenario.cell], **meta}
    write(run_dir / META, json.dumps(about, indent=1))


def write_history(run_dir: Path, ops: Iterable[Op]) -> History:
    """Merge all operations into one numbered file; the files of the processes stay beside it.

    Raises HarnessError; then they are what is read, because no part of this file is left.
    """
    history = History.of(ops)
    lines = [json.dumps(op.to_json(), separators=(",", ":")) for op in history]
    write(run_dir / HISTORY, "".join(f"{line}\n" for line in lines))
    return history


def write_judgement(run_dir: Path, judgement: Judgement) -> None:
    """Store the judgement beside the history; raises HarnessError."""
    write(run_dir / VERDICT, json.dumps(judgement.to_json(), indent=1))


def read_history(run_dir: Path) -> History:
    """The history of a run; if the run was cut short, what its processes had written.

    Raises HarnessError for a line that is not an operation.
    """
    merged = run_dir / HISTORY
    if merged.exists():
        return History.of(read_ops(merged))
    parts = sorted((run_dir / "ops").glob("*.jsonl"))
    return History.of(op for part in parts for op in read_ops(part))


def read_ops(path: Path) -> list[Op]:
    """The operations of one file; a last line that a crash cut short is left out."""
    ops = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            ops.append(Op.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise HarnessError(f"{path}:{number}: not an operation ({error}); was the file edited?") from error
    return ops


def read_run(run_dir: Path) -> Archived:
    """A run directory as values.

    Raises UsageError for any other directory, ScenarioError for a scenario that no longer loads, HarnessError for a
    history that is damaged.
    """
    # A controller writes archives and never reads one, so it need not import pydantic.
    from harness.loader import load_text

    if not (run_dir / META).is_file():
        raise UsageError(f"{run_dir} is not a run directory (it has no {META}); run directories are under .rdzv/runs/")
    try:
        meta = json.loads((run_dir / META).read_text(encoding="utf-8"))
        cell = tuple((path, label) for path, label in meta["cell"])
        text = (run_dir / SCENARIO).read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run_dir} is not a complete run directory ({error}); play the scenario again") from error
    cells = load_text(text, Path(meta["path"]))
    scenario = next((one for one in cells if one.cell == cell), None)
    if scenario is None:
        raise UsageError(f"{run_dir / SCENARIO} has no cell {dict(cell)}; was the file edited?")
    steady = run_dir / STEADY
    return Archived(
        run_dir=run_dir,
        scenario=scenario,
        history=read_history(run_dir),
        judgement=_read_judgement(run_dir / VERDICT),
        meta=meta,
        steady=read_history(steady) if steady.is_dir() else None,
    )


def _read_judgement(path: Path) -> Judgement | None:
    """The stored judgement; None if it is missing, or was cut short while it was written: it can be made again."""
    try:
        return Judgement.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prune(runs_dir: Path, keep: int) -> None:
    """Delete the oldest run directories beyond `keep`; anything else is left alone."""
    if not runs_dir.is_dir():
        return
    runs = sorted(path for path in runs_dir.iterdir() if (path / META).is_file())
    for old in runs[: max(0, len(runs) - keep)]:
        shutil.rmtree(old, ignore_errors=True)


def prepare(runs_dir: Path) -> None:
    """Make the folder of the run directories; raises as `create_run` if no file can be written there."""
    probe = runs_dir / f".probe-{os.getpid()}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise cannot_begin(f"write to {runs_dir}", error, ANOTHER_RUNS_DIR) from error


def write(path: Path, text: str) -> None:
    """Write a whole file, or leave none; raises HarnessError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise cannot(f"write {path}", error) from error


def _make_unique(runs_dir: Path, name: str) -> Path:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        names = chain((name,), (f"{name}-{number}" for number in count(2)))
        return next(runs_dir / one for one in names if _is_made(runs_dir / one))
    except OSError as error:
        raise cannot_begin(f"create {runs_dir / name}", error, ANOTHER_RUNS_DIR) from error


def _is_made(run_dir: Path) -> bool:
    """Create the directory; False if there is one."""
    try:
        run_dir.mkdir()
    except FileExistsError:
        return False
    return True
