"""One cell of a file: from its keys to a scenario, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.loader.keys.entries import CellKeys, read_keys
from harness.loader.keys.models import World as WorldKeys
from harness.loader.resolve.circles import Waiting
from harness.loader.resolve.claims import Claims
from harness.loader.resolve.faults import read_faults
from harness.loader.resolve.handlers import (
    DEFAULT_GUARD,
    DEFAULT_RUN_ID,
    WrittenRank,
    linked_ranks,
    needs_fresh,
    rank_specs,
    written_ranks,
)
from harness.loader.resolve.job import JOB_GUARD, check_job, has_job, job_of
from harness.loader.resolve.known import read_known, read_needs, read_waivers
from harness.loader.resolve.moments import Moments
from harness.loader.resolve.steps import are_too_many, read_steps
from harness.loader.resolve.torchrun import check_torchrun
from harness.loader.tree.matrix import Cell, Pattern
from harness.loader.tree.nodes import Location
from harness.loader.tree.problems import Problems, Reporter
from harness.scenario.moment import Moment
from harness.scenario.scenario import Fault, RankSpec, Scenario, Step, World
from harness.values.quantity import Duration


def resolve(
    cell: Cell, known_cells: Mapping[int, Pattern], path: Path, text: str, problems: Problems, job: bool = False
) -> Scenario | None:
    """The scenario of a cell; None if something is wrong with it, which is reported.

    Args:
        known_cells: by number of the entry of `known`, the cells it is for.
        job: whether it is played with the subject `command`.
    """
    before = len(problems)
    report = Reporter(cell.tree, problems, cell.name)
    keys = read_keys(cell.tree, report)
    is_job = has_job(cell.tree, job)
    check_job(cell.tree, keys, is_job, report)
    if keys.world is None:
        return None
    written = written_ranks(keys.world, report)
    steps = read_steps(keys, report)
    if are_too_many(keys.world.size, steps, report):
        return None
    guard = keys.world.guard or (JOB_GUARD if is_job else DEFAULT_GUARD)
    ranks = rank_specs(keys, keys.world, written, steps, guard, report)
    linked = linked_ranks(keys.world, ranks)
    faults = read_faults(keys, linked, report)

    moments = Moments({step.name: step for step in steps}, linked if keys.whole else None, report, is_job)
    starts = [moments.start(written.get(rank)) for rank in range(keys.world.size)]
    steps = tuple(map(moments.of_step, steps, keys.steps))
    faults = tuple(map(moments.of_fault, faults, keys.faults))
    if keys.world.torchrun is not None and keys.whole and not is_job:
        check_torchrun(steps, keys.steps, keys.world.size, report)
    _check_circles(keys, steps, faults, starts, written, report)

    claims = Claims(moments, keys.scope, report)
    document = keys.document
    scenario = Scenario(
        path=path,
        title="" if document is None else document.title,
        world=_world(keys, keys.world, ranks, starts, guard),
        steps=steps,
        faults=faults,
        expect=claims.read(keys.claims),
        known=read_known(keys, cell, known_cells, replace(claims, inside="instead"), report),
        waived=read_waivers(keys, report),
        tags=() if document is None else tuple(document.tags or ()),
        refs=() if document is None else tuple(document.refs or ()),
        needs=read_needs(document, report),
        cell=cell.labels,
        text=text,
        job=job_of(document) if is_job else None,
    )
    return scenario if len(problems) == before else None


def _world(
    keys: CellKeys, world: WorldKeys, ranks: Sequence[RankSpec], starts: Sequence[Moment | None], guard: Duration
) -> World:
    return World(
        size=world.size,
        timeout_ns=keys.scope.timeout_ns,
        kind=world.kind or "processes",
        family=world.family or "ipv4",
        route=world.route or "proxy",
        guard=guard,
        run_id=world.run_id or DEFAULT_RUN_ID,
        env=dict(world.env or {}),
        fresh=bool(world.fresh) or needs_fresh(world.env or {}),
        ranks=tuple(replace(spec, start=start) for spec, start in zip(ranks, starts, strict=True)),
        torchrun=None if world.torchrun is None else {"max_restarts": world.torchrun.max_restarts},
    )


def _check_circles(
    keys: CellKeys,
    steps: tuple[Step, ...],
    faults: tuple[Fault, ...],
    starts: Sequence[Moment | None],
    written: Mapping[int, WrittenRank],
    report: Reporter,
) -> None:
    """Report moments that wait for each other."""
    places: dict[tuple[str, str], Location] = {}
    for step, entry in zip(steps, keys.steps, strict=True):
        places["step", step.name] = (*entry.location, "after")
    for fault, entry in zip(faults, keys.faults, strict=True):
        places["fault", fault.name] = (*entry.location, "after")
        places["until", fault.name] = (*entry.location, "until")
    for rank, one in written.items():
        places["start", str(rank)] = ("world", "ranks", one.key, "start")
    circle = Waiting(steps, faults, dict(enumerate(starts)), places).circle()
    if circle is not None:
        first, *others = circle.names
        chain = f"{first} waits for {', which waits for '.join(others)}"
        hint = "remove one of these moments, or give the step another thread"
        report(circle.location, f"this waits for itself: {chain}", hint)
