"""What a session shows while it goes on."""

from __future__ import annotations

import io
from collections import Counter

from rich.console import Console

from harness.explore.progress import LINE_EVERY_NS, Progress, now_lines
from harness.explore.tally import Tally

TALLY = Tally(
    statuses=Counter({"passed": 1000, "failed": 200, "error": 4}),
    explained=Counter({"F02": 150, "F05": 3}),
    features=842,
    chance=0.02,
    under_way=("shrinking no_hang of get (12 plays)",),
    waiting=2,
)


def test_two_lines_say_what_goes_on() -> None:
    """Runs and their rate, features, findings, known causes, what is shrunk, and the chance of something new."""
    assert now_lines(TALLY, 200.0) == [
        "0:03:20  1,204 runs (6.0/s, 200 red, 4 errors), 842 features, 0 new findings, explained 150 F02, 3 F05",
        "shrinking no_hang of get (12 plays), 2 more wait; chance that the next run shows something new: 2.0%",
    ]


def test_into_a_pipe_a_line_is_written_now_and_then() -> None:
    """One each ten seconds, and none with --quiet."""
    now_ns = 0
    written, nothing = io.StringIO(), io.StringIO()
    progress = Progress(Console(file=written, width=200), lambda: now_ns)
    quiet = Progress(Console(file=nothing, width=200), lambda: now_ns, quiet=True)
    for second in range(31):
        now_ns = second * LINE_EVERY_NS // 10
        progress.show(TALLY)
        quiet.show(TALLY)
    assert len(written.getvalue().splitlines()) == 3
    assert nothing.getvalue() == ""


def test_on_a_terminal_the_lines_are_replaced() -> None:
    """And taken away at the end."""
    written = io.StringIO()
    progress = Progress(Console(file=written, width=80, force_terminal=True), lambda: 0)
    progress.show(TALLY)
    progress.show(TALLY)
    progress.close()
    text = written.getvalue()
    assert "shrinking no_hang" in text
    assert text.endswith("\x1b[1A\x1b[2K")
