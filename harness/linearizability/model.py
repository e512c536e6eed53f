"""Torch's store as a sequential model: what one call does to the keys that it names, and what it may return."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

QUEUE_VERBS = ("queue_push", "queue_pop")
READS = ("get", "wait", "check", "multi_get")
VALUE_VERBS = ("set", "get", "add", "append", "compare_set", "delete_key", "multi_get", "multi_set")
"""What reads or writes the value of a key. `check` and `wait` only ask whether it is there, also of a queue."""


class Special(Enum):
    """What no stored value can be."""

    UNKNOWN = "unknown"
    """The result of a call that has not returned."""
    IMPOSSIBLE = "impossible"
    """The state after a call that could not have returned what it did."""


UNKNOWN, IMPOSSIBLE = Special.UNKNOWN, Special.IMPOSSIBLE

State = Any
"""A key's state: None if it is missing, a text, or of a queue that is not empty a tuple of texts. The state of several
keys is a tuple of theirs."""
Step = Callable[[State], State]
"""From the state before a call to the state after it, or to `IMPOSSIBLE`."""


@dataclass(frozen=True)
class Action:
    """What a call does, without when.

    Attributes:
        verb: one of torch's method names.
        keys: all keys that it names.
        arguments: what it was given besides: of `set` and `append` the value, of `add` the amount, of `compare_set` the
            expected and the desired value, of `multi_set` the values in the order of the keys.
        result: what it returned, or `UNKNOWN`; of `set`, `append`, `multi_set` and `queue_push` always None.
    """

    verb: str
    keys: tuple[str, ...]
    arguments: tuple[Any, ...] = ()
    result: Any = None

    @property
    def tells(self) -> bool:
        """Whether its result says something about the keys: without any such call nothing can be judged."""
        return self.verb not in ("set", "append", "multi_set", "queue_push") and self.result is not UNKNOWN


def is_read(action: Action) -> bool:
    """Whether the call, as it returned, changes nothing in any order that allows it."""
    return action.verb in READS or (action.verb == "delete_key" and action.result is False)


def step_of(action: Action, places: Mapping[str, int]) -> Step:
    """The action as a function of the state.

    Args:
        places: the position of each key in the state; if it is the only key, the state is the key's own.

    Raises KeyError for a verb that the model does not have.
    """
    one_key = len(places) == 1
    if action.verb == "check" and len(action.keys) > 1 and action.result is False:
        return _some_missing([places[key] for key in action.keys])
    steps = _steps(action)
    if one_key:
        return steps[0] if len(steps) == 1 else _one_after_another(steps)
    return _each([(places[key], step) for key, step in zip(action.keys, steps, strict=True)])


def _steps(action: Action) -> list[Step]:
    """What it does to each of its keys."""
    if action.verb == "multi_set":
        return [_set(str(value)) for value in action.arguments]
    if action.verb == "multi_get":
        results = action.result if isinstance(action.result, (list, tuple)) else [UNKNOWN] * len(action.keys)
        return [_get(result) for result in results]
    make = _MAKERS[action.verb]
    return [make(*action.arguments, action.result) for _ in action.keys]


def _each(steps: Sequence[tuple[int, Step]]) -> Step:
    def apply(state: State) -> State:
        states = list(state)
        for place, step in steps:
            after = step(states[place])
            if after is IMPOSSIBLE:
                return IMPOSSIBLE
            states[place] = after
        return tuple(states)

    return apply


def _one_after_another(steps: Sequence[Step]) -> Step:
    """Of a call that names one key several times."""

    def apply(state: State) -> State:
        for step in steps:
            state = step(state)
            if state is IMPOSSIBLE:
                break
        return state

    return apply


def _some_missing(places: Sequence[int]) -> Step:
    def apply(state: State) -> State:
        states = state if isinstance(state, tuple) else (state,)
        return state if any(states[place] is None for place in places) else IMPOSSIBLE

    return apply


# -- one key -----------------------------------------------------------------------------------------------------


def _set(value: str, _result: Any = None) -> Step:
    return lambda state: value


def _get(result: Any) -> Step:
    def apply(state: State) -> State:
        if result is UNKNOWN:
            return state
        return state if state is not None and state == result else IMPOSSIBLE

    return apply


def _wait(_result: Any) -> Step:
    return lambda state: IMPOSSIBLE if state is None else state


def _check(result: Any) -> Step:
    if result is UNKNOWN:
        return lambda state: state
    return lambda state: state if (state is not None) is bool(result) else IMPOSSIBLE


_LEADING_NUMBER = re.compile(r"\s*[+-]?\d+")


def number_in(state: State) -> int | None:
    """What `add` reads: torch's `stoll` takes the number that the text begins with; None if there is none."""
    if state is None:
        return 0
    found = _LEADING_NUMBER.match(state) if isinstance(state, str) else None
    return None if found is None else int(found.group())


def _add(amount: int, result: Any) -> Step:
    def apply(state: State) -> State:
        number = number_in(state)
        if number is None:
            # The server ends the connection without changing the key (F45).
            return state if result is UNKNOWN else IMPOSSIBLE
        total = number + amount
        return str(total) if result is UNKNOWN or result == total else IMPOSSIBLE

    return apply


def _append(value: str, _result: Any = None) -> Step:
    return lambda state: value if state is None else state + value


def _delete(result: Any) -> Step:
    def apply(state: State) -> State:
        return None if result is UNKNOWN or (state is not None) is bool(result) else IMPOSSIBLE

    return apply


def _compare_set(expected: str, desired: str, result: Any) -> Step:
    def apply(state: State) -> State:
        if state is None and expected:
            # Torch returns the expected value although the key is missing (F43); an empty text would be as true.
            return state if result in (UNKNOWN, expected, "") else IMPOSSIBLE
        after = desired if state is None or state == expected else state
        return after if result is UNKNOWN or result == after else IMPOSSIBLE

    return apply


def _push(value: str, _result: Any = None) -> Step:
    return lambda state: (value,) if state is None else (*state, value)


def _pop(result: Any) -> Step:
    def apply(state: State) -> State:
        if state is None:
            return state if result is UNKNOWN else IMPOSSIBLE
        if result is not UNKNOWN and state[0] != result:
            return IMPOSSIBLE
        return state[1:] or None

    return apply


_MAKERS: Mapping[str, Callable[..., Step]] = {
    "set": _set,
    "get": _get,
    "wait": _wait,
    "check": _check,
    "add": _add,
    "append": _append,
    "delete_key": _delete,
    "compare_set": _compare_set,
    "queue_push": _push,
    "queue_pop": _pop,
}
