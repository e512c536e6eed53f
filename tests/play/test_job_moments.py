"""Moments of jobs, played and looked for: a line of a log, a file that appears, a port at which somebody listens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.archive import read_run
from harness.campaign.runner import Runner
from harness.history.moments import came_within_ns, moment_time
from harness.judge.judge import judge
from harness.loader import load_text
from harness.play.options import RunOptions
from harness.play.sights import LogLines
from harness.scenario.moment import SeenMoment

PORT = 29501
SIGNS = {
    "log": ("print('loss=1', flush=True); print('loss=2', flush=True)", "{log: loss=, nth: 2}"),
    "file": ("open(sys.argv[1] + '/sign', 'w').close()", "{file: '{run_dir}/sign'}"),
    "port": (f"server = socket.create_server(('127.0.0.1', {PORT}))", f"{{port: {PORT}}}"),
}


@pytest.mark.parametrize("kind", SIGNS)
def test_a_fault_and_a_claim_may_begin_at_a_sign_of_a_job(kind: str, tmp_path: Path) -> None:
    """The job waits for a signal that only the fault sends; the stored run is judged again in the same way."""
    act, moment = SIGNS[kind]
    script = f"import signal, socket, sys\n{act}\nsignal.pause()\n"
    text = (
        "schema: rdzv-scenario/v1\ntitle: A job\njob: {}\nworld: {size: 1, guard: 10s}\n"
        f"faults:\n  - {{id: gone, inject: kill, after: {moment}}}\n"
        f"expect:\n  - {{step: exit, is: died, within: 5s, since: {moment}}}\n"
    )
    (cell,) = load_text(text, tmp_path / "job.rdzv.yaml", job=True)
    command = (sys.executable, "-c", script, "{run_dir}")
    options = RunOptions(subject="command", command=command, runs_dir=tmp_path / "runs", jobs=1, seed=1)
    with Runner(options) as runner:
        (result,) = runner.run([cell])
    assert result.status == "passed", result.judgement.because
    assert result.run_dir is not None
    stored = read_run(result.run_dir)
    awaited = cell.faults[0].after
    assert isinstance(awaited, SeenMoment)
    came_ns = moment_time(stored.history, cell, awaited)
    assert came_ns is not None
    assert 0 < came_within_ns(stored.history, awaited) <= came_ns - stored.history.ops[0].time_ns
    assert judge(cell, stored.history).status == "passed"


def test_lines_are_counted_as_they_come(tmp_path: Path) -> None:
    """Each once: when the text is there, not when the line ends; a text may come in two parts; `\\r` ends a line."""
    path = tmp_path / "log"
    lines = LogLines(path, "loss=")
    lines.read(None)
    assert lines.count == 0

    counts = []
    with path.open("ab") as log:
        for written in (
            b"a\nlo",
            b"ss",
            b"=1 loss=",
            b"\nnone\nloss=2\r",
            b"loss=3\r\n",
            b"x" * 200_000 + b"lo",
            b"ss=4",
        ):
            log.write(written)
            log.flush()
            lines.read(None)
            counts.append(lines.count)
    assert counts == [0, 0, 1, 2, 3, 3, 4]


def test_a_look_reads_a_bounded_part_of_a_log(tmp_path: Path) -> None:
    """The next look goes on where it stopped."""
    path = tmp_path / "log"
    path.write_bytes(b"sign\n" * 10)
    lines = LogLines(path, "sign")
    lines.read(22)
    assert lines.count == 4
    lines.read(None)
    assert lines.count == 10
