"""Store traffic of a drawn workload: which verbs, by which ranks, on which keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.explore.documents import Entry, choice_of, fresh_name, joined, name_of, ranks_in
from harness.explore.draws import Draws
from harness.explore.ranges import MS, Scope, attributes_for, steps_for, unique_text, written_ns
from harness.history.keys import AWAITING
from harness.linearizability.model import QUEUE_VERBS
from harness.rank.steps import STEPS
from harness.steps import STEP_MEMBERS

LEFT_OUT: Mapping[str, str] = {
    "bind": "for a moment it takes the port, which a fresh master may want just then",
    "exit": "the rank is missing from then on, and nothing can be said of what the others can do",
    "fork_child": "after a kill of the master the child still holds the port",
    "init_process_group": "gloo connects every pair of ranks with timeouts of its own",
    "interrupt": "the call that it ends fails, which no check expects",
    "set_timeout": "calls are judged by the timeout of their handler",
    "uses_libuv": "it asks the rank, and no server",
}
"""Verbs of ours that are not drawn, and why: mostly, a correct subject could break an invariant with them."""

TEXTS, COUNTERS, LOGS, QUEUES = ("a", "b", "c"), ("n", "m"), ("log",), ("jobs",)
NOBODY_SETS = "absent"
_OWN_KEYS = {"add": COUNTERS, "append": LOGS, **dict.fromkeys(QUEUE_VERBS, QUEUES)}
"""Torch's server closes the connection at an `add` to a text (F45), so what counts has keys of its own."""

MIX = ("set", "check", "add", "append", "compare_set", "delete_key", "num_keys", "multi_set")
MIX_READS = ("get", "multi_get")
MOST_MIXED = 40
"""Calls of a mix by one rank: the search for an order of them stays short."""
SHORTEST_NS = MS
READS = ("get", "multi_get", "wait", "check")
READING = 0.3
"""How often a step reads keys that were written, whatever verbs the draft has: what nobody reads shows little."""
SEVERAL = 0.6
"""How often a call that may read several keys does."""
REPEATED = ("add", "append", "check")
"""Verbs of which a step may make several calls."""
BUILDING = ("add", "append", "set", "queue_push")
BUILT = 0.5
"""How often a step of these verbs follows another one of the same key: one call shows little of what is there."""
READ_BACK = 0.6
"""How often the last step reads what the steps before it have written."""
CHECKED = 0.25
"""How often it only asks whether all is there, and waits for nothing."""
MIXED = 0.15
"""How often a step is a mix, whatever verbs the draft has: it makes the most calls."""
LARGE_AMOUNTS = (1 << 31, -(1 << 31) - 1, 1 << 40)
LARGE = 0.15
"""How often an `add` leaves the range of 32 bits."""
FLOW = 0.06
"""How often a step is one that needs no store, such as a pause of the rank's own."""


_FIRST = "ranks handler run_id thread life"
"""The order in which a person writes the keys of a step; its moment comes last."""


class Steps:
    """The workload while it is made: steps go in one by one.

    Attributes:
        size, timeout_ns: of the world.
        steps: what is written so far.
    """

    def __init__(self, draws: Draws, size: int, timeout_ns: int) -> None:
        self.draws, self.size, self.timeout_ns = draws, size, timeout_ns
        self.steps: list[Entry] = []

    def add(self, verb: str, name: str = "", **keys: Any) -> str:
        """Write a step; None leaves a key out. Its name."""
        name = name or fresh_name(verb.replace("_", "-"), map(name_of, self.steps))
        order = sorted(keys, key=lambda key: (key == "after", key not in _FIRST, _FIRST.find(key)))
        self.steps.append({"id": name, "do": verb, **{key: keys[key] for key in order if keys[key] is not None}})
        return name

    def some_ranks(self) -> Any:
        """One rank, the workers, or all."""
        form = self.draws.weighted({"one": 6, "workers": 2, "all": 3})
        if form == "one":
            return self.draws.whole(0, self.size - 1)
        return choice_of(range(1 if form == "workers" else 0, self.size), self.size)


