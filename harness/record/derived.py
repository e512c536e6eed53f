"""Everything that is derived from a record as plain values, for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.record.bounds import bounds
from harness.record.catalogue import Row, evidence, row_of_cell, row_of_failure
from harness.record.difference import times
from harness.record.document import Play, Results
from harness.record.identity import cell_name
from harness.record.record import Record
from harness.record.words import Word
from harness.scenario.scenario import Scenario


def document(record: Record, numbers: Collection[str]) -> dict[str, Any]:
    """Words and changes of each failure and each cell, the plays behind them, and the ranges of `known` entries.

    Args:
        numbers: of the failures of the catalogue.
    """
    shown = [number for number in numbers if evidence(record.scenarios, number)]
    return {
        "torches": [record.labels[torch] for torch in record.torches],
        "failures": {
            number: {subject: _row(record, row_of_failure(record, subject, number)) for subject in record.subjects}
            for number in shown
        },
        "cells": {
            cell_name(cell): {subject: _cell(record, subject, cell) for subject in record.subjects}
            for cell in record.scenarios
        },
        "known": [str(bound) for bound in bounds(record)],
        "ignored": record.out_of_date(),
    }


def _row(record: Record, row: Row) -> dict[str, Any]:
    return {
        "torch": {record.labels[torch]: _word(word) for torch, word in row.words.items()},
        "changes": [str(change) for change in row.changes(record.labels)],
    }


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.word, "broken": word.broken, "plays": word.plays}


def _cell(record: Record, subject: str, cell: Scenario) -> dict[str, Any]:
    row = _row(record, row_of_cell(record, subject, cell))
    for torch in record.torches:
        results = record.of(subject, torch)
        plays = list(record.plays(subject, torch, cell).values())
        if results is not None and plays:
            row["torch"][record.labels[torch]] |= _plays(results, plays)
    return row


def _plays(results: Results, plays: Sequence[Play]) -> dict[str, Any]:
    claims = sorted({claim for play in plays for claim in play.claims})
    return {
        "statuses": dict(sorted(Counter(play.status for play in plays).items())),
        "claims": {claim: _claim(results, plays, claim) for claim in claims},
    }


def _claim(results: Results, plays: Sequence[Play], claim: str) -> dict[str, Any]:
    keys = Counter(play.claims[claim].of for play in plays if claim in play.claims)
    took = times(plays, claim)
    return {
        "outcomes": [_outcome(results, key, count) for key, count in sorted(keys.items())],
        "seconds": None if took is None else vars(took),
    }


def _outcome(results: Results, key: str, plays: int) -> Mapping[str, Any]:
    outcome = results.outcomes.get(key)
    return {"plays": plays, **({} if outcome is None else outcome.model_dump(mode="json", include={"calls", "sample"}))}
