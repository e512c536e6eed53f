"""What each rank process is given: the nearest of step, rank and world wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.loader.keys.entries import CellKeys, Entry
from harness.loader.keys.models import HANDLER_KEYS, RankKeys, World
from harness.loader.keys.scope import MAIN
from harness.loader.tree.problems import Reporter
from harness.rank.steps import STEPS
from harness.scenario.moment import START
from harness.scenario.scenario import HandlerConfig, RankSpec, Step
from harness.values.quantity import LONGEST_NS, Duration

DEFAULT_GUARD = Duration(5_000_000_000, 2.0)
DEFAULT_RUN_ID = "train"

READ_AT_IMPORT = ("TORCH_", "OMP_", "LD_", "PYTHON")
"""Variables that a process reads when it imports: a rank cloned from a warm one would never see them."""

# Verbs that need no handler, but use the endpoint of theirs.
_USE_THE_ENDPOINT = ("bind",)


@dataclass(frozen=True)
class WrittenRank:
    """What a file says about one rank, below `world.ranks`; `key` is the rank as it is written there."""

    key: str | int
    keys: RankKeys


@dataclass(frozen=True)
class HandlerBuilder:
    """A step that may build a handler, and its entry, which may have keys that configure it."""

    step: Step
    entry: Entry

    @property
    def config(self) -> dict[str, Any]:
        return _config(self.entry.keys)


def needs_fresh(env: Mapping[str, str]) -> bool:
    """Whether an environment only works in a new interpreter."""
    return any(name.startswith(READ_AT_IMPORT) for name in env)


def written_ranks(world: World, report: Reporter) -> dict[int, WrittenRank]:
    """By number of the rank, what the file says about it."""
    found: dict[int, WrittenRank] = {}
    for key, keys in (world.ranks or {}).items():
        location = ("world", "ranks", key)
        number = int(key) if isinstance(key, int) or (key.isascii() and key.isdigit() and len(key) < 8) else None
        if number is None:
            report(location, f"{key!r} is not a rank", f"write its number, 0 to {world.size - 1}", key=True)
        elif not 0 <= number < world.size:
            hint = f"ranks are 0 to {world.size - 1}"
            report(location, f"there is no rank {number} in a world of size {world.size}", hint, key=True)
        elif number in found:
            report(location, f"rank {number} is given twice", "put both into one", key=True)
        else:
            found[number] = WrittenRank(key, keys)
    return found


def rank_specs(
    cell: CellKeys,
    world: World,
    written: Mapping[int, WrittenRank],
    steps: Sequence[Step],
    guard: Duration,
    report: Reporter,
) -> tuple[RankSpec, ...]:
    """What holds for each rank process; when it starts is left open. `guard` is the world's, or its default."""
    builders = [
        HandlerBuilder(step, entry)
        for step, entry in zip(steps, cell.steps, strict=True)
        if STEPS[step.do].configures_handler
    ]
    specs = []
    for rank in range(world.size):
        own = written[rank].keys if rank in written else None
        given = {**_config(world), **_config(own)}
        handlers = {
            name: _handler_config(rank, {**given, **config}, cell)
            for name, config in _handlers(rank, steps, builders, report).items()
        }
        env = {**(world.env or {}), **((own.env if own is not None else None) or {})}
        guard_ns = guard.resolve(max(one.timeout_ns for one in handlers.values()))
        if guard_ns <= 0:
            report(("world", "guard"), "a guard must be longer than 0s", "write `2 * timeout + 5s`")
        elif world.guard is not None and guard_ns > LONGEST_NS:
            message = f"{guard_ns // 10**9} s is longer than a day"
            report(("world", "guard"), message, f"write at most {LONGEST_NS // 10**9}s")
        argv = tuple((own.argv if own is not None else None) or ())
        specs.append(RankSpec(START, env, bool(world.fresh) or needs_fresh(env), handlers, guard_ns, argv))
    return tuple(specs)


def _handlers(
    rank: int, steps: Sequence[Step], builders: Sequence[HandlerBuilder], report: Reporter
) -> dict[str, dict[str, Any]]:
    """By name of each handler that the rank uses, what the step that builds it configures."""
    first = _first_builders(rank, builders, report)
    users = [step.handler for step in steps if rank in step.ranks and _uses_handler(step)]
    names = dict.fromkeys([*first, *users]) or {MAIN: None}
    return {name: first[name].config if name in first else {} for name in names}


def _first_builders(rank: int, builders: Sequence[HandlerBuilder], report: Reporter) -> dict[str, HandlerBuilder]:
    """By handler name, the step of this rank that builds it; a later step cannot configure it."""
    found: dict[str, HandlerBuilder] = {}
    for builder in builders:
        if rank not in builder.step.ranks:
            continue
        first = found.setdefault(builder.step.handler, builder)
        if first is not builder:
            for key in builder.config:
                message = f"handler {builder.step.handler!r} is already built by the step in line {first.step.line}"
                hint = f"write `{key}` there, or name another `handler`"
                report((*builder.entry.location, key), message, hint, key=True)
    return found


def _handler_config(rank: int, given: Mapping[str, Any], cell: CellKeys) -> HandlerConfig:
    return HandlerConfig(
        rank=given.get("as_rank", rank),
        world_size=given.get("world_size", cell.scope.size),
        run_id=given.get("run_id", DEFAULT_RUN_ID),
        timeout_ns=given.get("timeout", cell.scope.timeout_ns),
        host=given.get("host"),
        port=given.get("port"),
        config=dict(given.get("config", {})),
        endpoint=given.get("endpoint"),
    )


def _config(keys: Any) -> dict[str, Any]:
    """The keys that configure a handler, of a world, a rank or a step."""
    return {name: value for name in HANDLER_KEYS if (value := getattr(keys, name, None)) is not None}


def _uses_handler(step: Step) -> bool:
    member = STEPS[step.do]
    return bool(member.needs) or member.configures_handler or step.do in _USE_THE_ENDPOINT


def linked_ranks(world: World, ranks: Sequence[RankSpec]) -> tuple[int, ...]:
    """The ranks that have links: those of which a handler is given another rank than 0."""
    if world.route == "direct":
        return ()
    return tuple(number for number, spec in enumerate(ranks) if any(one.rank != 0 for one in spec.handlers.values()))
