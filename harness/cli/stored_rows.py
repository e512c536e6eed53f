"""Rows of JSON reports as other releases, other machines or hands have written them, checked before they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt, ValidationError

from harness.values.errors import UsageError


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    status: str


class _Waits(BaseModel):
    model_config = ConfigDict(extra="allow")
    sentence: str = ""


class _StoredRow(BaseModel):
    """What a page needs of a row; fields that older releases did not write have defaults."""

    model_config = ConfigDict(extra="allow")
    id: str
    path: str
    title: str
    status: Literal["passed", "failed", "vacuous", "error", "known failure", "skipped"]
    because: str
    known_refs: list[str]
    cell: dict[str, str] = {}
    tags: list[str] = []
    attempt: PositiveInt = 1
    subject: str = ""
    torch: str = ""
    python: str = ""
    proxy: str = ""
    isolation: str = ""
    seed: int = 0
    verdicts: list[_Verdict] = []
    waits: _Waits = _Waits()
    seconds: NonNegativeFloat = 0.0
    run_dir: str | None = None
    command: str = ""
    proof: list[str] = []


def checked(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The row as `harness.reports.parts.rows.row` writes it; raises UsageError with each field that is wrong."""
    try:
        return _StoredRow.model_validate(row).model_dump()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise UsageError(f"{place}: not a result of this format ({wrong}); write it with `run --json FILE`") from error
