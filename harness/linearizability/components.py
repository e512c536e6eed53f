"""Keys that can be judged apart from each other, and the verdict on each group of keys that cannot."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.linearizability.calls import Timed
from harness.linearizability.model import UNKNOWN, Action, State, is_read, step_of
from harness.linearizability.search import LINEARIZABLE, UNDECIDED, Budget, Operation, Order, search

_UNSEEN = "\0unseen"
"""Stands for every text that no call has returned or compared: which of them a key held makes no difference."""


@dataclass(frozen=True)
class Component:
    """Keys that some calls name together, and all parts of calls on them.

    Linearizability is local: a history is linearizable if and only if its part on each object is.
    """

    keys: tuple[str, ...]
    parts: tuple[Timed, ...]

    @property
    def tells(self) -> bool:
        """Whether any result says something about the keys."""
        return any(part.action.tells for part in self.parts)

    @property
    def initial(self) -> State:
        return None if len(self.keys) == 1 else (None,) * len(self.keys)


@dataclass(frozen=True)
class Found:
    """What a search found in a component.

    Attributes:
        verdict: as in `harness.linearizability.search`.
        order: the parts of the order that fits the most of them.
        held: what each key held after these.
        first: if not linearizable, the part whose end made it so: up to any earlier end there was an order.
    """

    verdict: str
    order: tuple[Timed, ...]
    held: dict[str, State]
    first: Timed | None = None

    @property
    def first_end_ns(self) -> int | None:
        return None if self.first is None else self.first.ended_ns


def components(parts: Iterable[Timed]) -> list[Component]:
    """The groups of keys, in the order of their first call."""
    parts = list(parts)
    leader: dict[str, str] = {}

    def lead(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for part in parts:
        for key in part.action.keys[1:]:
            leader[lead(key)] = lead(part.action.keys[0])
    groups: dict[str, list[Timed]] = defaultdict(list)
    for part in parts:
        groups[lead(part.action.keys[0])].append(part)
    return [
        Component(tuple(sorted({key for part in group for key in part.action.keys})), tuple(group))
        for group in groups.values()
    ]


def decide(component: Component, budget: Budget, to_explain: Budget) -> Found:
    """Whether its calls have an order; if they have none, also which end made that so.

    Args:
        to_explain: for finding that end. If it is used up, `first` is the earliest end that the longest order lacks.
    """
    found, parts = _searched(component, component.parts, budget)
    if found.verdict in (LINEARIZABLE, UNDECIDED):
        return _found(component, found, parts)
    ends = sorted({part.ended_ns for part in component.parts if part.must and part.ended_ns is not None})
    fits, fails = -1, len(ends) - 1
    best, best_parts = found, parts
    while fits + 1 < fails:
        middle = (fits + fails) // 2
        earlier, earlier_parts = _searched(component, _until(component.parts, ends[middle]), to_explain)
        if earlier.verdict == UNDECIDED:
            break
        if earlier.verdict == LINEARIZABLE:
            fits, best, best_parts = middle, earlier, earlier_parts
        else:
            fails = middle
    if fits + 1 == fails:
        if fits < 0:
            best, best_parts = Order(LINEARIZABLE, (), component.initial), ()
        first = next(part for part in component.parts if part.must and part.ended_ns == ends[fails])
    else:
        first = _earliest_left(component, [parts[position] for position in found.longest])
        best, best_parts = found, parts
    return replace(_found(component, best, best_parts), verdict=found.verdict, first=first)


def _earliest_left(component: Component, order: Sequence[Timed]) -> Timed:
    placed = {part.identity for part in order}
    left = [part for part in component.parts if part.must and part.identity not in placed]
    return min(left, key=lambda part: part.ended_ns or 0)


def _found(component: Component, order: Order, parts: Sequence[Timed]) -> Found:
    states = (order.state,) if len(component.keys) == 1 else order.state
    held = dict(zip(component.keys, states, strict=True))
    return Found(order.verdict, tuple(parts[position] for position in order.longest), held)


def _until(parts: Iterable[Timed], time_ns: int) -> tuple[Timed, ...]:
    """The history as it was then: what had not ended may have been done, what had not begun is not there."""
    return tuple(
        part if part.ended_ns is not None and part.ended_ns <= time_ns else replace(part, must=False, ended_ns=None)
        for part in parts
        if part.begun_ns <= time_ns
    )


def _searched(component: Component, parts: Sequence[Timed], budget: Budget) -> tuple[Order, Sequence[Timed]]:
    parts = _without_idle(parts)
    return search(_operations(component.keys, parts), component.initial, budget, _likely(parts)), parts


# -- parts that may have been done -------------------------------------------------------------------------------


def _without_idle(parts: Sequence[Timed]) -> Sequence[Timed]:
    """Without those `set` that may have been done and that nothing can have noticed: an order exists without them too.

    Nobody has returned or compared the text, and all that is done to the key is to set it and to read its text.
    """
    seen, noticing = _seen(parts), _noticing(parts)
    return [part for part in parts if not _is_unseen_set(part, seen) or part.action.keys[0] in noticing]


def _is_unseen_set(part: Timed, seen: frozenset[str]) -> bool:
    return not part.must and part.action.verb == "set" and part.action.arguments[0] not in seen


def _seen(parts: Iterable[Timed]) -> frozenset[str]:
    """All texts that a call has returned, or compared a value with."""
    texts: set[str] = set()
    for part in parts:
        action = part.action
        if action.verb == "compare_set":
            texts.add(action.arguments[0])
        if action.result is not UNKNOWN:
            texts.update(action.result if isinstance(action.result, tuple) else (str(action.result),))
    return frozenset(texts)


def _noticing(parts: Iterable[Timed]) -> frozenset[str]:
    """Keys on which a call's result or effect may depend on more than the text that was set last."""
    return frozenset(
        key
        for part in parts
        if part.action.verb not in ("set", "get", "multi_get", "multi_set")
        for key in part.action.keys
    )


