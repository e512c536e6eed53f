"""`run --watch` for real, with the subject `echo` and no proxy: saves, mistakes, and Ctrl-C."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from test_real_run import PATIENCE_S, PROGRAM, ROOT, SCENARIO, await_fact

WAITING = "watching scenarios: {}; save one to play it again, Ctrl-C ends"


class Watching:
    """A command that watches; what it prints comes as lines."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.scenarios = folder / "scenarios"
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, last: str) -> list[str]:
        """The lines up to this one; fails if the output ends before, or if none comes for too long."""
        lines: list[str] = []
        while not lines or lines[-1] != last:
            line = self._lines.get(timeout=PATIENCE_S)
            assert line is not None, lines
            lines.append(line)
        return lines

    def save(self, name: str, text: str) -> None:
        """As editors do: a file beside it takes its place."""
        path = self.scenarios / f"{name}.rdzv.yaml"
        partial = path.with_suffix(".partial")
        partial.write_text(text)
        os.replace(partial, path)

    def ended(self) -> tuple[int, list[str]]:
        """Ctrl-C, now; the exit code and the last lines, once no process is left."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE_S)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
        assert alive == []
        return code, list(iter(lambda: self._lines.get(timeout=PATIENCE_S), None))


def text(value: str = "1", pause: str = "1ms") -> str:
    return SCENARIO.replace("VALUE", value).replace("PAUSE", pause)


@contextmanager
def watching(folder: Path, **files: str) -> Iterator[Watching]:
    """Watch a folder with these scenarios; reports and run directories go into it too."""
    scenarios = folder / "scenarios"
    scenarios.mkdir()
    for name, content in files.items():
        (scenarios / f"{name}.rdzv.yaml").write_text(content)
    own = ["--runs-dir", "scenarios/runs", "--json", "scenarios/r.json"]
    words = ["run", "scenarios", "--watch", "--subject", "echo", "--jobs", "1", "-q", *own]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield Watching(folder, process)
    finally:
        process.kill()
        process.wait()


def summaries(lines: list[str]) -> list[str]:
    return [line.partition(" in ")[0] for line in lines if line[:2] in ("1 ", "2 ")]


def counts(**found: int) -> str:
    kinds = ("passed", "known", "failed", "vacuous", "error", "skipped")
    return ", ".join(f"{found.get(kind, 0)} {kind}" for kind in kinds)


def test_what_is_saved_is_played_again_until_ctrl_c(tmp_path: Path) -> None:
    """A claim that breaks, a file with mistakes, and both mended; what the command writes is no change."""
    with watching(tmp_path, reads=text()) as watch:
        one = WAITING.format("1 scenario file")
        assert summaries(watch.until(one)) == [f"1 cell: {counts(passed=1)}"]
        watch.save("reads", text(value="2"))
        lines = watch.until(one)
        assert lines[0] == "changed: scenarios/reads.rdzv.yaml"
        assert summaries(lines) == [f"1 cell: {counts(failed=1)}"]
        watch.save("reads", text().replace("  - {do: get", "  - {id: get, do: got"))
        lines = watch.until(one)
        assert lines[:2] == [
            "changed: scenarios/reads.rdzv.yaml",
            "scenarios/reads.rdzv.yaml:7:19: there is no step 'got'",
        ]
        assert lines[-2:] == ["1 problem", one]
        watch.save("reads", text())
        assert summaries(watch.until(one)) == [f"1 cell: {counts(passed=1)}"]
        assert watch.ended() == (0, ["the watch has ended"])


@pytest.mark.nightly
def test_ctrl_c_while_it_plays_ends_the_watch(tmp_path: Path) -> None:
    """As it ends `run`: with 130, and with what was not played."""
    with watching(tmp_path, reads=text(pause="50s")) as watch:
        runs = watch.scenarios / "runs"
        await_fact(
            lambda: any('"sleep"' in path.read_text() for path in runs.glob("*/ops/rank-1*.jsonl")), watch.process
        )
        code, lines = watch.ended()
    assert code == 130
    assert any("interrupted, the rest was not played" in line for line in lines)


@pytest.mark.nightly
def test_files_come_and_go_while_it_watches(tmp_path: Path) -> None:
    """In a new folder too, and when the whole folder is put in place again, as a checkout does."""
    with watching(tmp_path, a=text()) as watch:
        watch.until(WAITING.format("1 scenario file"))
        (watch.scenarios / "new").mkdir()
        watch.save("b", text())
        lines = watch.until(WAITING.format("2 scenario files"))
        assert lines[0] == "new: scenarios/b.rdzv.yaml"
        watch.save("new/c", text())
        assert watch.until(WAITING.format("3 scenario files"))[0] == "new: scenarios/new/c.rdzv.yaml"
        (watch.scenarios / "a.rdzv.yaml").unlink()
        assert watch.until(WAITING.format("2 scenario files"))[0] == "gone: scenarios/a.rdzv.yaml"
        watch.scenarios.rename(tmp_path / "away")
        assert watch.until(WAITING.format("0 scenario files"))[0].startswith("gone: ")
        (tmp_path / "away").rename(watch.scenarios)
        lines = watch.until(WAITING.format("2 scenario files"))
        assert lines[0] == "new: scenarios/b.rdzv.yaml, scenarios/new/c.rdzv.yaml"
        assert summaries(lines) == [f"2 cells: {counts(passed=2)}"]
        assert watch.ended()[0] == 0
