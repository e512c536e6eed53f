"""Writing a run directory: everything needed to read, show and judge a run again."""

from __future__ import annotations

import json
import re
import shutil
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain, count
from pathlib import Path
from typing import Any

from harness import clock
from harness.archive import checksums, own_folder
from harness.archive.layout import CHECKED, FOLDERS, HISTORY, META, MOST_BYTES, SCENARIO, VERDICT, WIRE
from harness.machine.whole import whole_file
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.ops import Op
from harness.values.refusals import cannot, cannot_begin
from harness.values.verdict import Judgement
from harness.values.wire import Wire

ANOTHER_RUNS_DIR = "choose another --runs-dir"
LONGEST_NAME = 100  # a file system allows 255 bytes; folders below add their own


def create_run(runs_dir: Path, scenario: Scenario, meta: Mapping[str, Any]) -> Path:
    """A new run directory with what is known before the play; its name is the time and the scenario's id.

    Raises UsageError for a path that cannot be used, HarnessError where the machine has too little of something. Then
    nothing of it is left.
    """
    stamp = _stamp()
    run_dir = new_run_dir(runs_dir, scenario, stamp)
    try:
        fill_run(run_dir, scenario, {"started": stamp, **meta})
    except HarnessError:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    return run_dir


def new_run_dir(runs_dir: Path, scenario: Scenario, stamp: str = "") -> Path:
    """A new, empty directory for a run of a scenario; raises as `create_run`."""
    slug = re.sub(r"[^A-Za-z0-9=,.-]+", "-", scenario.id)[:LONGEST_NAME].strip("-")
    return _make_unique(runs_dir.absolute(), f"{stamp or _stamp()}-{slug}")


def _stamp() -> str:
    return datetime.fromtimestamp(clock.wall_time(), timezone.utc).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def fill_run(run_dir: Path, scenario: Scenario, meta: Mapping[str, Any]) -> None:
    """Fill a run directory with its folders, the scenario and `run.json`, which makes it a run; raises HarnessError."""
    try:
        for folder in FOLDERS:
            (run_dir / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_begin(f"create {run_dir}", error, ANOTHER_RUNS_DIR) from error
    _store(run_dir / SCENARIO, scenario.text)
    about = {"path": str(scenario.path), "cell": [list(pair) for pair in scenario.cell], CHECKED: True, **meta}
    _store(run_dir / META, json.dumps(about, indent=1))


def write_history(run_dir: Path, ops: Iterable[Op]) -> History:
    """Merge all operations into one numbered file; the files of the processes stay beside it.

    Raises HarnessError; then they are what is read, because no part of this file is left.
    """
    history = History.of(ops)
    _store(run_dir / HISTORY, "".join(_line(op.to_json()) for op in history))
    return history


def write_wire(run_dir: Path, wire: Wire) -> Wire:
    """Store the messages of a play, before its history; returns what was stored. Raises HarnessError.

    Where they are larger than a file may be that is read back, the newest are kept.
    """
    lines: deque[str] = deque()
    size = 0
    for message in wire.messages:
        lines.append(_line(message.to_json()))
        size += len(lines[-1])
    dropped = 0
    while size > MOST_BYTES:
        size -= len(lines.popleft())
        dropped += 1
    if dropped:
        kept = wire.without_oldest(dropped)
        return write_wire(run_dir, kept)
    _store(run_dir / WIRE, "".join(lines))
    return wire


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"


def write_judgement(run_dir: Path, judgement: Judgement) -> None:
    """Store the judgement beside the history; raises HarnessError."""
    _store(run_dir / VERDICT, json.dumps(judgement.to_json(), indent=1))


def _store(path: Path, text: str) -> None:
    """Write a file that is read back: it is there as a whole or not at all, and its checksum is listed before.

    Raises HarnessError.
    """
    content = text.encode("utf-8")
    with whole_file(path) as partial:
        partial.write_bytes(content)
        checksums.add(path, content)


def write(path: Path, text: str) -> None:
    """Write a file that is not read back, as a whole or not at all; raises HarnessError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise cannot(f"write {path}", error) from error


def _make_unique(runs_dir: Path, name: str) -> Path:
    try:
        own_folder.make(runs_dir)
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
