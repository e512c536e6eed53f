"""Small JSON reports as plain values, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def row(cell: str, **changes: Any) -> dict[str, Any]:
    """One result, of a cell that passed; `cell` is the name of its file, with brackets in a matrix."""
    name = cell.split("[")[0]
    return {
        "id": cell,
        "path": f"scenarios/x/{name}.rdzv.yaml",
        "title": f"The claim of {name}",
        "status": "passed",
        "because": "as claimed",
        "known_refs": [],
        **changes,
    }


def document(rows: Sequence[Mapping[str, Any]], **meta: Any) -> dict[str, Any]:
    """A report of stock torch 2.15, unless `meta` says otherwise."""
    about = {"schema": "rdzv-report/v1", "subject": ["static"], "torch": ["2.15.0+cu132"], "interrupted": False}
    return {"meta": {**about, **meta}, "results": list(rows)}
