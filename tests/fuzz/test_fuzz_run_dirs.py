"""`judge` and `show` of damaged run directories: an error that says what is wrong, and never a wrong verdict."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest
import run_dirs

from harness import archive
from harness.archive.layout import CHECKED, CHECKSUMS
from harness.campaign.runner import Runner
from harness.cli import main
from harness.loader import load_text
from harness.machine.regular import NotReadable, read_regular
from harness.play.options import RunOptions
from harness.values.errors import HarnessError

CORPUS = sorted((Path(__file__).parent / "corpus" / "run_dirs").glob("*.json"))
ERRORS = (2, 3)
DOCUMENTED = {"judge": (0, 1, 2, 3, 4), "show": (0, 2, 3)}
NEVER_SAID = ("this is a bug", "Traceback", "defect of the harness")

WITHIN_SECONDS = 30
"""Of one command; it takes some milliseconds, so one that needs this long hangs."""
MOST_MEMORY = 1 << 30
"""What a command may take on top of what the tests have."""

PLAYED = """\
schema: rdzv-scenario/v1
title: A red run with a fault
world: {size: 2, timeout: 2s}
workload:
  - {do: rendezvous}
  - {id: hold, do: sleep, for: 30s, ranks: 1}
faults:
  - {inject: kill, ranks: 1, after: {step: hold, is: begun}}
expect:
  - {step: rendezvous, is: failed}
  - {step: hold, is: died}
