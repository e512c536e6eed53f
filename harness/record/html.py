"""The failures on each torch as one HTML page, which needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from harness.record.catalogue import evidence, row_of_cell, row_of_failure
from harness.record.identity import cell_name
from harness.record.record import Record
from harness.record.words import BROKEN, DIFFERENTLY, FLAKY, KEPT
from harness.reference.failures import Failure
from harness.reports.parts.safe import one_line
from harness.scenario.scenario import Scenario

_STYLE = """body{font:15px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}
th,td{border:1px solid #8884;padding:.2em .5em;text-align:left;vertical-align:top}
.broken,.broken-differently{background:#e5534b40}.flaky{background:#daaa3f40}.kept{background:#57ab5a40}
summary{cursor:pointer}:root{color-scheme:light dark}"""


def page(record: Record, failures: Mapping[str, Failure]) -> str:
    """The page: a table for each subject, and below each failure the cells that show it."""
    return "\n".join(_lines(record, failures)) + "\n"


def _lines(record: Record, failures: Mapping[str, Failure]) -> Iterator[str]:
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>The track record</title><style>{_STYLE}</style>'
    yield "<h1>The track record</h1>"
    for subject in record.subjects:
        yield f"<h2>{_text(subject)}</h2><table><tr><th>failure</th>"
        yield "".join(f"<th>{_text(record.labels[torch])}</th>" for torch in record.torches) + "<th>changes</th></tr>"
        for number, failure in failures.items():
            yield from _failure(record, subject, number, failure)
        yield "</table>"


def _failure(record: Record, subject: str, number: str, failure: Failure) -> Iterator[str]:
    cells = evidence(record.scenarios, number)
    if not cells:
        return
    row = row_of_failure(record, subject, number)
    scenarios = "".join(f"<li>{_text(cell_name(cell))}{_counts(record, subject, cell)}</li>" for cell in cells)
    name = f"<details><summary>{number} {_text(failure.failure)}</summary><ul>{scenarios}</ul></details>"
    words = "".join(f'<td class="{_class(word.word)}">{_text(str(word))}</td>' for word in row.words.values())
    when = _text("; ".join(map(str, row.changes(record.labels))))
    yield f"<tr><td>{name}</td>{words}<td>{when}</td></tr>"


def _counts(record: Record, subject: str, cell: Scenario) -> str:
    row = row_of_cell(record, subject, cell)
    tested = [
        f"{record.labels[torch]} {word.broken}/{word.plays}" for torch, word in row.words.items() if word.is_tested
    ]
    return f": broken in {_text(', '.join(tested))}" if tested else ""


def _class(word: str) -> str:
    return word.replace(" ", "-") if word in (KEPT, BROKEN, DIFFERENTLY, FLAKY) else "none"


def _text(words: str) -> str:
    return escape(one_line(words))
