"""`compare`: from the JSON reports of several runs to one table, claim by claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cli.exit_codes import AS_EXPECTED
from harness.reports.json import FORMAT
from harness.reports.parts.claims_table import Column, markdown
from harness.values.errors import UsageError
from harness.values.verdict import STATUSES

AGAIN = "write it with `rdzv-harness run PATH... --json FILE`"

# Of a result, what the table needs: its name and what it must be.
_NEEDED = {"id": str, "path": str, "title": str, "status": str, "because": str, "known_refs": list}
_NAMED = 3


def compare(paths: Sequence[Path]) -> int:
    """Print the table; returns the exit code.

    Raises UsageError for fewer than two reports, for any other file, and for reports of different scenarios.
    """
    if len(set(paths)) < 2:
        raise UsageError(f"{paths[0]}: one report alone cannot be compared; give the report of another run too")
    reports = {path: read(path) for path in paths}
    _check_same(reports)
    columns = [Column(name, report["results"]) for name, report in zip(_names(reports), reports.values(), strict=True)]
    print(markdown(columns), end="")
    return AS_EXPECTED


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


def _check_same(reports: Mapping[Path, Mapping[str, Any]]) -> None:
    """Raises UsageError if the runs did not play the same cells of the same files."""
    first, *others = [(path, _cells(report)) for path, report in reports.items()]
    for path, cells in others:
        for here, there, only in ((first[0], path, first[1] - cells), (path, first[0], cells - first[1])):
            if only:
                names = ", ".join(sorted(only)[:_NAMED]) + (" ..." if len(only) > _NAMED else "")
                count = f"{len(only)} cell{'s' if len(only) != 1 else ''}"
                raise UsageError(
                    f"{here} has {count} that {there} has not: {names}; play both with the same paths, --tags and -k"
                )


def _cells(report: Mapping[str, Any]) -> set[str]:
    """File and cell of each result."""
    return {f"{Path(row['path']).parent.as_posix()}/{row['id']}" for row in report["results"]}


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
