"""Many rows as few columns: JSON names each field once, and times are stored as differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any


def columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """A list for each name, with its values in the order of the rows."""
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    return dict(zip(names, values, strict=True))


def differences(values: Sequence[int]) -> list[int]:
    """The first value, then what each is more than the one before: small numbers need few digits."""
    return [*values[:1], *(after - before for before, after in pairwise(values))]
