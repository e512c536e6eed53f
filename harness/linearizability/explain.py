"""Why no order of the calls is possible, in words: the impossible call, what the key held, and what came before."""

from __future__ import annotations

from collections.abc import Sequence

from harness.history.wording import counted, describe_call, joined
from harness.linearizability.calls import Timed
from harness.linearizability.components import Component, Found
from harness.linearizability.model import UNKNOWN, State

_LINES = 4
"""How many calls before the impossible one are described."""
_LONGEST_TEXT = 24
_MOST_KEYS = 3


def explained(component: Component, found: Found) -> str:
    """One sentence on a component that is not linearizable."""
    first = found.first
    assert first is not None, "only what is not linearizable has an impossible call"
    on = f"{'key' if len(component.keys) == 1 else 'keys'} {_named(component.keys)}"
    story = [_perhaps(part) for part in found.order[-_LINES:]]
    earlier = f"{len(found.order) - _LINES} others, then " if len(found.order) > _LINES else ""
    fits = (
        f"those before its end fit the order {earlier}{', then '.join(story)}, after which {_held(first, found)}"
        if story
        else "nothing can have come before it"
    )
    return f"{described(first)}, which no order of the calls on {on} allows: {fits}{_open(component, found)}"


def described(part: Timed) -> str:
    """What a call did and returned: `rank 2's read got 'first' from 'x'`."""
    return f"{describe_call(part.call)} {_did(part)}"


def _perhaps(part: Timed) -> str:
    """Of the longest order: a call of unknown outcome is assumed to have been done there."""
    return described(part) if part.must else f"{described(part)} (assumed)"


def _did(part: Timed) -> str:
    action, result = part.action, part.action.result
    key = _named(action.keys)
    returned = "" if result is None else " (no result)" if result is UNKNOWN else f" and returned {_shown(result)}"
    given = [_shown(argument) for argument in action.arguments]
    if action.verb in ("get", "multi_get", "queue_pop") and result is not UNKNOWN:
        return f"{'took' if action.verb == 'queue_pop' else 'got'} {_shown(result)} from {key}"
    if action.verb in ("set", "multi_set"):
        return f"set {key} to {joined(given)}"
    if action.verb in ("append", "queue_push"):
        return f"{'appended' if action.verb == 'append' else 'pushed'} {given[0]} to {key}"
    if action.verb == "add":
        return f"added {given[0]} to {key}{returned}"
    if action.verb == "compare_set":
        return f"compared {key} with {given[0]} to set {given[1]}{returned}"
    if action.verb == "check":
        return f"found {key} {'there' if result else 'missing' if len(action.keys) == 1 else 'not all there'}"
    if action.verb == "wait":
        return f"found {key} there"
    if action.verb == "delete_key":
        return f"deleted {key}{returned}"
    return f"{action.verb} {key}{returned}"


def _named(keys: Sequence[str]) -> str:
    if len(keys) <= _MOST_KEYS:
        return joined([repr(key) for key in keys])
    return f"{', '.join(map(repr, keys[:_MOST_KEYS]))} and {len(keys) - _MOST_KEYS} more"


def _held(first: Timed, found: Found) -> str:
    held = [f"{key!r} {_holds(found.held[key])}" for key in first.action.keys if key in found.held]
    return joined(held[: _MOST_KEYS + 1])


def _holds(state: State) -> str:
    return "is missing" if state is None else f"holds {_shown(state)}"


def _open(component: Component, found: Found) -> str:
    """How many calls may have taken effect, for a reader who wonders whether these could explain it."""
    maybes = [part for part in component.parts if not part.must and part.begun_ns <= (found.first_end_ns or 0)]
    if not maybes:
        return ""
    return f"; {counted(len(maybes), 'call')} of unknown outcome, done or not, cannot explain it"


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_shown, value[:4])) + (", ...]" if len(value) > 4 else "]")
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 4]}...{text[-1]}"


def evidence(found: Found) -> tuple[int, ...]:
    """Indexes of the operations of the impossible call, and of the calls that the sentence tells."""
    parts: Sequence[Timed] = (*found.order[-_LINES:], *([found.first] if found.first is not None else []))
    return tuple(dict.fromkeys(index for part in parts for index in part.call.evidence))
