"""The ends of the logs of a job: in the block of a red result, and in its row of the JSON report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import happenings
import pytest

from harness.judge.result import Result
from harness.reports.parts import logs, red
from harness.reports.parts.rows import row
from harness.scenario.scenario import Job


def job(folder: Path, written: dict[str, str | bytes], **keys: Any) -> Result:
    """A red job whose run directory has these logs."""
    (folder / "logs").mkdir(parents=True)
    for name, content in written.items():
        (folder / "logs" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    given: dict[str, Any] = {"scenario": happenings.scenario(job=Job()), "run_dir": folder, **keys}
    return happenings.result(given.pop("judgement", happenings.red_judgement()), **given)


def test_a_red_job_shows_the_last_lines_of_each_rank_below_the_path_of_its_log(tmp_path: Path) -> None:
    """The last life counts; blank lines do not; other files of the folder are not logs of ranks."""
    many = "".join(f"line {number}\n\n" for number in range(30))
    result = job(
        tmp_path / "run",
        {
            "rank-10.life-1.log": "ten\n",
            "rank-1.life-2.log": "the first life\n",
            "rank-1.life-10.log": many,
            "rank-2.life-1.log": "",
            "proxy.log": "another program\n",
        },
    )
    folder = tmp_path / "run" / "logs"
    assert list(logs.blocks(result)) == [
        (str(folder / "rank-1.life-10.log"), *(f"  line {number}" for number in range(20, 30))),
        (str(folder / "rank-2.life-1.log"), "  (it wrote nothing)"),
        (str(folder / "rank-10.life-1.log"), "  ten"),
    ]
    assert f"  log        {folder / 'rank-1.life-10.log'}" in red.body(result)
    assert row(result)["logs"][0] == {
        "rank": 1,
        "path": str(folder / "rank-1.life-10.log"),
        "lines": [f"line {number}" for number in range(20, 30)],
    }


def test_only_a_red_job_has_ends_of_logs_in_its_row(tmp_path: Path) -> None:
    """What passed needs none; in a scenario with steps the calls say what happened."""
    passed = job(tmp_path / "a", {"rank-0.life-1.log": "said\n"}, judgement=None)
    steps = job(tmp_path / "b", {"rank-0.life-1.log": "said\n"}, scenario=happenings.scenario())
    nowhere = job(tmp_path / "c", {}, run_dir=None)
    assert [row(result)["logs"] for result in (passed, steps, nowhere)] == [[], [], []]
    assert not any("said" in line for line in red.body(steps))


def test_what_is_shown_of_a_log_is_bounded_and_harmless(tmp_path: Path) -> None:
    """Of megabytes in one line a little; escapes of a terminal and commands to a CI service are text."""
    result = job(
        tmp_path / "run",
        {
            "rank-0.life-1.log": b"x" * 3_000_000,
            "rank-1.life-1.log": b"\x1b[2J\x00\xff\r\n::error::no\n##[error]no\n",
        },
    )
    long, hostile = (tail["lines"] for tail in row(result)["logs"])
    assert len(long) == 1
    assert len(long[0]) < 400
    assert hostile == ["\\x1b[2J\\x00\ufffd", "\\x3a:error::no", "\\x23#[error]no"]


def test_a_large_world_is_cut_on_the_screen_and_whole_in_the_row(tmp_path: Path) -> None:
    """The number of the others is said."""
    result = job(tmp_path / "run", {f"rank-{rank}.life-1.log": "x\n" for rank in range(20)})
    assert list(logs.blocks(result))[-1] == ("… 12 more ranks; their logs are in the same folder",)
    assert len(list(logs.blocks(result))) == 9
    assert [tail["rank"] for tail in row(result)["logs"]] == list(range(20))


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    """A run directory may come from elsewhere: nothing outside is shown, and nothing waits."""
    result = job(tmp_path / "run", {})
    path = tmp_path / "run" / "logs" / "rank-0.life-1.log"
    (tmp_path / "secret").write_text("secret\n")
    {"link": lambda: path.symlink_to(tmp_path / "secret"), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[
        kind
    ]()
    ((_, line),) = logs.blocks(result)
    assert line.startswith("  (it cannot be read: it is a")
