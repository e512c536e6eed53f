"""The last line of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.archive.logs import MOST_CHARACTERS, TAIL_BYTES, last_line

RECORDED = Path(__file__).parent / "recorded"
"""What real programs wrote last: torchrun of torch 2.15 and 2.6, torch's C++ code, Python."""

RAISED = b'Traceback (most recent call last):\n  File "train.py", line 4, in <module>\nValueError: the loss is nan\n'
WARNED = b"[W1203 05:57:48.327545085 ProcessGroupNCCL.cpp:1538] Warning: destroy_process_group() was not called\n"

ENDS = {
    "torchrun-raised": "root cause, rank 1 (local_rank: 1): RuntimeError: the data set has no shard 1",
    "torchrun-recorded": "root cause, rank 1 (local_rank: 1): RuntimeError: the data set has no shard 1",
    "torchrun-2.6-recorded": "root cause, rank 1 (local_rank: 1): RuntimeError: the data set has no shard 1",
    "torchrun-peer-lost": "root cause, rank 1 (local_rank: 1): ValueError: the loss is nan at step 12",
    "torchrun-2.6-peer-lost": "root cause, rank 1 (local_rank: 1): ValueError: the loss is nan at step 12",
    "torchrun-both-raised": "root cause, rank 0 (local_rank: 0): exitcode 1 (pid: 3239)",
    "torchrun-exit-7": "root cause, rank 1 (local_rank: 1): exitcode 7 (pid: 4807)",
    "torchrun-killed": "root cause, rank 1 (local_rank: 1): Signal 9 (SIGKILL) received by PID 3586",
    "cpp-stack": "torch.distributed.DistNetworkError: The client socket has timed out after 1000ms while trying to "
    "connect to (127.0.0.1, 29779).",
    "segmentation-fault": "Fatal Python error: Segmentation fault",
    "exception-group": "| KeyError: 'b'",
}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"one\ntwo\n", "two"),
        (b"one\n  two  \n\n \n", "two"),
        (b"cut short", "cut short"),
        (b"\xff broken", "\ufffd broken"),
        (b"x" * TAIL_BYTES * 2 + b"\nlast", "last"),
        (b"\n\n", ""),
        (b"the end\n====\n", "the end"),
        ("the end\n\u2570\u2500\u2500\u256f\n".encode(), "the end"),
        (b"[rank0]: the end\n[rank0]: ----\n", "[rank0]: the end"),
        (b"\x1b[31mthe end\x1b[0m\n\x1b[31m====\x1b[0m\n", "the end"),
        (b"====\n", ""),
        (RAISED + WARNED, "ValueError: the loss is nan"),
        (RAISED + b"going on\n" + WARNED, WARNED.decode().strip()),
        (b"#1 loss from 3 to 2\n", "#1 loss from 3 to 2"),
        (b"", ""),
    ],
)
def test_the_last_line_that_says_something_is_told(tmp_path: Path, content: bytes, line: str) -> None:
    """Whatever a program wrote, and however much."""
    (tmp_path / "log").write_bytes(content)
    assert last_line(tmp_path / "log") == line


def test_a_long_line_is_shortened_and_a_missing_log_is_none(tmp_path: Path) -> None:
    """It is stored in every history."""
    (tmp_path / "log").write_text("y" * 1000)
    assert len(last_line(tmp_path / "log")) == MOST_CHARACTERS
    assert last_line(tmp_path / "absent") == ""


@pytest.mark.parametrize("name", ENDS)
def test_the_line_that_tells_most_is_taken_of_what_real_programs_wrote(name: str) -> None:
    """Not a rule, a frame or a stack; of a report of torchrun its root cause, with the exception where it is known."""
    assert last_line(RECORDED / f"{name}.txt") == ENDS[name]


def test_every_recorded_log_is_read() -> None:
    """None lies there unused."""
    assert {path.stem for path in RECORDED.iterdir()} == set(ENDS)


def test_a_report_of_torchrun_that_is_not_the_end_is_no_root_cause(tmp_path: Path) -> None:
    """A job may start torchrun again."""
    report = (RECORDED / "torchrun-killed.txt").read_text()
    (tmp_path / "log").write_text(f"{report}the second attempt has ended\n")
    assert last_line(tmp_path / "log") == "the second attempt has ended"
