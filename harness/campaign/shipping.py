"""A result on its way from a machine to the driver: plain values, and the run directory of a red one as an archive."""

from __future__ import annotations

import base64
import binascii
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.archive import RunDirs, read_history
from harness.archive.keeping import AS_EXPECTED
from harness.archive.packing import MOST_PACKED, pack, unpack
from harness.history.time_to_error import TimeToError
from harness.history.waiting import Waits
from harness.judge.result import Result
from harness.reports.parts import waits
from harness.scenario.codec import decode, encode
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.json import Fields, mapping
from harness.values.ops import Op
from harness.values.printable import printable, printable_lines
from harness.values.verdict import ERROR, Judgement

ARRIVING = ".arriving"
"""Where archives are unpacked, in the folder of the run directories: nothing there is a run."""

LONGEST_TEXT = 2000


def shipped(play: str, result: Result) -> dict[str, Any]:
    """A result as a machine says it: a row of the ledger, and under `archive` what belongs to a red one."""
    row: dict[str, Any] = {
        "play": play,
        "judgement": result.judgement.to_json(),
        "begin": result.history.ops[0].to_json() if result.history.ops else None,
        "waits": encode(waits.of(result), Waits),
        "times_to_error": [time.to_json() for time in result.times_to_error],
        "seconds": round(result.seconds, 6),
        "origin": dict(result.origin),
        "disturbed": list(result.disturbed),
    }
    if result.run_dir is not None and result.status not in AS_EXPECTED:
        packed = pack(result.run_dir)
        row["archive"] = None if packed is None else base64.b64encode(packed).decode()
    return row


@dataclass(frozen=True)
class Played:
    """What the driver knows of a play: the cell, which repetition, its seed, and the line that plays it again."""

    scenario: Scenario
    attempt: int
    seed: int
    subject: str
    command: str

    def gave_up(self, because: str) -> Result:
        """The result of a play that is not sent any more."""
        return Result(
            self.scenario,
            Judgement(ERROR, because),
            History(),
            None,
            0.0,
            self.attempt,
            self.subject,
            self.seed,
            self.command,
        )


def arrived(row: Mapping[str, Any], played: Played, run_dirs: RunDirs) -> tuple[Result, dict[str, Any]]:
    """The result that a machine has sent, and its row for the ledger; a red run directory is unpacked.

    Raises ValueError for a row that no machine sends, HarnessError if this machine cannot store what came.
    """
    packed = row.get("archive")
    result = _result(row, played)
    kept = {key: value for key, value in row.items() if key != "archive"}
    if "archive" not in row:
        return result, kept
    if packed is None:
        return _noted(result, "its run directory was too large to be sent, and is gone"), kept
    try:
        run_dir = _unpacked(packed, played.scenario, run_dirs)
        history = read_history(run_dir)
    except (HarnessError, OSError) as error:
        return _noted(result, f"its run directory cannot be used: {printable(str(error))[:LONGEST_TEXT]}"), kept
    kept["run_dir"] = run_dir.name
    run_dirs.judged(run_dir, result.status)
    return replace(result, run_dir=run_dir, history=history), kept


def stored(row: Mapping[str, Any], played: Played, runs_dir: Path) -> Result:
    """The result that a ledger has, with the history of a red one if its run directory is still there."""
    if "error" in row:
        return played.gave_up(str(row["error"]))
    result = _result(row, played)
    name = row.get("run_dir")
    if not isinstance(name, str) or "/" in name or name.startswith("."):
        return result
    run_dir = runs_dir.absolute() / name
    try:
        return replace(result, run_dir=run_dir, history=read_history(run_dir))
    except HarnessError:  # a run deletes old ones
        return result


def _result(row: Mapping[str, Any], played: Played) -> Result:
    fields = Fields(dict(row))
    begin = row.get("begin")
    judgement = Judgement.from_json(row.get("judgement"))
    seconds = row.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise ValueError("seconds is not a number of seconds")
    return Result(
        scenario=played.scenario,
        judgement=replace(judgement, because=printable_lines(judgement.because)),
        history=History(() if begin is None else (Op.from_json(begin),)),
        run_dir=None,
        seconds=float(seconds),
        attempt=played.attempt,
        subject=played.subject,
        seed=played.seed,
        command=played.command,
        times_to_error=tuple(map(TimeToError.from_json, fields.items("times_to_error"))),
        origin=mapping(row.get("origin")),
        disturbed=fields.texts("disturbed"),
        waits=decode(row.get("waits"), Waits),
    )


def _noted(result: Result, note: str) -> Result:
    return replace(result, judgement=replace(result.judgement, notes=(*result.judgement.notes, note)))


def _unpacked(packed: Any, scenario: Scenario, run_dirs: RunDirs) -> Path:
    """The run directory; its name is made here. Raises HarnessError, OSError."""
    if not isinstance(packed, str) or len(packed) > MOST_PACKED * 2:
        raise HarnessError("its archive is no text, or too long")
    try:
        content = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HarnessError(f"its archive is not what was packed ({error})") from error
    run_dirs.hold()
    arriving = run_dirs.folder / ARRIVING / secrets.token_hex(8)
    arriving.mkdir(parents=True)
    try:
        unpack(content, arriving)
        return run_dirs.adopt(arriving, scenario)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
