"""Writing a run directory: everything needed to read, show and judge a run again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from itertools import chain, count
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive import checksums
from harness.archive.layout import CHECKED, FOLDERS, HISTORY, META, SCENARIO, VERDICT
from harness.scenario.scenario import Scenario
from harness.values.errors import UsageError
from harness.values.history import History
from harness.values.ops import Op
from harness.values.verdict import Judgement

LONGEST_NAME = 100  # a file system allows 255 bytes; folders below add their own


def create_run(runs_dir: Path, scenario: Scenario, meta: Mapping[str, Any]) -> Path:
    """A new run directory with what is known before the play; its name is the time and the scenario's id."""
    stamp = datetime.fromtimestamp(clock.wall_time(), timezone.utc).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    slug = re.sub(r"[^A-Za-z0-9=,.-]+", "-", scenario.id)[:LONGEST_NAME].strip("-")
    run_dir = _make_unique(runs_dir.absolute(), f"{stamp}-{slug}")
    fill_run(run_dir, scenario, {"started": stamp, **meta})
    return run_dir


def fill_run(run_dir: Path, scenario: Scenario, meta: Mapping[str, Any]) -> None:
    """Fill a run directory with its folders, the scenario and `run.json`, which makes it a run."""
    for folder in FOLDERS:
        (run_dir / folder).mkdir(parents=True, exist_ok=True)
    _store(run_dir / SCENARIO, scenario.text)
    about = {"path": str(scenario.path), "cell": [list(pair) for pair in scenario.cell], CHECKED: True, **meta}
    _store(run_dir / META, json.dumps(about, indent=1))


def write_history(run_dir: Path, ops: Iterable[Op]) -> History:
    """Merge all operations into one numbered file; the files of the processes stay beside it."""
    history = History.of(ops)
    lines = [json.dumps(op.to_json(), separators=(",", ":")) for op in history]
    _store(run_dir / HISTORY, "".join(f"{line}\n" for line in lines))
    return history


def write_judgement(run_dir: Path, judgement: Judgement) -> None:
    """Store the judgement beside the history."""
    _store(run_dir / VERDICT, json.dumps(judgement.to_json(), indent=1))


def _store(path: Path, text: str) -> None:
    """Write a file that is read back: it is there as a whole or not at all, and its checksum is listed before."""
    content = text.encode("utf-8")
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    checksums.add(path, content)
    os.replace(partial, path)


def _make_unique(runs_dir: Path, name: str) -> Path:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        names = chain((name,), (f"{name}-{number}" for number in count(2)))
        return next(runs_dir / one for one in names if _is_made(runs_dir / one))
    except OSError as error:
        raise UsageError(f"cannot create {runs_dir / name} ({error.strerror}); choose another --runs-dir") from error


def _is_made(run_dir: Path) -> bool:
    """Create the directory; False if there is one."""
    try:
        run_dir.mkdir()
    except FileExistsError:
        return False
    return True
