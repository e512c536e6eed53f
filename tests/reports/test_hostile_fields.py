"""No text of a file, a rank, a proxy server or a stored run does anything to its reader, in any report."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hostile_runs import FIELDS, MANY_LINES
from hostile_texts import LONG, TEXTS, shown
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from harness.judge.result import Result
from harness.pytest_plugin import outcomes
from harness.reports.console import ConsoleReport
from harness.reports.html import HtmlReport
from harness.reports.json import JsonReport
from harness.reports.junit import JUnitReport
from harness.reports.parts.claims_table import Column, markdown
from harness.reports.parts.rows import row
from harness.reports.timeline import View, of_result
from harness.values.printable import printable

PLAIN = "plain"
VERY_WIDE = 2_000
STORED: dict[str, Callable[[Any], str]] = {
    "title": lambda row: row["title"],
    "why it failed": lambda row: row["because"],
    "expected": lambda row: row["verdicts"][0]["expected"],
    "happened": lambda row: row["verdicts"][0]["happened"],
    "name of a claim": lambda row: row["verdicts"][0]["name"],
    "cell value": lambda row: row["cell"]["cut"],
    "note": lambda row: row["notes"][0],
    "reference": lambda row: row["known_refs"][0],
    "subject": lambda row: row["subject"],
}
"""Where the JSON report has some of them, as they were."""
MOST_SHOWN = 40_000
"""Characters that a report for people may spend on a result of which one field has 1 MB."""

Render = Callable[[Sequence[Result]], str]


def console(results: Sequence[Result], width: int = VERY_WIDE, is_terminal: bool = False) -> str:
    written = io.StringIO()
    terminal = Console(
        file=written, width=width, markup=False, highlight=False, emoji=False, force_terminal=is_terminal, no_color=True
    )
    report = ConsoleReport(terminal, len(results), now_ns=lambda: 0, with_deadlines=True)
    for result in results:
        report.started(result.scenario, result.attempt)
        report.finished(result)
    report.closed(results, interrupted=False)
    return written.getvalue()


def timeline(results: Sequence[Result]) -> str:
    return "\n".join(of_result(result, View(width=VERY_WIDE)) for result in results)


def json_report(results: Sequence[Result]) -> str:
    return JsonReport(None).text(list(map(row, results)), interrupted=False)


def junit(results: Sequence[Result]) -> str:
    return JUnitReport(None).text(list(map(row, results)), interrupted=False)


def table(results: Sequence[Result]) -> str:
    """What `compare` prints of two runs that found the same."""
    rows = [json.loads(json.dumps(row(result))) for result in results]
    name = f"{rows[0]['subject']}, torch {rows[0]['torch']}"
    return markdown([Column(name, rows), Column("other", [{**one, "status": "passed"} for one in rows])])


def page(results: Sequence[Result], path: Path) -> str:
    """The HTML report, as a file has it."""
    report = HtmlReport.to(path)
    for result in results:
        report.finished(result)
    report.closed(results, interrupted=False)
    return path.read_text("utf-8")


def section(results: Sequence[Result]) -> str:
    """What pytest shows of scenarios: failures, and the reasons of skips and expected failures."""
    return "\n".join(map(_in_pytest, results))


def _in_pytest(result: Result) -> str:
    try:
        outcomes.settle(result, fail_on_skip=False)
    except (pytest.skip.Exception, pytest.xfail.Exception) as outcome:
        return str(outcome)
    except outcomes.RunFailed as failure:
        return str(outcomes.shown(failure))
    return "passed"


@pytest.fixture(params=["console", "timeline", "pytest"])
def on_lines(request: pytest.FixtureRequest) -> Render:
    """A report that is read on a terminal or in a log."""
    return {"console": console, "timeline": timeline, "pytest": section}[request.param]


def of_texts(field: str, folder: Path) -> dict[str, Result]:
    """A result for each hostile text, in this field."""
    return {text: FIELDS[field](text, folder / str(number)) for number, text in enumerate(TEXTS.values())}


def is_told(text: str, written: str, plain: str) -> bool:
    """Whether a field that is shown where its text is plain is shown here too: escaped perhaps, and never left out."""
    words = [word for word in re.findall("[a-z]{2,}", text.splitlines()[0]) if word not in plain]
    return PLAIN not in plain or not words or any(word in written for word in words)


ON_EACH_PUSH = ("title", "key", "message of an error", "step", "thread of a stack", "why it failed")
MOST_AT_NIGHT = [pytest.param(field, marks=() if field in ON_EACH_PUSH else pytest.mark.nightly) for field in FIELDS]
"""A megabyte, and a terminal that draws, take their time: a sample on each push, all fields at night."""


@pytest.mark.parametrize("field", FIELDS)
def test_a_terminal_shows_it_and_does_nothing_else(field: str, on_lines: Render, tmp_path: Path) -> None:
    """No control character, no mark of direction, no line more, no command to a CI service; what was said is there."""
    plain = on_lines([FIELDS[field](PLAIN, tmp_path / "plain")])
    for text, result in of_texts(field, tmp_path).items():
        written = on_lines([result])
        lines = shown(written)
        assert field in MANY_LINES or len(lines) == len(plain.split("\n")), ascii(text)
        assert is_told(text, written, plain), ascii(text)


@pytest.mark.parametrize("field", MOST_AT_NIGHT)
def test_a_live_console_writes_only_what_rich_writes(field: str, tmp_path: Path) -> None:
    """Progress, styles and folded cells: no escape sequence is one of the text's, and no folded line is a command."""
    results = list(of_texts(field, tmp_path).values())
    for width in (40, 120):
        shown(console(results, width, is_terminal=True), of_rich=True)


