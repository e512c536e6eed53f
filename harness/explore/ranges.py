"""Values for the attributes of faults and steps, drawn from what their members declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.explore.draws import Draws
from harness.faults.base import FAULTS, FaultMember
from harness.rank.steps.base import StepMember
from harness.scenario.scenario import Fault
from harness.steps import STEP_MEMBERS
from harness.values.attribute import REQUIRED, Attribute, Declaration
from harness.values.quantity import LONGEST_NS, NANOSECONDS
from harness.worlds.base import WORLDS

US, MS, S = NANOSECONDS["us"], NANOSECONDS["ms"], NANOSECONDS["s"]
OPTIONAL = 0.3
"""How often an attribute is given that may be absent."""
SEEN = 0.97
"""How often a word is one that was seen in the run, such as the kind of a message, where that is possible."""
TRIES = 30
"""How often the attributes of a member are drawn until they fit together: `x_hold` wants one of two, never both."""

EDGES = (0, 1, 5, 64, 1000, 1448, 4095, 4096, 4097, 16_384, 65_535, 65_536, 131_072)
"""Sizes at which buffers, segments and pages end."""
FEW_BYTES = 1500
"""What a connection carries in a join and a few calls: most sizes are less, if nothing else is known."""
LARGEST_DRAWN = 200_000
"""Bytes, and bytes per second times 1000: what is larger is never reached by the traffic of a rendezvous."""
FEW, WIDEST = 6, 1000
"""How far above its lowest value a whole number is drawn, mostly and at most: what is counted in a play is small."""
TEXTS = ("", "00", "00ff20", "6162" * 8)
"""Texts for attributes that say nothing about theirs; all of them are also bytes in hexadecimal."""


@dataclass(frozen=True)
class Scope:
    """What a drawn value may speak of.

    Attributes:
        timeout_ns: of the world.
        keys: of the store.
        words: what was seen in a run or is known to be there: verbs, kinds of messages with their side, `query add`.
        texts: what a text says mostly, such as the key of a message.
        few_bytes: what a connection carries meanwhile; most sizes are less.
        shortest_ns: the least duration of an attribute that declares none. To torch, 0 is no timeout at all.
    """

    timeout_ns: int
    size: int
    keys: tuple[str, ...] = ("a", "b")
    handlers: tuple[str, ...] = ("main",)
    words: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    few_bytes: int = FEW_BYTES
    shortest_ns: int = 0


@dataclass(frozen=True)
class Drawn:
    """A value as it is written, and as the member's code gets it."""

    written: Any
    meant: Any


def faults_for(kind: str) -> dict[str, type[FaultMember]]:
    """The faults that can be injected in this kind of world, its ranks behind links; by their kind."""
    able = WORLDS[kind].capabilities
    return {name: member for name, member in FAULTS.items() if member.needs <= able and not member.directly}


def steps_for(needs: str) -> dict[str, StepMember]:
    """The verbs that need this of their rank (`store`, `handler`, `group`, or nothing) and make no handler."""
    return {
        name: member for name, member in STEP_MEMBERS.items() if member.needs == needs and not member.configures_handler
    }


def fault_attributes(draws: Draws, kind: str, world: str, ranks: Sequence[int], scope: Scope) -> dict[str, Any] | None:
    """Attributes with which a fault can be injected in that kind of world; None if none were found."""
    member, able = FAULTS[kind], WORLDS[world].capabilities

    def problems(attributes: Mapping[str, Any]) -> Sequence[str]:
        needed = member.needed(Fault(kind, kind, tuple(ranks), attributes))
        return [*member.problems(attributes), *(name for name in sorted(needed) if name not in able)]

    return attributes_for(draws, member.declaration, problems, scope)


def attributes_for(
    draws: Draws, declaration: Declaration, problems: Callable[[Mapping[str, Any]], Sequence[str]], scope: Scope
) -> dict[str, Any] | None:
    """Attributes, as they are written, of which the member says that they fit together; None if none were found."""
    for _ in range(TRIES):
        drawn = {
            one.name: value_of(draws, one, scope)
            for one in declaration.attributes
            if one.default is REQUIRED or draws.chance(OPTIONAL)
        }
        meant = {
            one.name: drawn[one.name].meant if one.name in drawn else one.default for one in declaration.attributes
        }
        if not problems(meant):
            return {name: value.written for name, value in drawn.items()}
    return None


def value_of(draws: Draws, attribute: Attribute, scope: Scope) -> Drawn:
    """A value of an attribute, within its declared range."""
    return _KINDS[attribute.kind](draws, attribute, scope)


def written_ns(duration_ns: int) -> str:
    """A duration as a file has it, rounded down to microseconds."""
    for unit in ("s", "ms"):
        if duration_ns % NANOSECONDS[unit] == 0:
            return f"{duration_ns // NANOSECONDS[unit]}{unit}"
    return f"{duration_ns // NANOSECONDS['us']}us"


# -- one function for each kind of attribute ------------------------------------------------------------------------