class Traffic:
    """Draws store steps of one handler and thread.

    Args:
        after: the moment before which the first step of each rank may not begin; None where its own join is enough.
        where: `handler`, `thread` and `life` of every step.
        may_wait: whether calls may wait for keys. Not where threads share a connection: one call of torch's client
            waits for the other (F17).
        texts: the keys of texts.
    """

    def __init__(
        self,
        steps: Steps,
        after: Any = None,
        where: Mapping[str, Any] | None = None,
        may_wait: bool = True,
        texts: tuple[str, ...] = TEXTS,
    ) -> None:
        self._steps, self._draws = steps, steps.draws
        self._after, self._where, self._may_wait = after, dict(where or {}), may_wait
        self._texts = texts
        self._writers: dict[str, str] = {}
        self._is_deleted = False
        kinds = [*(kind for kind, member in steps_for("store").items() if member.draw is None), "mix"]
        self._verbs = self._draws.swarm([kind for kind in kinds if self._fits(kind)])
        flow = [kind for kind in sorted(steps_for("")) if self._fits(kind)]
        self._flow = self._draws.swarm(flow) if flow else {}

    def _fits(self, kind: str) -> bool:
        """Whether a verb may be drawn here; of another package's, whether arguments for it can be."""
        if kind in LEFT_OUT or (not self._may_wait and kind in AWAITING):
            return False
        member = STEP_MEMBERS[kind]
        draws = Draws(0).child(kind)
        return attributes_for(draws, member.declaration, member.problems, self._scope(self._texts)) is not None

    def draw(self, count: int, ranks: Any = "drawn") -> list[str]:
        """Write so many steps, of these ranks or of drawn ones; their names."""

        def some() -> Any:
            return self._steps.some_ranks() if ranks == "drawn" else ranks

        names = [self._one(some()) for _ in range(count)]
        keys = self.written
        if keys and self._may_wait and not self._is_deleted and self._draws.chance(READ_BACK):
            names.append(self._read_back(keys, some()))
        return names

    @property
    def written(self) -> list[str]:
        """The keys of texts and numbers that were written."""
        return [key for key in self._writers if key not in QUEUES]

    def seed_keys(self, ranks: Any = 0) -> str:
        """Write texts that later steps read."""
        keys = self._draws.some(self._texts, self._draws.whole(2, 3))
        values = {key: unique_text(self._draws) for key in keys}
        name = self._write("multi_set", ranks, values=values)
        self._writers.update(dict.fromkeys(keys, name))
        return name

    def _one(self, ranks: Any) -> str:
        verb = self._verb()
        if verb == "mix":
            return self._mix(ranks)
        if verb in AWAITING:
            return self._waiting(verb, ranks)
        return self._plain(verb, ranks, _OWN_KEYS.get(verb, self._texts))

    def _read_back(self, keys: list[str], ranks: Any) -> str:
        """A read of all that was written, when those who write it have ended."""
        after = joined(*(self._writers[key] for key in keys))
        if self._draws.chance(CHECKED):
            return self._write("check", ranks, after=after, keys=keys)
        if len(keys) == 1:
            return self._write("get", ranks, after=after, key=keys[0])
        return self._write("multi_get", ranks, after=after, keys=keys)

    def _verb(self) -> str:
        reads = [verb for verb in READS if self._may_wait or verb not in AWAITING]
        if self.written and self._draws.chance(READING):
            return self._draws.choice(reads)
        if self._draws.chance(MIXED):
            return "mix"
        return self._draws.weighted(self._flow if self._flow and self._draws.chance(FLOW) else self._verbs)

    def _plain(self, verb: str, ranks: Any, keys: tuple[str, ...]) -> str:
        """A call that waits for nobody."""
        member = STEP_MEMBERS[verb]
        attributes = self._attributes(verb, keys)
        self._is_deleted |= verb == "delete_key"
        times = self._draws.whole(2, 5) if verb in REPEATED and self._draws.chance(0.3) else None
        if verb == "compare_set" and self._draws.chance(0.7):
            attributes["expected"] = ""  # another text is for a key that holds it, which few do
        if verb in BUILDING and self._draws.chance(BUILT):
            self._write(verb, ranks, **{**self._attributes(verb, keys), "key": attributes["key"]})
        name = self._write(verb, ranks, times=times, **attributes)
        written = attributes.get("values") or ([attributes["key"]] if "key" in attributes else [])
        if verb not in ("check", "delete_key") and member.needs == "store":
            self._writers.update(dict.fromkeys(written, name))
        return name

    def _waiting(self, verb: str, ranks: Any) -> str:
        """A call that waits for a key: most are for one that was written, after that; some for one that never is."""
        keys = [key for key in self._writers if (key in QUEUES) == (verb in QUEUE_VERBS)]
        if not keys and not self._draws.chance(0.1):
            writer = QUEUE_VERBS[0] if verb in QUEUE_VERBS else "set"
            return self._plain(writer, ranks, _OWN_KEYS.get(writer, self._texts))
        if not keys or self._draws.chance(0.1):
            return self._write(verb, self._one_of(ranks), **self._attributes(verb, (NOBODY_SETS,)))
        attributes = self._attributes(verb, tuple(keys))
        if len(keys) > 1 and self._takes_several(verb) and self._draws.chance(SEVERAL):
            attributes.pop("key", None)
            attributes["keys"] = self._draws.some(keys, self._draws.whole(2, len(keys)))
        named = attributes.get("keys") or [attributes["key"]]
        after = None if self._draws.chance(0.2) else joined(*(self._writers[key] for key in named))
        if verb in QUEUE_VERBS:
            ranks = self._one_of(ranks)
        return self._write(verb, ranks, after=after, **attributes)

    def _takes_several(self, verb: str) -> bool:
        return any(attribute.name == "keys" for attribute in STEP_MEMBERS[verb].declaration.attributes)

    def _one_of(self, ranks: Any) -> int:
        return self._draws.choice(ranks_in(ranks, self._steps.size))

    def _mix(self, ranks: Any) -> str:
        keys, verbs, after = list(self._texts[:2]), list(MIX), None
        read = [key for key in self._texts if key in self._writers]
        if self._may_wait and read and not self._is_deleted and self._draws.chance(0.5):
            keys = read
            verbs = [verb for verb in MIX if verb != "delete_key"] + list(MIX_READS)
            after = joined(*(self._writers[key] for key in read))
        weights = {verb: round(weight) for verb, weight in self._draws.swarm(verbs).items()}
        self._is_deleted |= "delete_key" in weights
        calls = int(self._draws.log_uniform(5, MOST_MIXED + 1))
        return self._write("mix", ranks, after=after, calls=calls, keys=keys, weights=weights)

    def _write(self, verb: str, ranks: Any, after: Any = None, **attributes: Any) -> str:
        return self._steps.add(verb, ranks=ranks, after=joined(self._after, after), **self._where, **attributes)

    def _attributes(self, verb: str, keys: tuple[str, ...]) -> dict[str, Any]:
        """Arguments of a verb, all that it must have; raises LookupError if none are found."""
        member = STEP_MEMBERS[verb]
        found = attributes_for(self._draws, member.declaration, member.problems, self._scope(keys))
        if found is None:
            raise LookupError(f"no arguments of {verb!r} fit together; check its declaration and its `problems`")
        if verb == "add" and self._draws.chance(LARGE):
            found["amount"] = self._draws.choice(LARGE_AMOUNTS)
        return found

    def _scope(self, keys: tuple[str, ...]) -> Scope:
        return Scope(self._steps.timeout_ns, self._steps.size, keys, words=frozenset(STEPS), shortest_ns=SHORTEST_NS)


def written_share(draws: Draws, timeout_ns: int, least: float, most: float) -> str:
    """A duration that is a share of the timeout, in whole milliseconds."""
    return written_ns(int(draws.uniform(least, most) * timeout_ns) // MS * MS)
