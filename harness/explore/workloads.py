"""Workloads without faults, drawn family by family: who comes when, and what they do with the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.explore.documents import WORKERS, Document, choice_of, joined, steps_of
from harness.explore.draft import CLEAN, Draft
from harness.explore.draws import Draws
from harness.explore.ranges import S, steps_for, unique_text
from harness.explore.traffic import LEFT_OUT, NOBODY_SETS, TEXTS, Steps, Traffic, written_share

SCHEMA = "rdzv-scenario/v1"
INVARIANTS: Mapping[str, Any] = {"check": "invariants"}
"""The claim that every draft makes."""
GUARD = "timeout + 2s"
"""A hang costs this long; what a correct call may take ends a second earlier."""
TIMEOUTS = {1: 70, 2: 15, 3: 15}
"""Seconds, and how often."""
LENGTHS = (8000, 8180, 8192, 8193, 9000)
"""Characters of keys: torch's server refuses more than 8 KiB (F19)."""
REPEATS = (1 << 8, 1 << 12, 1 << 16)
"""Of 16 bytes: a value of 4 MB, the largest that a scenario may write, takes a busy machine 20 s."""
LARGEST_AMOUNT = (1 << 63) - 1
"""That `add` takes: torch's server adds up in 64 bits (F46)."""
ROUNDS = (4, 10)
"""Of the family `cycle`; with fewer than six, `no_leak` has too few looks at a process to judge."""
CLOCK = 0.3
"""How often a wall clock is moved while a join waits."""
MOVES = ("2s", "3600s")
ENDING = ("set_closed", "shutdown")
"""After these a handler joins no more."""
MOST_STEPS = 12
"""Of a draft; four of them are the coda's."""


@dataclass(frozen=True)
class Family:
    """A kind of workload.

    Attributes:
        title: what the ranks do, as the end of a sentence.
        draw: writes the steps, and returns what the world needs besides size and timeout.
        share: how often it is drawn.
        world: keys of the world, of every draft of the family.
        has_coda: whether all ranks can join afresh when every fault is healed.
        only_benign: whether its faults may only delay.
    """

    title: str
    draw: Callable[[Steps], Mapping[str, Any]]
    share: float
    sizes: tuple[int, ...] = (2, 3, 4)
    timeouts: Mapping[int, float] = field(default_factory=lambda: TIMEOUTS)
    guard: str = GUARD
    has_coda: bool = True
    only_benign: bool = False


def workload(draws: Draws, kind: str = "processes") -> Draft:
    """A workload of a drawn family, which claims the invariants only and has at most `MOST_STEPS` steps.

    Args:
        kind: of the world.
    """
    # About one in 250 has more, since traffic reads back what it wrote; it is drawn again.
    while True:
        draft = _workload(draws, kind)
        if len(steps_of(draft.document)) <= MOST_STEPS:
            return draft


def _workload(draws: Draws, kind: str) -> Draft:
    name = draws.weighted({name: family.share for name, family in FAMILIES.items()})
    family = FAMILIES[name]
    timeout_s = draws.weighted(family.timeouts)
    steps = Steps(draws, draws.choice(family.sizes), timeout_s * S)
    more = family.draw(steps)
    world: Document = {"size": steps.size, "timeout": f"{timeout_s}s", "guard": family.guard}
    if kind != "processes":
        world["kind"] = kind
    document: Document = {
        "schema": SCHEMA,
        "title": f"The invariants hold while {family.title}",
        "world": {**world, **more},
        "workload": steps.steps,
        "expect": [dict(INVARIANTS)],
    }
    return Draft(document, CLEAN, draws.seed, name)


# -- the families ---------------------------------------------------------------------------------------------------


def _traffic(steps: Steps) -> Mapping[str, Any]:
    join = steps.add("rendezvous", "join")
    _after_join(steps, join, 7)
    return {}