def _built_upon(parts: Iterable[Timed]) -> frozenset[str]:
    """Keys whose text is part of later texts."""
    return frozenset(key for part in parts if part.action.verb in ("add", "append") for key in part.action.keys)


def _likely(parts: Sequence[Timed]) -> Callable[[State], bool] | None:
    """Whether a text begins one that was read: of concurrent appends, the one that leads to such a text goes first.

    None where no text grows, or where the state is that of several keys.
    """
    if not any(part.action.verb == "append" for part in parts):
        return None
    texts = sorted(_seen(parts))

    def likely(state: State) -> bool:
        if not isinstance(state, str):
            return True
        place = bisect_left(texts, state)
        return place < len(texts) and texts[place].startswith(state)

    return likely


def _places_before(
    part: Timed, position: Mapping[tuple[int, tuple[str, ...]], int], keys: Container[str]
) -> tuple[int, ...]:
    """The positions of what came before it on its connection; in place of a part that is left out, what came before.

    Parts on keys of other components are passed over: `after` has the last part on each key.
    """
    found: list[int] = []
    looked_at: set[tuple[int, tuple[str, ...]]] = set()
    to_look_at = list(part.after)
    while to_look_at:
        earlier = to_look_at.pop()
        if earlier.action.keys[0] not in keys or earlier.identity in looked_at:
            continue
        looked_at.add(earlier.identity)
        if earlier.identity in position:
            found.append(position[earlier.identity])
        else:
            to_look_at.extend(earlier.after)
    return tuple(found)


def _operations(keys: Sequence[str], parts: Sequence[Timed]) -> list[Operation]:
    places = {key: place for place, key in enumerate(keys)}
    position = {part.identity: place for place, part in enumerate(parts)}
    seen, built_upon = _seen(parts), _built_upon(parts)
    awaited = {earlier.identity for part in parts for earlier in part.after}
    found = []
    for part in parts:
        action = part.action
        if _is_unseen_set(part, seen) and action.keys[0] not in built_upon:
            action = Action("set", action.keys, (_UNSEEN,))
        after = _places_before(part, position, places)
        is_free = not part.must and not after and part.identity not in awaited
        alike = repr((action.verb, action.keys, action.arguments, action.result)) if is_free else ""
        step = step_of(action, places)
        found.append(Operation(step, part.begun_ns, part.ended_ns, part.must, after, alike, is_read(action)))
    return found
