"""Run directories to damage, as this release or an older one stores them, and what may happen to their files."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import archive
from harness.archive.layout import CHECKED, CHECKSUMS, OPS
from harness.judge.judge import judge
from harness.loader import load_text
from harness.values.ops import CONTROLLER, OK, WIRE_LOG, Op, Process
from harness.values.wire import CUT, SIDES, Wire, WireMessage

TESTS = Path(__file__).resolve().parents[1]
RECORDED = {path.stem: path for room in ("checkers", "play") for path in (TESTS / room / "recorded").glob("*.jsonl")}

ODD_VALUES = (
    None, True, 0, -1, 1, 2**31, 2**63, 10**30, 10**200, 1.5, float("inf"), float("nan"), "", "x", "\0", "\x1b[31m",
    "\ud800", "../../etc/passwd", "/dev/zero", "ok", "died", "x" * 5000, [], [[]], {}, {"": None}, {"outcome": "ok"},
    [None], ["a", 1], [0, "main", 1], "begin", "end", "rendezvous", "exit", "inject",
)  # fmt: skip
ODD_BYTES = (b"\0", b"\xff", b"\n", b'"', b"{", b"]", b"\xed\xa0\x80", b"1e999", b"9" * 5000, b"[" * 5000, b"\r\n")


# -- sound run directories ---------------------------------------------------------------------------------------


def store(run_dir: Path, name: str) -> Path:
    """A recorded history as the run directory of a run that was judged; it is the same each time."""
    text = RECORDED[name].with_suffix(".yaml").read_text(encoding="utf-8")
    (scenario,) = load_text(text, Path(f"{name}.rdzv.yaml"))
    archive.fill_run(run_dir, scenario, {"started": "20261201-120000-000", "subject": "static", "seed": 7})
    history = archive.write_history(run_dir, archive.read_ops(RECORDED[name]))
    shutil.copy(RECORDED[name], run_dir / OPS / "controller.jsonl")
    archive.write_judgement(run_dir, judge(scenario, history))
    return run_dir


def store_with_steady(run_dir: Path, name: str) -> Path:
    """One that was red, with the steady state that was played beside it."""
    store(run_dir, name)
    scenario = archive.read_run(run_dir).scenario
    archive.fill_run(run_dir / archive.STEADY, scenario.steady_state(), {"subject": "static"})
    ops = archive.read_ops(RECORDED[name])
    archive.write_history(run_dir / archive.STEADY, [op for op in ops if op.process.thread != "nemesis"])
    return run_dir


def store_with_wire(run_dir: Path, name: str) -> Path:
    """One whose links went through an engine, so that messages are stored."""
    store(run_dir, name)
    ops = archive.read_ops(RECORDED[name])
    rows = [
        WireMessage(
            2 * pair + side, 1_000 * pair + side, 1, 1, SIDES[side - 1], "add", ("/run/n",), sent_ns=1_000 * pair
        )
        for pair in range(4)
        for side in (1, 2)
    ]
    wire = archive.write_wire(run_dir, Wire((*rows[:-1], replace(rows[-1], fate=CUT, sent_ns=None, by="cut"))))
    counts = {"messages": len(wire.messages), "dropped": 0, "undecoded": 0}
    ops.insert(-1, Op(ops[-1].time_ns, Process(None, CONTROLLER), OK, WIRE_LOG, value=counts))
    archive.write_history(run_dir, ops)
    return run_dir


def store_cut_short(run_dir: Path, name: str) -> Path:
    """One whose harness was killed before the history was whole."""
    store(run_dir, name)
    for path in (archive.HISTORY, archive.VERDICT, CHECKSUMS):
        (run_dir / path).unlink()
    scenario = archive.read_run(as_older_release(run_dir)).scenario
    archive.fill_run(run_dir, scenario, {"subject": "static"})
    return run_dir


def as_older_release(run_dir: Path) -> Path:
    """The same directory without checksums."""
    (run_dir / CHECKSUMS).unlink(missing_ok=True)
    about = json.loads((run_dir / archive.META).read_text())
    about.pop(CHECKED, None)
    (run_dir / archive.META).write_text(json.dumps(about))
    return run_dir


def contents(run_dir: Path) -> dict[str, bytes]:
    """Every regular file that is read back, by its name."""
    names = (archive.META, archive.SCENARIO, archive.HISTORY, archive.WIRE, CHECKSUMS)
    paths = [*(run_dir / name for name in names), run_dir / archive.STEADY / archive.HISTORY, *run_dir.glob("ops/*")]
    return {str(p.relative_to(run_dir)): p.read_bytes() for p in paths if p.is_file() and not _is_special(p)}


def _is_special(path: Path) -> bool:
    return path.is_symlink() or path.stat().st_size > 1 << 24


# -- damage ------------------------------------------------------------------------------------------------------


def damage(run_dir: Path, chance: random.Random) -> str:
    """Change one file, or put something else in its place; returns what was done."""
    files = sorted(path for path in run_dir.rglob("*") if path.is_file() and not _is_special(path))
    if not files:
        return "nothing is left to damage"
    path = chance.choice(files)
    change = chance.choice(_CHANGES)
    change(path, chance)
    return f"{change.__name__} {path.relative_to(run_dir)}"


def change_bytes(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 3))):
        place = chance.randrange(len(content) + 1)
        end = min(len(content), place + chance.choice((0, 1, 1, 8)))
        content[place:end] = chance.choice((b"", bytes([chance.randrange(256)]), chance.choice(ODD_BYTES)))
    path.write_bytes(content)


def cut_bytes(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content) + 1)])


def change_lines(path: Path, chance: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines:
        return
    place, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.choice(("lose", "double", "swap", "move"))
    if kind == "lose":
        del lines[place]
    elif kind == "double":
        lines.insert(other, lines[place])
    elif kind == "swap":
        lines[place], lines[other] = lines[other], lines[place]
    else:
        lines.insert(other, lines.pop(place))
    path.write_bytes(b"".join(lines))


def change_value(path: Path, chance: random.Random) -> None:
    """One value of one line (or of a whole JSON file) becomes an odd one, or is lost."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    whole = path.suffix == ".json"
    lines = [text] if whole else text.split("\n")
    place = chance.randrange(len(lines))
    try:
        value = json.loads(lines[place])
    except (ValueError, RecursionError):
        change_bytes(path, chance)
        return
    lines[place] = json.dumps(_odd(value, chance))
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")


def _odd(value: Any, chance: random.Random) -> Any:
    """The value with one part changed, at a level that is drawn."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        if chance.random() < 0.15:
            return {name: part for name, part in value.items() if name != key}
        return {**value, key: _odd(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], _odd(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD_VALUES)


def replace_file(path: Path, chance: random.Random) -> None:
    """Something that is not a regular file, or an enormous one, or nothing."""
    path.unlink()
    chance.choice(_KINDS)(path)


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 34)


_KINDS: tuple[Callable[[Path], object], ...] = (
    os.mkfifo,
    Path.mkdir,
    _huge,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("run.json"),
    lambda path: None,
)
_CHANGES: tuple[Callable[[Path, random.Random], None], ...] = (
    change_bytes, cut_bytes, change_lines, change_lines, change_value, change_value, change_value, replace_file,
)  # fmt: skip
