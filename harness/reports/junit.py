"""JUnit XML, as CI services read it: one test case for each result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

from harness import clock
from harness.reports.base import REPORTS, RowReport
from harness.reports.parts import facts, rows
from harness.reports.parts.rows import Row
from harness.reports.parts.safe import one_line, some_lines
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS


@REPORTS.register("junit")
class JUnitReport(RowReport):
    """Failed and vacuous are failures, error an error, known failure and skipped are skipped with their reason."""

    def text(self, rows: Sequence[Row], interrupted: bool) -> str:
        root = document(rows, datetime.fromtimestamp(clock.wall_time(), timezone.utc))
        ElementTree.indent(root)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def document(results: Sequence[Row], written: datetime) -> ElementTree.Element:
    """The whole document as elements."""
    found = facts.counts(result["status"] for result in results)
    numbers = {
        "tests": str(len(results)),
        "failures": str(found["failed"] + found["vacuous"]),
        "errors": str(found["error"]),
        "skipped": str(found["known"] + found["skipped"]),
        "time": f"{sum(result['seconds'] for result in results):.3f}",
    }
    # The schema that CI services share (Jenkins' junit-10) knows `skipped` on a suite only, and properties too.
    totals = {key: value for key, value in numbers.items() if key != "skipped"}
    root = ElementTree.Element("testsuites", {"name": "rdzv-harness", **totals})
    stamp = written.strftime("%Y-%m-%dT%H:%M:%S")
    suite = ElementTree.SubElement(root, "testsuite", {"name": "rdzv-harness", **numbers, "timestamp": stamp})
    _properties(suite, results)
    repeated = any(result["attempt"] > 1 for result in results)
    for result in results:
        _case(suite, result, repeated)
    return root


def _properties(suite: ElementTree.Element, results: Sequence[Row]) -> None:
    """Where all of them ran."""
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in facts.headline(map(rows.about, results)):
        ElementTree.SubElement(properties, "property", {"name": name, "value": value})


def _case(suite: ElementTree.Element, result: Row, repeated: bool) -> None:
    name = f"{result['id']} run {result['attempt']}" if repeated else result["id"]
    about = {"classname": folder(Path(result["path"])), "name": one_line(name), "time": f"{result['seconds']:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", about)
    _outcome(case, result)
    ElementTree.SubElement(case, "system-out").text = "\n".join(_output(result))


def _output(result: Row) -> Iterator[str]:
    """What this one was, and for a red one everything the console shows."""
    for name in ("subject", "torch", "seed", "run_dir", "status"):
        yield one_line(f"{name}: {'' if result[name] is None else result[name]}")
    if result["proof"]:
        yield from ("", *result["proof"])


def folder(path: Path) -> str:
    """The folder of a scenario as a dotted name, which is what CI services group by."""
    parts = [part for part in path.parent.parts if part not in ("/", ".", "..")]
    return one_line(".".join(part.replace(".", "_") for part in parts)) or "scenarios"


def _outcome(case: ElementTree.Element, result: Row) -> None:
    status, because = result["status"], result["because"]
    if status in (FAILED, VACUOUS):
        message = {"message": one_line(because), "type": status}
        ElementTree.SubElement(case, "failure", message).text = _summary(result)
    elif status == ERROR:
        ElementTree.SubElement(case, "error", {"message": one_line(because), "type": "error"})
    elif status == KNOWN:
        refs = ", ".join(result["known_refs"]) or because
        ElementTree.SubElement(case, "skipped", {"message": one_line(f"known failure: {refs}")})
    elif status == SKIPPED:
        ElementTree.SubElement(case, "skipped", {"message": one_line(because)})


def _summary(result: Row) -> str:
    """The broken claims, each with both sides; the proof stands in system-out."""
    broken = [verdict for verdict in result["verdicts"] if verdict["status"] != PASSED]
    said = (f"{one_line(one['name'])}: expected {one['expected']}; {one['happened']}" for one in broken)
    return "\n".join(line for text in said for line in some_lines(text))
