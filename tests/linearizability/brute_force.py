"""Linearizability by trying every order: slow, obvious, and written apart from the search that it is to prove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, combinations, permutations

from harness.linearizability.calls import Timed
from harness.linearizability.model import UNKNOWN, Action
from harness.values.history import Call

Store = dict[str, list[str] | str]


def part(
    name: str,
    action: Action,
    begun: int,
    ended: int | None,
    must: bool = True,
    after: tuple[Timed, ...] = (),
) -> Timed:
    """A part of a call of that name."""
    call = Call(0, "main", 1, name, action.verb, 1, None, None, "ok" if must else "hung")
    return Timed(call, action, begun, ended, must, after)


def is_linearizable(parts: Sequence[Timed]) -> bool:
    """Whether any order of all parts that must be, and some of the others, is allowed."""
    musts = [part for part in parts if part.must]
    maybes = [part for part in parts if not part.must]
    return any(
        _is_in_time(order) and _is_allowed(order)
        for chosen in _subsets(maybes)
        for order in permutations([*musts, *chosen])
    )


def _subsets(parts: Sequence[Timed]) -> Iterable[tuple[Timed, ...]]:
    return chain.from_iterable(combinations(parts, size) for size in range(len(parts) + 1))


def _is_in_time(order: Sequence[Timed]) -> bool:
    for place, later in enumerate(order):
        for earlier in order[:place]:
            if later.ended_ns is not None and later.ended_ns < earlier.begun_ns:
                return False
        done = {part.identity for part in order[:place]}
        if any(before.identity not in done for before in later.after):
            return False
    return True


def _is_allowed(order: Sequence[Timed]) -> bool:
    store: Store = {}
    return all(_happens(part.action, store) for part in order)


def _happens(action: Action, store: Store) -> bool:
    """Do it to the store; False if it cannot have returned what it did."""
    return _is_as_said(action, _result(action, store))


def _is_as_said(action: Action, results: Iterable[object]) -> bool:
    return action.result is UNKNOWN or action.result in results


def _result(action: Action, store: Store) -> tuple[object, ...]:
    """What the call may return; the store is changed."""
    key, given = action.keys[0], action.arguments
    here = store.get(key)
    if action.verb in ("set", "multi_set"):
        store.update(zip(action.keys, given, strict=True))
        return (None,)
    if action.verb == "append":
        store[key] = f"{here or ''}{given[0]}"
        return (None,)
    if action.verb == "get":
        return (here,) if here is not None else ()
    if action.verb == "multi_get":
        return (tuple(store.get(each) for each in action.keys),) if set(action.keys) <= set(store) else ()
    if action.verb == "wait":
        return (None,) if here is not None else ()
    if action.verb == "check":
        return (set(action.keys) <= set(store),)
    if action.verb == "delete_key":
        return (store.pop(key, None) is not None,)
    if action.verb == "add":
        return _added(key, given[0], store)
    if action.verb == "compare_set":
        return _compared(key, given[0], given[1], store)
    return _queued(action, store)


def _added(key: str, amount: int, store: Store) -> tuple[object, ...]:
    text = store.get(key, "0")
    assert isinstance(text, str)
    if not text.isdecimal():
        return ()
    store[key] = str(int(text) + amount)
    return (int(text) + amount,)


def _compared(key: str, expected: str, desired: str, store: Store) -> tuple[object, ...]:
    if key not in store and expected:
        return (expected, "")
    if store.get(key, "") == expected:
        store[key] = desired
    return (store[key],)


def _queued(action: Action, store: Store) -> tuple[object, ...]:
    queue = store.get(action.keys[0], [])
    assert isinstance(queue, list)
    if action.verb == "queue_push":
        store[action.keys[0]] = [*queue, action.arguments[0]]
        return (None,)
    if not queue:
        return ()
    store[action.keys[0]] = queue[1:]
    if not queue[1:]:
        del store[action.keys[0]]
    return (queue[0],)
