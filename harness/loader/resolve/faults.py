"""The faults of a cell as values, their moments left open, and the ranks that they hit."""

from __future__ import annotations

from typing import Any

from harness.faults.base import FaultMember
from harness.loader.keys.entries import CellKeys, Entry
from harness.loader.keys.members import attributes_of, fault_members
from harness.loader.keys.models import ToxicKeys
from harness.loader.resolve.steps import report_member_problems
from harness.loader.tree.problems import Reporter
from harness.scenario.scenario import Fault


def read_faults(cell: CellKeys, linked: tuple[int, ...], report: Reporter) -> tuple[Fault, ...]:
    """The sound faults, in the order of the file; `linked` are the ranks that have links."""
    return tuple(_read_fault(entry, cell, linked, report) for entry in cell.faults)


def _read_fault(entry: Entry, cell: CellKeys, linked: tuple[int, ...], report: Reporter) -> Fault:
    keys, member = entry.keys, fault_members()[entry.kind]
    attributes = attributes_of(keys, member.declaration)
    report_member_problems(entry, member.problems(attributes), report)
    if member.directly and cell.whole and linked:
        hint = "write `route: direct` in `world`, or leave this cell out with `exclude`"
        report((*entry.location, "inject"), f"{entry.kind!r} needs `route: direct`: {member.directly}", hint)
    toxic = isinstance(keys, ToxicKeys)
    return Fault(
        name=cell.scope.at(entry.location).name,
        kind=entry.kind,
        ranks=_ranks(entry, member, attributes, cell, linked, report),
        attributes=attributes,
        stream=keys.stream if toxic else attributes.get("stream"),
        toxicity=keys.toxicity if toxic and keys.toxicity is not None else 1.0,
        line=entry.line,
        restarts_ranks=member.restarts_ranks,
        suspends_ranks=member.suspends_ranks,
    )


def _ranks(
    entry: Entry,
    member: type[FaultMember],
    attributes: dict[str, Any],
    cell: CellKeys,
    linked: tuple[int, ...],
    report: Reporter,
) -> tuple[int, ...]:
    """The ranks that a fault hits."""
    written = entry.keys.ranks
    if attributes.get("pairs"):
        if written is not None:
            hint = "take `ranks` out, or `pairs`"
            report((*entry.location, "ranks"), "the pairs already say which ranks are meant", hint, key=True)
        return tuple(sorted({rank for pair in attributes["pairs"] for side in pair for rank in side}))
    if member.layer == "link":
        ranks = linked if written is None else written
        if cell.whole:
            _check_links(entry, ranks, cell, linked, report)
        return tuple(ranks)
    if written is None:
        return () if member.layer == "port" else cell.scope.ranks("all")
    return tuple(written)


def _check_links(
    entry: Entry, ranks: tuple[int, ...], cell: CellKeys, linked: tuple[int, ...], report: Reporter
) -> None:
    """Report a fault on links that hits a rank without one."""
    if cell.world is not None and cell.world.route == "direct":
        message = f"{entry.kind!r} works on links, and `route: direct` has none"
        hint = "take `route: direct` out, or leave this cell out with `exclude`"
        report((*entry.location, "inject"), message, hint)
    elif not linked:
        report(entry.location, "no rank of this world has a link", "the master has none; make the world larger")
    else:
        for rank in ranks:
            if rank not in linked:
                message = f"rank {rank} has no link: all its handlers are given rank 0"
                report((*entry.location, "ranks"), message, "name the workers: the master uses the real endpoint")