"""


@dataclass(frozen=True)
class Said:
    """What one command did."""

    code: int
    text: str


class Hangs(BaseException):
    """A command did not end; not an `Exception`, so that nobody handles it."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Neither for ever nor with all memory of the machine."""

    def hangs(number: int, frame: FrameType | None) -> None:
        raise Hangs

    before, limits = signal.signal(signal.SIGALRM, hangs), resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, limits[1]))
    signal.alarm(WITHIN_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def command(*words: str) -> Said:
    """One command line in this process."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(words)
        out.flush()
    return Said(code, out.buffer.getvalue().decode())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sound run directories of many kinds: recorded with torch, under torchrun, red ones, one that was cut short."""
    folder = tmp_path_factory.mktemp("sound")
    found = [run_dirs.store(folder / name, name) for name in sorted(run_dirs.RECORDED)]
    found.append(run_dirs.store_with_steady(folder / "with-steady", "second-round"))
    found.append(run_dirs.store_with_wire(folder / "with-wire", "clean-join"))
    found.append(run_dirs.store_cut_short(folder / "cut-short", "clean-join"))
    found += [
        run_dirs.as_older_release(shutil.copytree(path, folder / f"{path.name}-of-an-older-release"))
        for path in list(found)
    ]
    return [*found, play(folder / "played")]


def play(folder: Path) -> Path:
    """A run that was just played: red, with a steady state, logs and the files of its processes."""
    (scenario,) = load_text(PLAYED, Path("red.rdzv.yaml"))
    with Runner(RunOptions(subject="echo", runs_dir=folder, jobs=1)) as runner:
        result = runner.play(scenario)
    assert result.run_dir is not None
    assert (result.run_dir / archive.STEADY / archive.HISTORY).exists(), result.judgement
    return result.run_dir


@pytest.fixture(scope="module")
def verdicts(sound: list[Path]) -> dict[Path, Said]:
    """What `judge` says of the sound ones."""
    return {path: command("judge", str(path)) for path in sound}


def is_checked(run_dir: Path) -> bool:
    """Whether the directory, as it is now, has checksums or should have them."""
    if os.path.lexists(run_dir / CHECKSUMS):
        return True
    try:
        about = json.loads(read_regular(run_dir / archive.META, 1 << 24))
    except (OSError, NotReadable, ValueError, RecursionError):
        return False
    return isinstance(about, dict) and about.get(CHECKED) is True


def problems(run_dir: Path, original: Path, verdict: Said) -> list[str]:
    """What the two commands do wrong with a damaged directory."""
    found = []
    said = {name: command(name, str(run_dir)) for name in DOCUMENTED}
    for name, one in said.items():
        if one.code not in DOCUMENTED[name]:
            found.append(f"{name} exits {one.code}")
        found += [f"{name} says {text!r}: {one.text[-600:]}" for text in NEVER_SAID if text in one.text]
    now, before = run_dirs.contents(run_dir), run_dirs.contents(original)
    if is_checked(run_dir) and said["judge"].code not in (verdict.code, *ERRORS):
        found.append(f"judge exits {said['judge'].code}, before the damage {verdict.code}: {said['judge'].text}")
    changed = archive.HISTORY in before and _needed(now) != _needed(before)
    if changed and is_checked(run_dir) and said["judge"].code not in ERRORS:
        found.append(f"judge exits {said['judge'].code} though a file is damaged: {said['judge'].text}")
    return found


def _needed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without what is not read: the list itself, and the files of processes where there is a history."""
    return {name: content for name, content in files.items() if name != CHECKSUMS and not name.startswith("ops/")}


@pytest.mark.parametrize("count", [25, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_damage_is_an_error_and_never_a_verdict(
    count: int, sound: list[Path], verdicts: dict[Path, Said], tmp_path: Path
) -> None:
    """Whatever happens to its files, no command crashes, hangs, or judges a history that it cannot trust."""
    seed = int(os.environ.get("RDZV_FUZZ_SEED") or random.SystemRandom().randrange(2**31))
    print(f"seed {seed} (RDZV_FUZZ_SEED plays it again)")
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        original = chance.choice(sound)
        run_dir = shutil.copytree(original, tmp_path / str(number))
        done = [run_dirs.damage(run_dir, chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        found = problems(run_dir, original, verdicts[original])
        assert found == [], f"seed {seed}, case {number}: {original.name}, {done}; it is kept in {run_dir}"
        shutil.rmtree(run_dir)


def test_a_sound_directory_is_judged_and_shown(sound: list[Path], verdicts: dict[Path, Said]) -> None:
    """Else the damage would prove nothing; of those without checksums `judge` says so."""
    for path in sound:
        stored = archive.read_run(path).judgement
        expected = {"passed": 0, "known failure": 0, "failed": 1, "vacuous": 4}[stored.status] if stored else 3
        assert verdicts[path].code == expected, verdicts[path]
        assert command("show", str(path)).code == 0
        assert ("has no checksums" in verdicts[path].text) == path.name.endswith("-of-an-older-release")


@pytest.mark.parametrize("lost", ["line", "order", "double", "edit", "tail"])
@pytest.mark.parametrize("name", sorted(run_dirs.RECORDED))
def test_a_history_that_is_not_whole_is_an_error_that_names_it(name: str, lost: str, tmp_path: Path) -> None:
    """At every line: one that is missing, moved, doubled or edited, and everything behind it missing."""
    run_dir = run_dirs.store(tmp_path / "run", name)
    path = run_dir / archive.HISTORY
    lines = path.read_text().splitlines(keepends=True)
    for place in range(len(lines) - 1):
        path.write_text("".join(_changed(lines, place, lost)))
        with pytest.raises(HarnessError, match=f"^{path}"):
            archive.read_history(run_dir)
    said = command("judge", str(run_dir))
    assert (said.code, f"error: {path}" in said.text) == (3, True), said


def _changed(lines: list[str], place: int, lost: str) -> list[str]:
    before, line, behind = lines[:place], lines[place], lines[place + 1 :]
    return {
        "line": [*before, *behind],
        "order": [*before, behind[0], line, *behind[1:]],
        "double": [*before, line, line, *behind],
        "edit": [*before, line.replace('"time_ns":', '"time_ns":1', 1), *behind],
        "tail": before,
    }[lost]


@pytest.mark.parametrize("name", sorted(run_dirs.RECORDED))
def test_a_lost_line_is_noticed_without_checksums(name: str, tmp_path: Path) -> None:
    """Histories of older releases have numbered lines; the error names the line."""
    run_dir = run_dirs.as_older_release(run_dirs.store(tmp_path / "run", name))
    path = run_dir / archive.HISTORY
    lines = path.read_text().splitlines(keepends=True)
    place = len(lines) // 2
    path.write_text("".join(_changed(lines, place, "line")))
    said = command("judge", str(run_dir))
    assert (said.code, f"error: {path}:{place + 1}: operation {place + 1} in place" in said.text) == (3, True), said


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_found_stays_repaired(path: Path, tmp_path: Path) -> None:
    """Each case of the corpus is a recorded run and one change of its files."""
    case = json.loads(path.read_text())
    run_dir = run_dirs.store(tmp_path / "run", case["run"])
    if not case["checksums"]:
        run_dirs.as_older_release(run_dir)
    target = run_dir / case["file"]
    text = target.read_text()
    changed = text.replace(case["replace"], case["by"], 1) if case["replace"] else case["by"]
    assert changed != text
    target.write_text(changed)
    for name in DOCUMENTED:
        said = command(name, str(run_dir))
        assert (said.code in case["codes"], [one for one in NEVER_SAID if one in said.text]) == (True, []), said
        assert case["says"] in said.text, said
