"""Reading a run directory: every file is checked, and what is damaged is an error that names file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.archive import checksums
from harness.archive.checksums import Checksums
from harness.archive.files import MOST_BYTES_OF_TEXT, Damaged, Gone, json_of, parse_json, read_bytes, text_of
from harness.archive.layout import CHECKED, HISTORY, META, MOST_BYTES, OPS, SCENARIO, STEADY, STEADY_ECHO, VERDICT, WIRE
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.history import History
from harness.values.json import Fields, whole
from harness.values.ops import WIRE_LOG, Op
from harness.values.verdict import Judgement
from harness.values.wire import Wire, WireMessage

COMMAND = "command"
"""The subject of which a file need not say what its ranks do."""
JUDGE_AGAIN = "delete this file, and judge the run again"
DELETED = "a run deletes old directories, `run --keep N` says how many stay"


@dataclass(frozen=True)
class Archived:
    """A run as it is stored.

    Attributes:
        judgement: the stored one; None if the run was not judged to the end.
        meta: `run.json`: path, cell, subject, seed, attempt, command, python, started.
        steady: the history of the steady-state check, if one was made.
        steady_echo: likewise of the subject `echo`.
        is_checked: whether the directory has checksums; those of older releases have none.
    """

    run_dir: Path
    scenario: Scenario
    history: History
    judgement: Judgement | None
    meta: Mapping[str, Any]
    steady: History | None
    is_checked: bool
    steady_echo: History | None = None


def read_history(run_dir: Path) -> History:
    """The history of a run that is being played here; if it was cut short, what its processes had written.

    Raises HarnessError for what is damaged or gone.
    """
    return _history(run_dir, checksums.read(checksums.root_of(run_dir), promised=True))


def _history(run_dir: Path, sums: Checksums | None) -> History:
    merged = run_dir / HISTORY
    history = _merged(merged, sums) if os.path.lexists(merged) else _of_processes(run_dir)
    return replace(history, wire=_wire(run_dir / WIRE, history, sums))


def _of_processes(run_dir: Path) -> History:
    """What the processes of a play that was cut short had written."""
    ops: list[Op] = []
    left = MOST_BYTES
    for part in sorted((run_dir / OPS).glob("*.jsonl")):
        content = read_bytes(part, left)
        left -= len(content)
        ops += _ops(part, content)
    # Nobody knows whether these files are whole, so they have no end: such a run is shown, and never judged.
    return History.of(op for op in ops if op.f != "end" or op.process.rank is not None)


def _merged(path: Path, sums: Checksums | None) -> History:
    """A whole history: no line is missing, doubled or out of order, and none was changed."""
    content = read_bytes(path, MOST_BYTES)
    ops = _ops(path, content)
    for number, op in enumerate(ops):
        if op.index != number:
            what = f"operation {op.index} in place of {number}, so a line was lost, moved or doubled"
            raise Damaged(path, what, number + 1)
        if number and op.time_ns < ops[number - 1].time_ns:
            raise Damaged(path, "the time is before that of the line above", number + 1)
    if sums is not None:
        sums.check(path, content)
    return History(tuple(ops))


def _wire(path: Path, history: History, sums: Checksums | None) -> Wire | None:
    """The messages of a play whose history says that they were stored."""
    stored = next((Fields(op.value) for op in history if op.f == WIRE_LOG and op.process.rank is None), None)
    if stored is None:
        return None
    count, dropped, undecoded = (stored.whole(name) for name in ("messages", "dropped", "undecoded"))
    content = read_bytes(path, MOST_BYTES)
    messages: list[WireMessage] = []
    for number, line in enumerate(text_of(path, content).split("\n")[:-1], 1):
        try:
            messages.append(WireMessage.from_json(parse_json(line)))
        except ValueError as error:
            raise Damaged(path, f"not a message ({error})", number) from error
        if messages[-1].number != number:
            what = f"message {messages[-1].number} in place of {number}, so a line was lost, moved or doubled"
            raise Damaged(path, what, number)
    if len(messages) != count:
        raise Damaged(path, f"{len(messages)} messages in place of {count}")
    if sums is not None:
        sums.check(path, content)
    return Wire(tuple(messages), dropped, undecoded)


def read_ops(path: Path) -> list[Op]:
    """The operations of one file; a last line that a crash cut short is left out.

    Raises HarnessError for a line that is not an operation, and for a file that cannot be read.
    """
    return _ops(path, read_bytes(path, MOST_BYTES))


def _ops(path: Path, content: bytes) -> list[Op]:
    ops = []
    whole, _, _ = content.rpartition(b"\n")
    for number, line in enumerate(text_of(path, whole).split("\n") if whole else (), 1):
        try:
            ops.append(Op.from_json(parse_json(line)))
        except ValueError as error:
            raise Damaged(path, f"not an operation ({error})", number) from error
    return ops


def read_run(run_dir: Path) -> Archived:
    """A run directory as values.

    Raises UsageError for any other directory, ScenarioError for a scenario that no longer loads, HarnessError for a
    file that is damaged.
    """
    try:
        archived = _read_run(run_dir)
        if not run_dir.is_dir():  # else all that was read is of this directory: it is renamed before it is deleted
            raise Gone(f"there is no {run_dir}")
        return archived
    except (Gone, Damaged) as error:
        if not run_dir.is_dir():
            raise HarnessError(f"{run_dir} was deleted while it was read; {DELETED}") from error
        if isinstance(error, Damaged):
            raise
        raise UsageError(f"{run_dir} is not a complete run directory ({error}); play the scenario again") from error
    except OSError as error:
        raise UsageError(f"{run_dir} cannot be read ({error.strerror}); choose one that you may read") from error


def _read_run(run_dir: Path) -> Archived:
    about = _about(run_dir)
    sums = checksums.read(run_dir, promised=about.meta.get(CHECKED) is True)
    if sums is not None:
        sums.check(run_dir / META, about.content)
    scenario = _scenario(run_dir / SCENARIO, sums, about)
    beside = [_beside(run_dir / name, sums, scenario.world.size) for name in (STEADY, STEADY_ECHO)]
    return Archived(
        run_dir=run_dir,
        scenario=scenario,
        history=_of_world(run_dir, _history(run_dir, sums), scenario.world.size),
        judgement=_judgement(run_dir / VERDICT, sums),
        meta=about.meta,
        steady=beside[0],
        is_checked=sums is not None,
        steady_echo=beside[1],
    )


def _beside(run_dir: Path, sums: Checksums | None, size: int) -> History | None:
    """The history of a play beside the run; None if there was none."""
    return _of_world(run_dir, _history(run_dir, sums), size) if run_dir.is_dir() else None


@dataclass(frozen=True)
class _About:
    """`run.json`, and from it the path and the cell of the scenario."""

    content: bytes
    meta: Mapping[str, Any]
    path: Path
    cell: tuple[tuple[str, str], ...]


def _about(run_dir: Path) -> _About:
    """Raises UsageError for a directory that is not a run, or whose `run.json` is malformed."""
    path = run_dir / META
    if not run_dir.is_dir():
        raise UsageError(f"there is no directory {run_dir}; {DELETED}")
    if not path.exists():
        raise UsageError(f"{run_dir} is not a run directory (it has no {META}); run directories are under .rdzv/runs/")
    content = read_bytes(path, MOST_BYTES_OF_TEXT)
    try:
        meta = json_of(path, text_of(path, content))
        fields = Fields(meta)
        fields.whole("attempt", 1, 1)
        fields.text("subject", "")
        fields.text("command", "")
        if whole(meta.get("seed", 0)) is None:
            raise ValueError("seed is not an integer")
        return _About(content, meta, Path(fields.text("path")), tuple(map(_pair, fields.items("cell"))))
    except Damaged as error:
        raise UsageError(f"{run_dir} is not a complete run directory ({error})") from error
    except ValueError as error:
        because = f"{path}: {error}"
        raise UsageError(f"{run_dir} is not a complete run directory ({because}); play the scenario again") from error


def _pair(value: Any) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(part, str) for part in value):
        raise ValueError("cell is not a list of pairs of texts")
    return value[0], value[1]


def _scenario(path: Path, sums: Checksums | None, about: _About) -> Scenario:
    # A controller writes archives and never reads one, so it need not import pydantic.
    from harness.loader import load_keys, load_text

    content = read_bytes(path, MOST_BYTES_OF_TEXT)
    if sums is not None:
        sums.check(path, content)
    try:
        text = text_of(path, content)
        # Played with `command`, a file without a workload is a job; earlier releases played files with one too.
        is_job = about.meta.get("subject") == COMMAND and "workload" not in load_keys(text, about.path)
        cells = load_text(text, about.path, job=True) if is_job else load_text(text, about.path)
    except ScenarioError as error:
        raise ScenarioError([f"{path}, the copy of {about.path}, no longer loads:\n{error}"]) from error
    scenario = next((one for one in cells if one.cell == about.cell), None)
    if scenario is None:
        raise UsageError(f"{path} has no cell {dict(about.cell)}; was the file edited?")
    return scenario


def _of_world(run_dir: Path, history: History, size: int) -> History:
    """The history; raises Damaged for one of another world."""
    declared = history.begin.get("size", size)
    if whole(declared) != size:
        raise Damaged(run_dir / HISTORY, f"of a world of {declared!r:.40} ranks, and the scenario has {size}")
    for op in history:
        if op.process.rank is not None and op.process.rank >= size:
            raise Damaged(run_dir / HISTORY, f"rank {op.process.rank} of a world of {size}", op.index + 1)
    for message in history.wire.messages if history.wire is not None else ():
        if message.rank >= size:
            raise Damaged(run_dir / WIRE, f"rank {message.rank} of a world of {size}", message.number)
    return history


def _judgement(path: Path, sums: Checksums | None) -> Judgement | None:
    """The stored judgement; None if there is none: it can be made again from the history."""
    try:
        content = read_bytes(path, MOST_BYTES_OF_TEXT)
    except Gone:
        return None
    try:
        stored = Judgement.from_json(json_of(path, text_of(path, content), JUDGE_AGAIN))
    except ValueError as error:
        raise Damaged(path, f"not a judgement ({error})", advice=JUDGE_AGAIN) from error
    if sums is not None:
        sums.check(path, content, JUDGE_AGAIN)
    return stored
