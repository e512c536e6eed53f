"""Known failures, waivers and needs of a cell as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.checkers.base import standing_invariants
from harness.loader.keys.entries import CellKeys, Entry, sound
from harness.loader.keys.models import Document
from harness.loader.resolve.claims import Claims
from harness.loader.tree.matrix import Cell, Pattern
from harness.loader.tree.nodes import Location, shorten
from harness.loader.tree.problems import Reporter, suggestion
from harness.scenario.scenario import Known

LONGEST_RANGE = 200
"""Characters of a range of versions: longer numbers are none that Python reads."""


def read_known(
    keys: CellKeys, cell: Cell, patterns: Mapping[int, Pattern], claims: Claims, report: Reporter
) -> tuple[Known, ...]:
    """The known failures of a cell; `patterns` are the cells that each entry names, by its number."""
    found = []
    for index, entry in enumerate(keys.known):
        if entry.keys is None:
            continue
        _check_versions(entry.keys.torch, (*entry.location, "torch"), report)
        _check_breaks(entry.keys.breaks, keys.claims, (*entry.location, "breaks"), report)
        pattern = patterns.get(index, {})
        if cell.fits(pattern):
            found.append(_known(entry, pattern, claims))
    return tuple(found)


def _known(entry: Entry, pattern: Pattern, claims: Claims) -> Known:
    keys = entry.keys
    return Known(
        subject=keys.subject,
        torch=keys.torch or "",
        cells=dict(pattern),
        breaks=tuple(keys.breaks),
        instead=claims.read_below(entry, "instead"),
        because=keys.because,
        refs=tuple(keys.refs or ()),
        line=entry.line,
    )


def read_waivers(keys: CellKeys, report: Reporter) -> dict[str, str]:
    """By standing invariant, why it does not count."""
    waived: dict[str, str] = {}
    for entry in sound(keys.waivers):
        check = entry.keys.check
        if check not in standing_invariants():
            hint = suggestion(check, standing_invariants(), "these can be waived")
            report((*entry.location, "check"), f"there is no standing invariant {check!r}", hint)
        waived[check] = entry.keys.because
    return waived


def read_needs(document: Document | None, report: Reporter) -> dict[str, str]:
    """What the machine must offer."""
    if document is None or document.needs is None:
        return {}
    _check_versions(document.needs.torch, ("needs", "torch"), report)
    return {name: value for name, value in dict(document.needs).items() if value is not None}


def _check_breaks(breaks: Sequence[str], claims: Sequence[Entry], location: Location, report: Reporter) -> None:
    """Report names that are no claim and no standing invariant, or several claims."""
    names = [entry.raw_name for entry in claims]
    for index, name in enumerate(breaks):
        if name in standing_invariants():
            continue
        at = (*location, index)
        lines = [str(entry.line) for entry in claims if entry.raw_name == name]
        if len(lines) > 1:
            message = f"the name {name!r} can mean the claims in lines {' and '.join(lines)}"
            report(at, message, "give them different ids")
        elif not lines:
            known = [*dict.fromkeys(one for one in names if one), *standing_invariants()]
            report(at, f"there is no claim and no standing invariant {name!r}", suggestion(name, known, "there is"))


def _check_versions(written: str | None, location: Location, report: Reporter) -> None:
    if written is None:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        if len(written) > LONGEST_RANGE:
            raise InvalidSpecifier(written)
        SpecifierSet(written)
    except InvalidSpecifier:
        report(
            location,
            f"{shorten(written)!r} is not a range of versions",
            'write it as PEP 440 does: ">=2.6", ">=2.6,<2.9"',
        )