@pytest.mark.parametrize("field", FIELDS)
def test_json_is_for_the_strictest_reader(field: str, tmp_path: Path) -> None:
    """It parses, is UTF-8 once it was parsed, and the text is there as it was; in a log no line of it is a command."""
    plain = json_report([FIELDS[field](PLAIN, tmp_path / "plain")])
    results = of_texts(field, tmp_path)
    written = json_report(list(results.values()))
    shown(written)
    document = json.loads(written, parse_constant=pytest.fail)
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    for text, found in zip(results, document["results"], strict=True):
        assert is_told(text, json.dumps([found, document["meta"]]), plain), ascii(text)
        assert field not in STORED or STORED[field](found) == text.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("field", FIELDS)
def test_xml_has_the_same_elements_whatever_the_text(field: str, tmp_path: Path) -> None:
    """No text becomes an element; attributes are of one line; what is shown of it is escaped as on a terminal."""
    plain = junit([FIELDS[field](PLAIN, tmp_path / "plain")])
    for text, result in of_texts(field, tmp_path).items():
        written = junit([result])
        of_plain, elements = list(ElementTree.fromstring(plain).iter()), list(ElementTree.fromstring(written).iter())
        assert [element.tag for element in elements] == [element.tag for element in of_plain]
        for here, there in zip(elements, of_plain, strict=True):
            assert here.attrib.keys() == there.attrib.keys()
            assert all(map(str.isprintable, here.attrib.values())), ascii(here.attrib)
            lines = shown(here.text or "")
            assert field in MANY_LINES or len(lines) == len((there.text or "").split("\n")), ascii(text)
        assert is_told(text, written, plain), ascii(text)


@pytest.mark.parametrize("field", FIELDS)
def test_markdown_shows_it_as_text_in_its_cell(field: str, tmp_path: Path) -> None:
    """The table keeps its cells, a row has one link, to a file of this folder, and nothing is styled or HTML."""
    for text, result in of_texts(field, tmp_path).items():
        written = table([result])
        shown(written)
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(written)
        cells = [one for one in tokens if one.type == "inline"][: tokens_of_a_row(tokens)]
        parts = [part for cell in cells for part in cell.children or ()]
        assert {part.type for part in parts} <= {"text", "text_special", "link_open", "link_close"}, written
        (link,) = [part for part in parts if part.type == "link_open"]
        assert re.fullmatch(r"[A-Za-z0-9/_.%~-]+", str(link.attrs["href"])), link.attrs
        assert len(cells) == 6, written
        if field == "title":
            assert "".join(part.content for part in cells[3].children or ()) == printable(text)


def tokens_of_a_row(tokens: Sequence[Token]) -> int:
    """How many cells the table has; the line below it is another paragraph."""
    return sum(token.type in ("th_open", "td_open") for token in tokens)


@pytest.mark.parametrize("field", MOST_AT_NIGHT)
def test_a_megabyte_floods_no_terminal(field: str, on_lines: Render, tmp_path: Path) -> None:
    """What is cut says that it was cut."""
    written = on_lines([FIELDS[field](LONG, tmp_path)])
    shown(written)
    assert len(written) <= MOST_SHOWN
    if "long long long long" in written:
        assert "…" in written


@pytest.mark.parametrize("field", sorted(MANY_LINES))
def test_a_megabyte_of_lines_floods_no_terminal(field: str, on_lines: Render, tmp_path: Path) -> None:
    """A text of 500,000 lines is as harmless as a line of 1 MB."""
    written = on_lines([FIELDS[field]("x\n" * 500_000, tmp_path)])
    shown(written)
    assert len(written) <= MOST_SHOWN


@pytest.mark.parametrize("field", MOST_AT_NIGHT)
def test_a_megabyte_fits_into_a_document(field: str, tmp_path: Path) -> None:
    """JUnit is for people too, and is cut; JSON has the text at most as often as the result has it."""
    result = FIELDS[field](LONG, tmp_path)
    assert len(junit([result])) <= 3 * MOST_SHOWN
    assert len(json_report([result])) <= 6 * len(LONG)


@pytest.mark.parametrize("field", MOST_AT_NIGHT)
def test_a_megabyte_fits_into_a_page(field: str, tmp_path: Path) -> None:
    """Each text is cut in the page, and the page says so; what it was is in the run directory."""
    text = page([FIELDS[field](LONG, tmp_path / "run")], tmp_path / "page.html")
    assert len(text) - len(page([FIELDS[field](PLAIN, tmp_path / "run")], tmp_path / "plain.html")) <= 2 * MOST_SHOWN
