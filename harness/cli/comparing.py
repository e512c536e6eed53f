"""`compare`: from the JSON reports of several runs to one table, claim by claim."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, SOME_FAILED
from harness.reports.json import FORMAT
from harness.reports.parts.claims_table import Column, markdown
from harness.reports.parts.facts import RED
from harness.reports.parts.safe import one_line
from harness.values.errors import UsageError
from harness.values.verdict import KNOWN, PASSED, STATUSES, worst

AGAIN = "write it with `rdzv-harness run PATH... --json FILE`"

# Of a result, what the table needs: its name and what it must be.
_NEEDED = {"id": str, "path": str, "title": str, "status": str, "because": str, "known_refs": list}


def compare(paths: Sequence[Path], fail_on_regression: bool = False) -> int:
    """Print the table, and the regressions on standard error; returns the exit code.

    Reports may have different cells: what one has not is marked, and is no regression.

    Args:
        fail_on_regression: whether the exit code is 1 if a cell passed or was a known failure in the first report and
            is failed, vacuous or an error in the last.

    Raises UsageError for fewer than two reports, and for any other file.
    """
    if len(set(paths)) < 2:
        raise UsageError(f"{paths[0]}: one report alone cannot be compared; give the report of another run too")
    reports = {path: read(path) for path in paths}
    columns = [Column(name, report["results"]) for name, report in zip(_names(reports), reports.values(), strict=True)]
    print(markdown(columns), end="")
    if not fail_on_regression:
        return AS_EXPECTED
    regressions = list(_regressions(reports[paths[0]], reports[paths[-1]]))
    for line in regressions:
        streams.say(line)
    return SOME_FAILED if regressions else AS_EXPECTED


def read(path: Path) -> Mapping[str, Any]:
    """A report of `run --json`; raises UsageError for anything else, or for a run that was not played to its end."""
    document = document_of(path)
    if document["meta"].get("interrupted"):
        raise UsageError(f"{path} is the report of a run that was interrupted; play it again, to its end")
    if not document["results"]:
        raise UsageError(f"{path} is a report without results; {AGAIN}")
    return document


def document_of(path: Path) -> Mapping[str, Any]:
    """A report of `run --json`, also of a run that was interrupted; raises UsageError for anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); {AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON; {AGAIN}") from error
    if not _is_report(document):
        raise UsageError(f"{path} is not a report of this format ({FORMAT}); {AGAIN}")
    return dict(document)


def _is_report(document: Any) -> bool:
    if not isinstance(document, dict) or not isinstance(document.get("meta"), dict):
        return False
    results = document.get("results")
    if document["meta"].get("schema") != FORMAT or not isinstance(results, list):
        return False
    return all(isinstance(row, dict) and _is_result(row) for row in results)


def _is_result(row: Mapping[str, Any]) -> bool:
    return all(isinstance(row.get(name), kind) for name, kind in _NEEDED.items()) and row["status"] in STATUSES


def _regressions(first: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[str]:
    """A line for each cell that was as expected in the first report and is red in the last."""
    before = _by_cell(first)
    for cell, (status, because) in _by_cell(last).items():
        was = before.get(cell, ("", ""))[0]
        if was in (PASSED, KNOWN) and status in RED:
            yield one_line(f"regression: {cell}: was {was}, is {status}: {because}")


def _by_cell(report: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The worst status of each cell with its reason, by folder and id."""
    found: dict[str, tuple[str, str]] = {}
    for row in report["results"]:
        cell = f"{Path(row['path']).parent.as_posix()}/{row['id']}"
        held = found.get(cell)
        if held is None or worst((held[0], row["status"])) != held[0]:
            found[cell] = (row["status"], row["because"])
    return found


def _names(reports: Mapping[Path, Mapping[str, Any]]) -> list[str]:
    """Subject and torch of each report; where two are the same, the file too."""
    names = [_name(report["meta"]) for report in reports.values()]
    return [
        f"{name} ({path.name})" if names.count(name) > 1 else name for name, path in zip(names, reports, strict=True)
    ]


def _name(meta: Mapping[str, Any]) -> str:
    """`static, torch 2.15.0`; without the build that torch's version names."""
    subject = "; ".join(_texts(meta.get("subject"))) or "no subject"
    versions = dict.fromkeys(version.split("+")[0] for version in _texts(meta.get("torch")))
    return f"{subject}, torch {'; '.join(versions)}" if versions else subject


def _texts(value: Any) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []
