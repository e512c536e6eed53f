"""What each rank process is told and given: the nearest of step, rank and world wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.loader.models import TOLD_KEYS, RankKeys, World
from harness.loader.names import Entry, Tell
from harness.loader.nodes import Location
from harness.rank.steps import STEPS
from harness.scenario import Step, Told
from harness.words.quantity import Duration

SECOND_NS = 1_000_000_000
DEFAULT_TIMEOUT_NS = 5 * SECOND_NS
DEFAULT_GUARD = Duration(5 * SECOND_NS, 2.0)
DEFAULT_RUN_ID = "train"

READ_AT_IMPORT = ("TORCH_", "OMP_", "LD_", "PYTHON")
"""Variables that a process reads when it imports: a rank cloned from a warm one would never see them."""

RanksByNumber = Mapping[int, tuple[str | int, RankKeys]]
"""By number of the rank, the key in the file and what it holds."""

# Verbs that need no handler, but are told where the endpoint of theirs is.
_TOLD_THE_ENDPOINT = ("bind",)


def needs_fresh(env: Mapping[str, str]) -> bool:
    """Whether an environment only works in a new interpreter."""
    return any(name.startswith(READ_AT_IMPORT) for name in env)


def read_timeout(duration: Duration | None, location: Location, tell: Tell, world_timeout_ns: int | None) -> int | None:
    """A timeout that handlers are told, in nanoseconds; None if it is absent. Fractions of a second are a problem.

    Args:
        world_timeout_ns: `timeout` in a duration; None for the world's own.
    """
    if duration is None:
        return None
    if world_timeout_ns is None and duration.timeouts:
        tell(location, "the world's timeout cannot be told in terms of itself", "write seconds: 5s")
        return DEFAULT_TIMEOUT_NS
    timeout_ns = duration.resolve(world_timeout_ns or 0)
    if timeout_ns <= 0:
        tell(
            location,
            "a timeout must be longer than nothing",
            'write 1s or more, or hand it on raw: `config: {timeout: "0"}`',
        )
        return DEFAULT_TIMEOUT_NS
    if timeout_ns % SECOND_NS:
        seconds = f"{timeout_ns / SECOND_NS:g}"
        hint = f'write whole seconds, or hand it on raw: `config: {{timeout: "{seconds}"}}`'
        tell(location, f"{seconds} s is not a whole number of seconds, and stock would cut it", hint)
    return timeout_ns


def rank_keys(world: World, tell: Tell) -> RanksByNumber:
    """By number of the rank, the key in the file and what it holds."""
    found: dict[int, tuple[str | int, RankKeys]] = {}
    for key, keys in (world.ranks or {}).items():
        location = ("world", "ranks", key)
        number = int(key) if isinstance(key, int) or (key.isascii() and key.isdigit() and len(key) < 8) else None
        if number is None:
            tell(location, f"{key!r} is not a rank", f"write its number, 0 to {world.size - 1}", key=True)
        elif not 0 <= number < world.size:
            hint = f"ranks are 0 to {world.size - 1}"
            tell(location, f"there is no rank {number} in a world of size {world.size}", hint, key=True)
        elif number in found:
            tell(location, f"rank {number} is given twice", "put both into one", key=True)
        else:
            found[number] = (key, keys)
    return found


@dataclass(frozen=True)
class Telling:
    """A step that builds a handler, with what it tells it."""

    step: Step
    entry: Entry

    @property
    def told(self) -> dict[str, Any]:
        """The keys of the step that its handler is told."""
        keys = self.entry.keys()
        return {name: getattr(keys, name) for name in TOLD_KEYS if getattr(keys, name) is not None}


class Teller:
    """What the handlers of each rank are told."""

    def __init__(self, world: World, ranks: RanksByNumber, timeout_ns: int, tell: Tell) -> None:
        self._world = world
        self._ranks = ranks
        self._timeout_ns = timeout_ns
        self._tell = tell

    def told(self, rank: int, steps: Sequence[Step], tellings: Sequence[Telling]) -> dict[str, Told]:
        """By handler name, what each is told; every handler that the rank's steps use is among them."""
        builders = self._builders(rank, tellings)
        users = [step.handler for step in steps if rank in step.ranks and _uses_handler(step)]
        names = dict.fromkeys([*builders, *users])
        return {name: self._one(rank, builders.get(name)) for name in names or {"main": None}}

    def _builders(self, rank: int, tellings: Sequence[Telling]) -> dict[str, Telling]:
        """By handler name, the step of this rank that builds it; a later one that tells it something is a problem."""
        builders: dict[str, Telling] = {}
        for telling in tellings:
            if rank not in telling.step.ranks:
                continue
            first = builders.setdefault(telling.step.handler, telling)
            if first is not telling:
                for key in telling.told:
                    location = (*telling.entry.location, key)
                    message = f"handler {telling.step.handler!r} is built by the step in line {first.step.line} already"
                    self._tell(location, message, f"write `{key}` there, or name another `handler`", key=True)
        return builders

    def _one(self, rank: int, builder: Telling | None) -> Told:
        said = {**_said(self._world), **(_said(self._ranks[rank][1]) if rank in self._ranks else {})}
        said.update(builder.told if builder is not None else {})
        timeout = said.get("timeout")
        return Told(
            rank=said.get("as_rank", rank),
            world_size=said.get("world_size", self._world.size),
            run_id=said.get("run_id", DEFAULT_RUN_ID),
            timeout_ns=self._timeout_ns if timeout is None else timeout.resolve(self._timeout_ns),
            host=said.get("host"),
            port=said.get("port"),
            config=dict(said.get("config", {})),
        )

    def check_timeouts(self, tellings: Sequence[Telling]) -> None:
        """Tell which timeouts could not be told."""
        for key, keys in self._ranks.values():
            read_timeout(keys.timeout, ("world", "ranks", key, "timeout"), self._tell, self._timeout_ns)
        for telling in tellings:
            timeout = telling.told.get("timeout")
            read_timeout(timeout, (*telling.entry.location, "timeout"), self._tell, self._timeout_ns)


def _said(keys: World | RankKeys) -> dict[str, Any]:
    return {name: value for name in TOLD_KEYS if (value := getattr(keys, name, None)) is not None}


def _uses_handler(step: Step) -> bool:
    member = STEPS[step.do]
    return bool(member.needs) or member.tells or step.do in _TOLD_THE_ENDPOINT


def linked(told: Mapping[str, Told]) -> bool:
    """Whether a rank has a link: any of its handlers is told anything but rank 0."""
    return any(one.rank != 0 for one in told.values())


def builders_of(steps: Sequence[Step], entries: Sequence[Entry]) -> Iterator[Telling]:
    """The steps that may build a handler, in the order of the file."""
    for step, entry in zip(steps, entries, strict=True):
        if STEPS[step.do].tells:
            yield Telling(step, entry)