def _duration(draws: Draws, attribute: Attribute, scope: Scope) -> Drawn:
    """Around the world's timeout, where deadlines are; also exactly the timeout, just over it, and the least."""
    lowest, highest = _bounds(attribute, scope.shortest_ns, LONGEST_NS)
    form = draws.weighted({"any": 76, "least": 8, "timeout": 8, "just over": 8})
    timeout_ns = scope.timeout_ns
    if form == "timeout" and lowest <= timeout_ns <= highest:
        return Drawn("timeout", timeout_ns)
    if form == "just over" and lowest <= timeout_ns + 100 * MS <= highest:
        return Drawn("timeout + 100ms", timeout_ns + 100 * MS)
    value = int(draws.log_uniform(MS, 2 * timeout_ns)) // MS * MS
    value = lowest if form == "least" else min(max(value, lowest), highest)
    return Drawn(written_ns(value), value)


def _size(draws: Draws, attribute: Attribute, scope: Scope) -> Drawn:
    lowest, highest = _bounds(attribute, 0, LARGEST_DRAWN)
    largest = LARGEST_DRAWN if draws.chance(0.1) else scope.few_bytes
    edges = [edge for edge in EDGES if lowest <= edge <= min(highest, largest)]
    if edges and draws.chance(0.3):
        value = draws.choice(edges)
    else:
        value = min(max(int(draws.log_uniform(1, largest)), lowest), highest)
    return Drawn(f"{value}B", value)


def _rate(draws: Draws, attribute: Attribute, _scope: Scope) -> Drawn:
    """In whole KB/s, as proxy servers take it."""
    lowest, highest = _bounds(attribute, 0, LARGEST_DRAWN * 1000)
    thousands = 0 if draws.chance(0.1) else int(draws.log_uniform(1, 1000))
    value = min(max(thousands * 1000, -(-lowest // 1000) * 1000), highest)
    return Drawn(f"{value}B/s" if value % 1000 else f"{value // 1000}KB/s", value)


def _int(draws: Draws, attribute: Attribute, _scope: Scope) -> Drawn:
    """Small numbers are the most frequent; of a range that is open below, those around its default."""
    lowest, highest = _bounds(attribute, 0, WIDEST)
    if lowest < -WIDEST:
        middle = attribute.default if isinstance(attribute.default, int) else 0
        lowest, highest = middle - 5, middle + WIDEST
    if attribute.default is not REQUIRED and attribute.default is not None and draws.chance(0.5):
        return _same(attribute.default)
    widest = WIDEST if draws.chance(0.05) else FEW
    value = lowest + int(draws.log_uniform(1, min(highest - lowest, widest) + 1)) - 1
    return Drawn(value, value)


def _number(draws: Draws, attribute: Attribute, _scope: Scope) -> Drawn:
    lowest, highest = _bounds(attribute, 0.0, 1.0)
    edge = draws.chance(0.15)
    value = draws.choice((lowest, highest)) if edge else draws.uniform(lowest, highest)
    value = min(max(round(value, 3), lowest), highest)
    return Drawn(value, value)


def _text(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    return _same(draws.choice(scope.texts if scope.texts and draws.chance(SEEN) else TEXTS))


def _flag(draws: Draws, _attribute: Attribute, _scope: Scope) -> Drawn:
    return _same(draws.chance(0.5))


def _value(draws: Draws, _attribute: Attribute, _scope: Scope) -> Drawn:
    return _same(unique_text(draws))


def unique_text(draws: Draws) -> str:
    """A text that is drawn once only, so that what a call saw tells who wrote it."""
    return f"v{draws.whole(0, 10**9)}"


def _key(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    return _same(draws.choice(scope.keys))


def _keys(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    keys = draws.subset(scope.keys)
    return Drawn(keys, tuple(keys))


def _mapping(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    return _same({key: unique_text(draws) for key in draws.subset(scope.keys)})


def _weights(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    verbs = sorted(scope.words) or sorted(steps_for("store"))
    return _same({verb: round(weight) for verb, weight in draws.swarm(verbs).items()})


def _choice(draws: Draws, attribute: Attribute, scope: Scope) -> Drawn:
    seen = [one for one in attribute.choices if {one, f"{attribute.name} {one}"} & scope.words]
    return _same(draws.choice(seen if seen and draws.chance(SEEN) else attribute.choices))


def _handlers(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    handlers = draws.subset(scope.handlers)
    return Drawn(handlers, tuple(handlers))


def _pairs(draws: Draws, _attribute: Attribute, scope: Scope) -> Drawn:
    """One pair, of different ranks: a world has two at least."""
    one, other = draws.shuffled(range(scope.size))[:2]
    return Drawn([[one, other]], (((one,), (other,)),))


def _same(value: Any) -> Drawn:
    return Drawn(value, value)


def _bounds(attribute: Attribute, lowest: Any, highest: Any) -> tuple[Any, Any]:
    """The range of an attribute, within what is worth drawing unless it lies beyond that."""
    low = lowest if attribute.minimum is None else attribute.minimum
    high = max(highest, low) if attribute.maximum is None else attribute.maximum
    return low, high


_KINDS: Mapping[str, Callable[[Draws, Attribute, Scope], Drawn]] = {
    "duration": _duration,
    "size": _size,
    "rate": _rate,
    "int": _int,
    "number": _number,
    "text": _text,
    "flag": _flag,
    "value": _value,
    "key": _key,
    "keys": _keys,
    "mapping": _mapping,
    "weights": _weights,
    "choice": _choice,
    "handlers": _handlers,
    "pairs": _pairs,
}