def _after_join(steps: Steps, join: str, most: int) -> None:
    """Traffic that begins with keys to read, mostly, and mostly when all have joined."""
    after = join if steps.draws.chance(0.6) else None
    traffic = Traffic(steps, after)
    if steps.draws.chance(0.7):
        traffic.seed_keys(steps.draws.whole(0, steps.size - 1))
    traffic.draw(steps.draws.whole(1, most - 1))


def _late(steps: Steps) -> Mapping[str, Any]:
    draws = steps.draws
    late = draws.whole(0, steps.size - 1)
    join = steps.add("rendezvous", "join")
    _perhaps_move_clock(steps, join, late)
    _after_join(steps, join, 5)
    return {"ranks": {late: {"start": written_share(draws, steps.timeout_ns, 0.02, 0.4)}}}


def _missing(steps: Steps) -> Mapping[str, Any]:
    draws = steps.draws
    missing = draws.whole(0 if draws.chance(0.3) else 1, steps.size - 1)
    join = steps.add("rendezvous", "join")
    _perhaps_move_clock(steps, join, missing)
    if draws.chance(0.5):
        Traffic(steps).draw(draws.whole(1, 2))
    if draws.chance(0.5):
        steps.add("rendezvous", "retry")
    return {"ranks": {missing: {"start": "never"}}}


def _perhaps_move_clock(steps: Steps, join: str, absent: int) -> None:
    """Seldom, move the wall clock of a rank that waits in its join for the one that is absent."""
    draws = steps.draws
    if draws.chance(CLOCK):
        rank = draws.choice([rank for rank in range(steps.size) if rank != absent])
        begun = {"step": join, "ranks": rank, "is": "begun"}
        back = draws.chance(0.5) or None
        steps.add("move_wall_clock", ranks=rank, thread="clock", after=begun, by=draws.choice(MOVES), back=back)


def _restarted(steps: Steps) -> Mapping[str, Any]:
    """One rank may be restarted: its second life joins again, and so do the others. Without a kill nobody does.

    Where another rank comes late, the victim may die while it waits for it.
    """
    draws = steps.draws
    victim = draws.whole(0, steps.size - 1)
    rest = [rank for rank in range(steps.size) if rank != victim]
    others = choice_of(rest, steps.size)
    join = steps.add("rendezvous", "join")
    Traffic(steps, where={"life": 1}).draw(draws.whole(1, 3))
    again = {"step": join, "ranks": victim, "life": 2, "is": "begun"}
    handler = "second" if victim == 0 or draws.chance(0.3) else None
    rejoin = steps.add("rendezvous", "again", ranks=others, handler=handler, after=again)
    late = Traffic(steps, where={"life": 2})
    late.draw(draws.whole(1, 2), victim)
    Traffic(steps, rejoin, {"handler": handler} if handler else None).draw(draws.whole(1, 2), others)
    if draws.chance(0.4):
        return {"ranks": {draws.choice(rest): {"start": written_share(draws, steps.timeout_ns, 0.1, 0.5)}}}
    return {}


def _two_runs(steps: Steps) -> Mapping[str, Any]:
    """Every rank has two handlers on one port, each with a run id of its own and the same keys.

    Some of the keys are the same only if a run id and a key are joined by a slash, and nothing else.
    """
    draws = steps.draws
    thread = {"thread": "second"} if draws.chance(0.5) else {}
    within = draws.chance(0.3)
    run_id, keys = ("a/b", tuple(f"b/{key}" for key in TEXTS)) if within else ("b", TEXTS)
    steps.add("rendezvous", "join-a", handler="a", run_id="a")
    steps.add("rendezvous", "join-b", ranks=WORKERS, handler="b", run_id=run_id, **thread)
    begun = {"step": "join-b", "is": "begun"}
    steps.add("rendezvous", "open-b", ranks=0, handler="b", run_id=run_id, after=begun, **thread)
    after = ["join-b", "open-b"] if draws.chance(0.6) else None
    of_a, of_b = Traffic(steps, after, {"handler": "a"}, texts=keys), Traffic(steps, after, {"handler": "b", **thread})
    for traffic in draws.shuffled([of_a, of_b]):
        traffic.draw(draws.whole(1, 3))
    if draws.chance(0.3):
        names = draws.shuffled([{"handler": "a"}, {"handler": "b", **thread}])
        end = steps.add("shutdown", ranks=0 if draws.chance(0.5) else None, after=_lasts(steps), **names[0])
        Traffic(steps, end, names[1], texts=keys).draw(draws.whole(1, 2))
    return {}


