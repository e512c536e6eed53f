"""One cell of a file, resolved: names, ranks, moments, what handlers are told; then it can be played."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.loader.keys import members
from harness.loader.keys.entries import Entries
from harness.loader.keys.models import Document, KnownKeys, RankKeys, ToxicKeys, Waiver
from harness.loader.keys.models import World as WorldKeys
from harness.loader.keys.names import Entry, Names, resolve_pairs, resolve_ranks
from harness.loader.resolve.circles import Waiting
from harness.loader.resolve.claims import Claims, check_breaks, handler_problem
from harness.loader.resolve.handlers import (
    DEFAULT_GUARD,
    DEFAULT_TIMEOUT_NS,
    ConfigResolver,
    builders_of,
    linked,
    needs_fresh,
    rank_keys,
    read_timeout,
)
from harness.loader.resolve.moments import Moments
from harness.loader.resolve.torchrun import check_torchrun
from harness.loader.tree.matrix import Axis, Cell, fits, read_pattern
from harness.loader.tree.nodes import Location, Mapping
from harness.loader.tree.problems import Problems, suggestion
from harness.rank.steps import STEPS
from harness.scenario.moment import START, FaultMoment, Moment
from harness.scenario.scenario import EXIT, STANDING_INVARIANTS, Claim, Fault, Known, RankSpec, Scenario, Step, World
from harness.values.attribute import Declaration


class Resolver:
    """Reads one cell; every problem goes to `problems`."""

    def __init__(self, cell: Cell, axes: Sequence[Axis], path: Path, text: str, problems: Problems) -> None:
        self._cell, self._axes, self._path, self._text, self._problems = cell, axes, path, text, problems
        self._entries = Entries(cell.tree, problems, cell.name)
        self._report = self._entries.report

    def scenario(self) -> Scenario | None:
        """The scenario; None if something is wrong, which is told."""
        before = len(self._problems)
        document = self._entries.document()
        self._steps, self._faults = self._entries.steps(), self._entries.faults()
        self._claims, self._known = self._entries.claims(), self._entries.known()
        self._waivers = self._entries.waivers()
        world = document.world if document is not None else self._entries.world()
        if world is None:
            return None
        # Entries that are wrong are missing from here on: what then looks wrong because of them is not told.
        self._whole = document is not None and all(one.model is not None for one in (*self._steps, *self._faults))
        resolved = self._resolve(world, document)
        return resolved if len(self._problems) == before else None

    def _resolve(self, world: WorldKeys, document: Document | None) -> Scenario:
        timeout_ns = read_timeout(world.timeout, ("world", "timeout"), self._report, None)
        self._timeout_ns = DEFAULT_TIMEOUT_NS if timeout_ns is None else timeout_ns
        self._size = world.size
        self._names = Names([*self._steps, *self._faults], self._report)
        self._moments = Moments(self._names, world.size, self._timeout_ns, self._report, self._links_known)
        steps = self._read_steps()
        self._by_rank = rank_keys(world, self._report)
        ranks = self._rank_specs(world, steps)
        faults = self._read_faults(world, ranks)
        self._starts = {rank: self._start(rank) for rank in range(world.size)}
        ranks = tuple(replace(spec, start=self._starts[rank]) for rank, spec in enumerate(ranks))
        steps = tuple(map(self._with_moment, steps, self._sound(self._steps)))
        faults = tuple(map(self._with_moments, faults, self._sound(self._faults)))
        if world.torchrun is not None and self._whole:
            check_torchrun(steps, self._sound(self._steps), world.size, self._report)
        self._check_circles(steps, faults)
        expect = self._reader().read_all(self._claims)
        return Scenario(
            path=self._path,
            title=document.title if document is not None else "",
            world=self._world(world, ranks),
            steps=steps,
            faults=faults,
            expect=expect,
            known=self._read_known(),
            waived=self._read_waivers(),
            tags=tuple((document.tags if document is not None else None) or ()),
            refs=tuple((document.refs if document is not None else None) or ()),
            needs=self._needs(document),
            cell=self._cell.labels,
            unsupported=tuple(self._unsupported(expect)),
            text=self._text,
        )

    @staticmethod
    def _sound(entries: Iterable[Entry]) -> list[Entry]:
        return [entry for entry in entries if entry.model is not None]

    # -- steps -------------------------------------------------------------------------------------------------

    def _read_steps(self) -> tuple[Step, ...]:
        """The steps without their moments, which may speak of later ones."""
        steps = tuple(self._read_step(entry) for entry in self._sound(self._steps))
        self._names.steps.update({step.name: step for step in steps})
        self._builders = list(builders_of(steps, self._sound(self._steps)))
        built = sorted({builder.step.handler for builder in self._builders})
        for step, entry in zip(steps, self._sound(self._steps), strict=True):
            if self._whole and step.handler != "main" and step.handler not in built:
                hint = handler_problem(step.handler, built)
                self._report((*entry.location, "handler"), f"no step builds a handler {step.handler!r}", hint)
        return steps

    def _read_step(self, entry: Entry) -> Step:
        keys: Any = entry.keys()
        name = self._names.of(entry)
        if entry.raw_name == EXIT:
            hint = "add an id, for example `id: leave`"
            self._report((*entry.location, "do"), "a written `exit` needs an id: the unwritten end has its name", hint)
        arguments = self._converted(entry, STEPS[entry.kind].declaration)
        for problem in members.problems_of(entry.kind, arguments, "step"):
            self._tell_member(entry, problem)
        counted = arguments.get("calls") if members.counts_itself(STEPS[entry.kind].declaration) else keys.times
        return Step(
            name=name,
            do=entry.kind,
            ranks=resolve_ranks(keys.ranks, self._size, (*entry.location, "ranks"), self._report),
            arguments=arguments,
            handler=keys.handler or "main",
            thread=keys.thread or "main",
            life=keys.life,
            times=counted or 1,
            line=entry.line,
        )

    def _converted(self, entry: Entry, declaration: Declaration) -> dict[str, Any]:
        """The attributes of an entry as the code gets them."""

        def wrong(name: str, message: str) -> None:
            self._report((*entry.location, name), message)

        written = members.attribute_values(entry.keys(), declaration)
        found = members.converted(declaration, written, self._timeout_ns, wrong)
        for name in (one.name for one in declaration.attributes if one.kind == "pairs" and found[one.name]):
            found[name] = resolve_pairs(found[name], self._size, (*entry.location, name), self._report)
        return found

    def _tell_member(self, entry: Entry, problem: str) -> None:
        message, _, hint = problem.partition("; ")
        self._report(entry.location, message, hint)

    def _with_moment(self, step: Step, entry: Entry) -> Step:
        return replace(step, after=self._moment(entry, "after"))

    def _moment(self, entry: Entry, key: str) -> Moment | None:
        raw = getattr(entry.keys(), key)
        return None if raw is None else self._moments.read(raw, (*entry.location, key))

    # -- ranks -------------------------------------------------------------------------------------------------

    def _rank_specs(self, world: WorldKeys, steps: tuple[Step, ...]) -> tuple[RankSpec, ...]:
        configs = ConfigResolver(world, self._by_rank, self._timeout_ns, self._report)
        configs.check_timeouts(self._builders)
        guard = DEFAULT_GUARD if world.guard is None else world.guard
        specs = []
        for rank in range(world.size):
            handlers = configs.configs(rank, steps, self._builders)
            keys = self._by_rank[rank][1] if rank in self._by_rank else None
            env = {**(world.env or {}), **((keys.env if keys is not None else None) or {})}
            guard_ns = guard.resolve(max(one.timeout_ns for one in handlers.values()))
            if guard_ns <= 0:
                self._report(("world", "guard"), "a guard must be longer than nothing", "write `2 * timeout + 5s`")
            specs.append(RankSpec(START, env, bool(world.fresh) or needs_fresh(env), handlers, guard_ns))
        return tuple(specs)

    def _start(self, rank: int) -> Moment | None:
        """When the rank comes; None is never."""
        key, keys = self._by_rank.get(rank, (rank, RankKeys()))
        if keys.start is None:
            return START
        if keys.start == "never":
            return None
        return self._moments.read(keys.start, ("world", "ranks", key, "start"))

    def _world(self, world: WorldKeys, ranks: tuple[RankSpec, ...]) -> World:
        return World(
            size=world.size,
            timeout_ns=self._timeout_ns,
            kind=world.kind or "processes",
            family=world.family or "ipv4",
            route=world.route or "proxy",
            guard=DEFAULT_GUARD if world.guard is None else world.guard,
            run_id=world.run_id or "train",
            env=dict(world.env or {}),
            fresh=bool(world.fresh) or needs_fresh(world.env or {}),
            ranks=ranks,
            torchrun=None if world.torchrun is None else {"max_restarts": world.torchrun.max_restarts},
        )

    # -- faults ------------------------------------------------------------------------------------------------

    def _read_faults(self, world: WorldKeys, ranks: tuple[RankSpec, ...]) -> tuple[Fault, ...]:
        self._linked = () if world.route == "direct" else tuple(
            rank for rank, spec in enumerate(ranks) if linked(spec.handlers)
        )  # fmt: skip
        return tuple(self._read_fault(entry, world) for entry in self._sound(self._faults))

    def _read_fault(self, entry: Entry, world: WorldKeys) -> Fault:
        keys: Any = entry.keys()
        member = members.fault_members()[entry.kind]
        attributes = self._converted(entry, member.declaration)
        for problem in member.problems(attributes):
            self._tell_member(entry, problem)
        if member.directly and self._whole and self._linked:
            hint = "write `route: direct` in `world`, or leave this cell out with `exclude`"
            self._report((*entry.location, "inject"), f"{entry.kind!r} needs `route: direct`: {member.directly}", hint)
        toxic = isinstance(keys, ToxicKeys)
        stream = keys.stream if isinstance(keys, ToxicKeys) else attributes.get("stream")
        toxicity = keys.toxicity if toxic else None
        return Fault(
            name=self._names.of(entry),
            kind=entry.kind,
            ranks=self._ranks_of_pairs(entry, keys.ranks, attributes["pairs"])
            if attributes.get("pairs")
            else self._fault_ranks(entry, keys.ranks, member.layer, world),
            attributes=attributes,
            stream=stream,
            toxicity=1.0 if toxicity is None else toxicity,
            line=entry.line,
            restarts_ranks=member.restarts_ranks,
            suspends_ranks=member.suspends_ranks,
        )

    def _links_known(self) -> tuple[int, ...] | None:
        return self._linked if self._whole else None

    def _ranks_of_pairs(self, entry: Entry, written: Any, pairs: Iterable[Iterable[Iterable[int]]]) -> tuple[int, ...]:
        if written is not None:
            hint = "take `ranks` out, or `pairs`"
            self._report((*entry.location, "ranks"), "the pairs say already which ranks are meant", hint, key=True)
        return tuple(sorted({rank for pair in pairs for side in pair for rank in side}))

    def _fault_ranks(self, entry: Entry, written: Any, layer: str, world: WorldKeys) -> tuple[int, ...]:
        location = (*entry.location, "ranks")
        if written is None and layer == "port":
            return ()
        if layer != "link":
            return resolve_ranks(written, self._size, location, self._report)
        ranks = self._linked if written is None else resolve_ranks(written, self._size, location, self._report)
        if not self._whole:
            return ranks
        if world.route == "direct":
            hint = "take `route: direct` out, or leave this cell out with `exclude`"
            message = f"{entry.kind!r} works on links, and `route: direct` has none"
            self._report((*entry.location, "inject"), message, hint)
        elif not self._linked:
            hint = "who is told rank 0 has none; make the world larger"
            self._report(entry.location, "no rank of this world has a link", hint)
        for rank in ranks:
            if self._linked and rank not in self._linked and world.route != "direct":
                hint = "name the workers: who is told rank 0 gets the real endpoint"
                self._report(location, f"rank {rank} has no link: all its handlers are told rank 0", hint)
        return ranks

    def _with_moments(self, fault: Fault, entry: Entry) -> Fault:
        keys: Any = entry.keys()
        after, until = self._moment(entry, "after"), self._moment(entry, "until")
        if keys.for_ is not None:
            if keys.until is not None:
                self._report(
                    (*entry.location, "until"), "a fault has either `for` or `until`", "take one out", key=True
                )
            duration = self._moments.duration(keys.for_, (*entry.location, "for"))
            until = FaultMoment(fault.name, "injected", duration)
        return replace(fault, after=after or START, until=until)

    # -- the rest ----------------------------------------------------------------------------------------------

    def _check_circles(self, steps: tuple[Step, ...], faults: tuple[Fault, ...]) -> None:
        places: dict[tuple[str, str], Location] = {}
        for entry in self._sound(self._steps):
            places["step", self._names.of(entry)] = (*entry.location, "after")
        for entry in self._sound(self._faults):
            places["fault", self._names.of(entry)] = (*entry.location, "after")
            places["until", self._names.of(entry)] = (*entry.location, "until")
        for rank, (key, _) in self._by_rank.items():
            places["start", str(rank)] = ("world", "ranks", key, "start")
        circle = Waiting(steps, faults, self._starts, places).circle()
        if circle is not None:
            first, *others = circle.names
            chain = f"{first} waits for {', which waits for '.join(others)}"
            hint = "take one of these moments away, or let another thread do the step"
            self._report(circle.location, f"this waits for itself: {chain}", hint)

    def _reader(self) -> Claims:
        built = ["main", *(builder.step.handler for builder in self._builders)]

        def parameters(entry: Entry, declaration: Declaration) -> dict[str, Any]:
            found = self._converted(entry, declaration)
            for name in (one.name for one in declaration.attributes if one.kind == "handlers"):
                for index, handler in enumerate(found[name] or ()):
                    if self._whole and handler not in built:
                        hint = handler_problem(handler, built)
                        self._report((*entry.location, name, index), f"no step builds a handler {handler!r}", hint)
            return found

        return Claims(self._names, self._moments, self._size, self._report, self._entries.claim, parameters)

    def _read_known(self) -> tuple[Known, ...]:
        found = []
        for entry in self._sound(self._known):
            keys = entry.keys()
            assert isinstance(keys, KnownKeys)
            _check_versions(keys.torch, (*entry.location, "torch"), self._report)
            check_breaks(keys.breaks, self._claims, (*entry.location, "breaks"), self._report)
            node = entry.node.get("cells") if isinstance(entry.node, Mapping) else None
            cells = {} if node is None else read_pattern(node, list(self._axes), self._problems)
            if not fits(self._cell.labels, cells):
                continue
            instead = self._reader().read_all(self._entries.inner(entry, "instead"), "instead")
            found.append(_known(keys, cells, instead, entry.line))
        return tuple(found)

    def _read_waivers(self) -> dict[str, str]:
        waived: dict[str, str] = {}
        for entry in self._sound(self._waivers):
            keys = entry.keys()
            assert isinstance(keys, Waiver)
            if keys.check not in STANDING_INVARIANTS:
                hint = suggestion(keys.check, STANDING_INVARIANTS, "these can be waived")
                self._report((*entry.location, "check"), f"there is no standing invariant {keys.check!r}", hint)
            waived[keys.check] = keys.because
        return waived

    def _needs(self, document: Document | None) -> dict[str, str]:
        if document is None or document.needs is None:
            return {}
        _check_versions(document.needs.torch, ("needs", "torch"), self._report)
        return {name: value for name, value in dict(document.needs).items() if value is not None}

    def _unsupported(self, expect: tuple[Claim, ...]) -> Iterable[tuple[str, str]]:
        """What no world of this release can do."""
        if any(getattr(claim, "check", "") == "linearizable" for claim in expect):
            yield "linearizable", members.NOT_YET


def _known(keys: KnownKeys, cells: dict[str, tuple[str, ...]], instead: tuple[Claim, ...], line: int) -> Known:
    return Known(
        subject=keys.subject,
        torch=keys.torch or "",
        cells=cells,
        breaks=tuple(keys.breaks),
        instead=instead,
        because=keys.because,
        refs=tuple(keys.refs or ()),
        line=line,
    )


def _check_versions(written: str | None, location: Location, report: Any) -> None:
    if written is None:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(written)
    except InvalidSpecifier:
        report(location, f"{written!r} is not a range of versions", 'write it as PEP 440 does: ">=2.6", ">=2.6,<2.9"')
