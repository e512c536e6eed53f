"""No text of a file, a rank or a proxy server moves a cursor, styles a line or breaks a document, in any report."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import happenings
import pytest
from rich.console import Console

from harness.judge.result import Result
from harness.reports.base import REPORTS
from harness.reports.console import ConsoleReport
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op
from harness.values.verdict import ERROR, KNOWN, SKIPPED, VACUOUS, Judgement

HOSTILE = "\x1b[31m\x1b]0;title\x07\r\n\x00[bold]<&>]]>\x9b2J\u202e\u2028\ud800\ufffe*|`"


def hostile(value: Any) -> Any:
    """The value with something hostile behind each text in it, keys too."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()} | {HOSTILE: HOSTILE}
    return [hostile(one) for one in value] if isinstance(value, list) else value


def hostile_op(op: Op) -> Op:
    thread = op.process.thread if op.process.rank is None else op.process.thread + HOSTILE
    process = replace(op.process, thread=thread)
    error = ErrorInfo("Error" + HOSTILE, ("Error",), HOSTILE)
    failed = error if op.type == "fail" or op.f == "get" else op.error
    return replace(op, process=process, step=op.step and op.step + HOSTILE, value=hostile(op.value), error=failed)


@pytest.fixture
def results() -> list[Result]:
    """The red run of `happenings`, and one of each other status, all their texts hostile."""
    history = History.of(map(hostile_op, happenings.muted()))
    red = happenings.red_judgement()
    verdicts = tuple(
        replace(one, name=one.name + HOSTILE, because=HOSTILE, expected=HOSTILE, happened=HOSTILE, line=0)
        for one in red.verdicts
    )
    judgement = replace(red, because=red.because + HOSTILE, verdicts=verdicts, notes=(HOSTILE,))
    scenario = happenings.scenario(
        Path(f"a{HOSTILE.replace('/', '')}".replace("\0", "")) / f"b{HOSTILE}.rdzv.yaml",
        (("world.timeout" + HOSTILE, HOSTILE),),
        title=HOSTILE,
        text=HOSTILE,
    )
    given = {
        "scenario": scenario,
        "command": HOSTILE,
        "subject": HOSTILE,
        "run_dir": Path("runs", HOSTILE.replace("\0", "")),
    }
    others = [Judgement(status, HOSTILE, known_refs=(HOSTILE,)) for status in (VACUOUS, ERROR, KNOWN, SKIPPED)]
    return [happenings.result(one, history, **given) for one in (judgement, *others, judgement, judgement, judgement)]


@pytest.mark.parametrize("kind", ["timeline", "junit", "json"])
def test_a_written_report_is_whole(kind: str, tmp_path: Path, results: list[Result]) -> None:
    """Documents are parsed as what they are; text has no character but what prints, and line ends."""
    report = REPORTS[kind].to(tmp_path / "report")
    report.closed(results, interrupted=False)
    text = (tmp_path / "report").read_text(encoding="utf-8")
    if kind == "json":
        document = json.loads(text)
        assert len(document["results"]) == len(results)
    elif kind == "junit":
        assert len(list(ElementTree.fromstring(text).iter("testcase"))) == len(results)
    else:
        assert all(line.isprintable() for line in text.split("\n")), ascii(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_the_console_prints_what_prints(terminal: bool, results: list[Result]) -> None:
    """On a terminal the only escape sequences are those of the report itself, which styles no text of others."""
    written = io.StringIO()
    console = Console(
        file=written, width=120, markup=False, highlight=False, emoji=False, force_terminal=terminal, no_color=True
    )
    report = ConsoleReport(console, len(results))
    for result in results:
        report.started(result.scenario, result.attempt)
        report.finished(result)
    report.closed(results, interrupted=False)
    text = written.getvalue()
    assert "[bold]" in text
    for bad in ("\x1b[31m", "\x1b]0", "\x07", "\x9b", "\u202e", "\ud800", "\x00"):
        assert bad not in text, ascii(text)
    if not terminal:
        assert all(line.isprintable() for line in text.split("\n")), ascii(text)