def _lasts(steps: Steps) -> Any:
    """The last step of each handler and thread."""
    return joined(*{(step.get("handler"), step.get("thread")): step["id"] for step in steps.steps}.values())


def _two_jobs(steps: Steps) -> Mapping[str, Any]:
    """A second job, with a master of its own, is given the port of the first."""
    draws = steps.draws
    first = steps.size - 2
    steps.add("rendezvous", "join")
    Traffic(steps, where={}).draw(draws.whole(1, 4))
    start = {"step": "join", "ranks": 0, "is": "begun", "plus": written_share(draws, steps.timeout_ns, 0.01, 0.4)}
    ranks: dict[int, Any] = {rank: {"run_id": "a", "world_size": draws.choice((first, 2))} for rank in range(first)}
    ranks[0]["as_rank"] = 0
    for number, rank in enumerate((first, first + 1)):
        ranks[rank] = {"run_id": "b", "as_rank": number, "world_size": 2, "start": dict(start)}
    return {"ranks": ranks}


def _second_round(steps: Steps) -> Mapping[str, Any]:
    """The next round of a run, or another run of the same processes; its master waits for nobody in stock (F08)."""
    draws = steps.draws
    own = {"handler": "next", "run_id": "next"} if draws.chance(0.3) else {}
    join = steps.add("rendezvous", "join")
    first = Traffic(steps, join if draws.chance(0.5) else None)
    first.draw(draws.whole(1, 3))
    again = steps.add("rendezvous", "again", after=join, **own)
    where = {"handler": "next"} if own else None
    if first.written and draws.chance(0.5):
        key = draws.choice(first.written)
        steps.add("check", "look-back", ranks=steps.some_ranks(), after=again, keys=[key], **(where or {}))
    Traffic(steps, again if draws.chance(0.5) else None, where).draw(draws.whole(1, 4))
    return {}


def _threads(steps: Steps) -> Mapping[str, Any]:
    """Two threads of each rank, through one store or each through its own."""
    draws = steps.draws
    join = steps.add("rendezvous", "join")
    if draws.chance(0.5):
        may_wait = draws.chance(0.3)
        Traffic(steps, join, may_wait=may_wait).draw(draws.whole(1, 3))
        Traffic(steps, join, {"thread": "second"}, may_wait=may_wait).draw(draws.whole(1, 4))
        return {}
    second = steps.add("rendezvous", "join-second", handler="second", run_id="second", thread="second")
    Traffic(steps, join).draw(draws.whole(1, 3))
    Traffic(steps, second, {"handler": "second", "thread": "second"}).draw(draws.whole(1, 3))
    return {}


def _closing(steps: Steps) -> Mapping[str, Any]:
    """Handlers are closed, shut down, asked and dropped; then some join again."""
    draws = steps.draws
    join = steps.add("rendezvous", "join")
    Traffic(steps, join if draws.chance(0.5) else None).draw(draws.whole(1, 3))
    verbs = draws.swarm(sorted(verb for verb in steps_for("handler") if verb not in LEFT_OUT))
    for _ in range(draws.whole(2, 4)):
        last = steps.steps[-1]["id"]
        after = last if draws.chance(0.5) else None
        verb = draws.choice(ENDING) if draws.chance(0.3) else draws.weighted(verbs)
        steps.add(verb, ranks=steps.some_ranks(), after=after)
    if draws.chance(0.6):
        steps.add("is_closed", after=steps.steps[-1]["id"])
    if draws.chance(0.6):
        own = {} if draws.chance(0.5) else {"handler": "next", "run_id": draws.choice(("train", "next"))}
        ranks = _last_ended(steps) if draws.chance(0.5) else steps.some_ranks()
        again = steps.add("rendezvous", "again", ranks=ranks, after=steps.steps[-1]["id"], **own)
        Traffic(steps, joined(again), {"handler": "next"} if own else None).draw(1)
    return {}


