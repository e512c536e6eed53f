"""`run`, `show` and `judge` for real, with the subject `echo` and no proxy: from a file to a verdict, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.cli import main

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from harness.cli import main; sys.exit(main())"
SCENARIO = """\
schema: rdzv-scenario/v1
title: What one rank writes the other reads
world: {size: 2, timeout: 4s, route: direct}
workload:
  - {do: rendezvous}
  - {do: set, ranks: 0, key: a, value: "1"}
  - {do: get, ranks: 1, key: a}
  - {do: sleep, for: PAUSE}
expect:
  - {step: get, is: ok, value: "VALUE"}
"""
# A world is up in a second or two; only a machine that stands still takes this long.
PATIENCE_S = 60


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Path]:
    """A file whose claim holds, or another value, or a long pause."""

    def scenario(name: str = "reads", value: str = "1", pause: str = "1ms") -> Path:
        path = tmp_path / "scenarios" / f"{name}.rdzv.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SCENARIO.replace("VALUE", value).replace("PAUSE", pause))
        return path

    return scenario


def words(path: Path, runs_dir: Path) -> list[str]:
    return ["run", str(path), "--subject", "echo", "--runs-dir", str(runs_dir), "--jobs", "1", "--seed", "5"]


def test_a_claim_that_holds_passes_and_one_that_does_not_fails(
    scenario: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the proof on the screen, and the same in JSON."""
    scenario()
    scenario("reads-two", value="2")
    report = tmp_path / "r.json"
    assert main([*words(tmp_path / "scenarios", tmp_path / "runs"), "--json", str(report)]) == 1
    said = capsys.readouterr().out
    assert "2 cells: 1 passed, 0 known, 1 failed" in said
    assert '{step: get, is: ok, value: "2"}' in said
    assert "reads-two.rdzv.yaml:10" in said
    rows = json.loads(report.read_text())["results"]
    assert {row["id"]: row["status"] for row in rows} == {"reads": "passed", "reads-two": "failed"}


def test_a_stored_run_is_shown_and_judged_again(
    scenario: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the run directory alone."""
    assert main(words(scenario(value="2"), tmp_path / "runs")) == 1
    (run_dir,) = (path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    capsys.readouterr()
    assert main(["judge", str(run_dir)]) == 1
    assert "1 cell: 0 passed, 0 known, 1 failed" in capsys.readouterr().out
    assert main(["show", str(run_dir), "--ranks", "1"]) == 0
    shown = capsys.readouterr().out
    assert "get ▶" in shown
    assert "ranks not shown: 0 (--ranks 0)" in shown
    assert main(["show", str(run_dir), "--ranks", "2"]) == 2


def test_the_template_for_a_job_is_played_as_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new --job` and then the command that it prints: rank 1 dies at its third line, and rank 0 goes on to its end."""
    assert main(["new", "--job", "my-job-survives", "--dir", str(tmp_path)]) == 0
    command = capsys.readouterr().out.split("`")[1].split()
    assert command[-2:] == ["--subject", "command"]
    runs = ["--runs-dir", str(tmp_path / "runs"), "--jobs", "1", "--fail-on-skip"]
    assert main([*command[1:], *runs]) == 0, capsys.readouterr().out
    (run_dir,) = (path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    printed = [(run_dir / "logs" / f"rank-{rank}.life-1.log").read_text().count("step=") for rank in (0, 1)]
    assert printed[0] == 5
    assert printed[1] >= 3


DIES = """\
schema: rdzv-scenario/v1
title: A job lives until it is killed
world: {size: 2, timeout: 2s, route: direct}
job: {}
faults:
  - {inject: kill, ranks: 1, after: {step: exit, ranks: 0, is: ok}}
expect:
  - {step: exit, ranks: 1, is: died}
"""


def test_a_job_that_dies_first_is_told_with_its_last_words_also_by_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log's last line is part of the stored history, so its directory is judged without the log."""
    path = tmp_path / "dies.rdzv.yaml"
    path.write_text(DIES)
    command = [sys.executable, "-c", "raise ValueError('no such data set')"]
    sentence = "rank 0's process ended with status 1; its log ends: ValueError: no such data set"
    options = ["--subject", "command", "--runs-dir", str(tmp_path / "runs")]
    assert main(["run", str(path), *options, "--", *command]) == 4
    assert sentence in capsys.readouterr().out
    (run_dir,) = (path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    for log in (run_dir / "logs").iterdir():
        log.unlink()
    assert main(["judge", str(run_dir)]) == 4
    assert sentence in capsys.readouterr().out


def test_one_damaged_run_directory_does_not_hide_the_others(
    scenario: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that can be judged are, and each that cannot is named."""
    assert main([*words(scenario(), tmp_path / "runs"), "--repeat", "3"]) == 0
    damaged, *sound, other = sorted(path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    for run_dir in (damaged, other):
        (run_dir / "history.jsonl").write_text("{}\n")
    capsys.readouterr()
    assert main(["judge", *map(str, (damaged, *sound, other))]) == 3
    said = capsys.readouterr()
    assert "1 run: 1 passed" in said.out
    assert [str(run_dir) in said.err for run_dir in (damaged, *sound, other)] == [True, False, True]


def test_ctrl_c_heals_ends_everything_and_still_reports(scenario: Callable[..., Path], tmp_path: Path) -> None:
    """Exit code 130, a report, and no process left."""
    runs_dir = tmp_path / "runs"
    command = [sys.executable, "-c", PROGRAM, *words(scenario(pause="50s"), runs_dir)]
    # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        await_fact(lambda: any('"sleep"' in path.read_text() for path in runs_dir.glob("*/ops/rank-1*.jsonl")), process)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (130, "")
    assert "interrupted, the rest was not played" in out
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert alive == []


def await_fact(fact: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until it is so; fails if the process ends before, or if it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.02)