def _last_ended(steps: Steps) -> Any:
    """The ranks whose handlers were closed or shut down last; of none, drawn ones."""
    ended = [step.get("ranks") for step in steps.steps if step["do"] in ENDING]
    return ended[-1] if ended else steps.some_ranks()


def _waiting(steps: Steps) -> Mapping[str, Any]:
    """Ranks wait for keys with timeouts of their own; nobody sets some of the keys."""
    draws = steps.draws
    join = steps.add("rendezvous", "join")
    values = {key: unique_text(draws) for key in draws.some(TEXTS, draws.whole(1, 2))}
    write = steps.add("multi_set", ranks=draws.whole(0, steps.size - 1), after=join, values=values)
    for _ in range(draws.whole(1, 3)):
        keys = draws.shuffled([*values, NOBODY_SETS]) if draws.chance(0.7) else [NOBODY_SETS]
        own = written_share(draws, steps.timeout_ns, 0.05, 0.5) if draws.chance(0.8) else None
        steps.add("wait", ranks=steps.some_ranks(), after=write, keys=keys, timeout=own)
    Traffic(steps, join).draw(draws.whole(0, 2))
    return {}


def _handover(steps: Steps) -> Mapping[str, Any]:
    """One rank writes key after key, and others read each when it is written: most jobs begin so."""
    draws = steps.draws
    join = steps.add("rendezvous", "join")
    writer = draws.whole(0 if draws.chance(0.2) else 1, steps.size - 1)
    others = [rank for rank in range(steps.size) if rank != writer]
    for key in draws.some(TEXTS, draws.whole(2, 3)):
        verb = draws.weighted({"set": 3, "append": 1})
        write = steps.add(verb, ranks=writer, after=join, key=key, value=unique_text(draws))
        readers = draws.choice(others) if draws.chance(0.5) else choice_of(others, steps.size)
        steps.add(draws.weighted({"get": 2, "check": 1}), ranks=readers, after=write, key=key)
    return {}


def _cycle(steps: Steps) -> Mapping[str, Any]:
    """A worker comes and goes, while the master joins round after round."""
    rounds = steps.draws.whole(*ROUNDS)
    steps.add("rendezvous", "rounds", ranks=0, times=rounds)
    steps.add("cycle", "come-and-go", ranks=1, calls=3 * rounds)
    return {}


def _odd(steps: Steps) -> Mapping[str, Any]:
    """Processes that make no world: one is given the rank of another, a rank out of range, or another world size."""
    draws = steps.draws
    odd = draws.whole(1, steps.size - 1)
    given = draws.weighted({"as another": 3, "out of range": 2, "another size": 3})
    steps.add("rendezvous", "join")
    Traffic(steps).draw(draws.whole(1, 3))
    if draws.chance(0.3):
        steps.add("rendezvous", "retry")
    if given == "another size":
        return {"ranks": {odd: {"world_size": draws.choice((steps.size - 1, steps.size + 1, 2 * steps.size))}}}
    others = [rank for rank in range(1, steps.size) if rank != odd] or [steps.size]
    return {"ranks": {odd: {"as_rank": draws.choice(others) if given == "as another" else steps.size + odd}}}


def _orphaned(steps: Steps) -> Mapping[str, Any]:
    """The master leaves a child that holds its sockets, and ends; workers call its store, and join anew."""
    draws = steps.draws
    join = steps.add("rendezvous", "join")
    Traffic(steps, join, may_wait=False).draw(draws.whole(0, 2))
    steps.add("fork_child", "fork", ranks=0, after=join)
    steps.add("exit", "leave", ranks=0, code=draws.choice((0, 1)))
    left = {"step": "leave", "is": "ended"}
    steps.add("rendezvous", "again", ranks=WORKERS, handler="again", after=left)
    Traffic(steps, left).draw(draws.whole(1, 2), draws.whole(1, steps.size - 1))
    return {}


def _limits(steps: Steps) -> Mapping[str, Any]:
    """What stores refuse or get wrong: long keys, large values, large sums, and sums of texts."""
    draws = steps.draws
    join = steps.add("rendezvous", "join")
    rank = steps.some_ranks()
    for kind in draws.some(("key", "value", "sum", "text"), draws.whole(1, 2)):
        if kind == "key":
            steps.add("set", ranks=rank, key="k" * draws.choice(LENGTHS), value=unique_text(draws), after=join)
        elif kind == "value":
            steps.add("set_bytes", ranks=rank, key="large", hex="00ff" * 8, repeat=draws.choice(REPEATS), after=join)
            # Nothing judges a value that nobody reads.
            steps.add("get", ranks=steps.some_ranks(), key="large", after=join)
        elif kind == "sum":
            steps.add("add", ranks=rank, key="n", amount=draws.choice((LARGEST_AMOUNT, -LARGEST_AMOUNT)), after=join)
            steps.add("add", ranks=rank, key="n", amount=draws.choice((1, -2, LARGEST_AMOUNT)), after=join)
        else:
            steps.add("set", ranks=rank, key="text", value=unique_text(draws), after=join)
            steps.add("add", ranks=rank, key="text", after=join)
    steps.add("check", ranks=rank, keys=["a"], after=join)
    Traffic(steps, join).draw(draws.whole(1, 2))
    return {}


def _torchrun(steps: Steps) -> Mapping[str, Any]:
    """An agent that is left alone at its end waits 300 s for the others, so no agent and no worker fails here."""
    steps.add("rendezvous", "join")
    Traffic(steps, may_wait=False).draw(steps.draws.whole(1, 3))
    return {"torchrun": {"max_restarts": steps.draws.whole(0, 1)}}


FAMILIES: Mapping[str, Family] = {
    "traffic": Family("ranks exchange values", _traffic, 22),
    "late": Family("one rank comes late", _late, 10),
    "missing": Family("one rank is missing", _missing, 6, has_coda=False),
    "odd": Family("one process is given what fits no world", _odd, 9, has_coda=False),
    "orphaned": Family("the master ends and a child of it holds its port", _orphaned, 3, has_coda=False),
    "limits": Family("ranks go to the limits of the store", _limits, 6),
    "restarted": Family("one rank may be restarted", _restarted, 14),
    # Static-strict makes one store at a time in a process, so a handler that waits for a link holds up the coda's.
    "two-runs": Family("two runs share one port and their keys", _two_runs, 10, has_coda=False),
    "two-jobs": Family("a second job comes to the port of the first", _two_jobs, 4, (3, 4), has_coda=False),
    "second-round": Family("the ranks join a second time", _second_round, 10),
    "threads": Family("two threads of each rank call the store", _threads, 10),
    "closing": Family("handlers are closed and dropped", _closing, 14),
    "handover": Family("one rank writes what the others read", _handover, 12),
    "waiting": Family("ranks wait for keys that nobody sets", _waiting, 5, timeouts={2: 1, 3: 3}),
    "cycle": Family("a worker comes and goes", _cycle, 7, (2,)),
    "torchrun": Family("agents of torchrun share a store", _torchrun, 2, (2,), {3: 1}, "timeout + 15s", False, True),
}
"""By name."""
