"""The calls of a history as operations: what each did, when it can have taken effect, and whether it certainly did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from harness.history.joins import handler_of
from harness.history.keys import keys_of, text_of_bytes
from harness.linearizability.connections import Replacements
from harness.linearizability.model import QUEUE_VERBS, READS, UNKNOWN, VALUE_VERBS, Action
from harness.linearizability.narrowing import Narrowed, narrow
from harness.values.history import Call, History
from harness.values.json import mapping, whole

NO_REPLY = ("set", "set_bytes", "append", "multi_set", "queue_push")
"""Writes that torch's server does not acknowledge: `ok` says that the bytes were handed to the kernel."""
_WRITES = (*NO_REPLY, "add", "compare_set", "delete_key", "queue_pop")
_READS = (*READS, "same_bytes", "num_keys")
_REPLIES = (*_READS, "add", "compare_set", "delete_key", "queue_pop")
_DID_NOTHING = ("QueueEmptyError",)
"""Errors that say that the call changed nothing."""


@dataclass(frozen=True)
class Timed:
    """A part of a call that takes effect at one moment.

    Attributes:
        call: the call. One that is not atomic has several parts.
        begun_ns, ended_ns, must: as in `harness.linearizability.search.Operation`.
        after: what came before it on its connection: of each key the last, which has its own.
    """

    call: Call
    action: Action
    begun_ns: int
    ended_ns: int | None
    must: bool
    after: tuple[Timed, ...] = field(default=(), compare=False, repr=False)

    @property
    def identity(self) -> tuple[int, tuple[str, ...]]:
        """Tells it from every other part of every call."""
        return id(self.call), self.action.keys


def timed(
    history: History, calls: Iterable[Call], strict: bool, atomic: bool, found_missing: Callable[[Call], bool]
) -> list[Timed]:
    """The parts of these calls, in the order of their beginning.

    Args:
        calls: store calls on the keys of one prefix.
        strict: whether `ok` of a write without reply means done.
        atomic: whether `multi_set` and `multi_get` are.
        found_missing: whether a call that failed has waited for keys of which one was missing at some moment.
    """
    begun = [call for call in calls if call.begun_ns is not None and call.outcome != "skipped"]
    unsure = [call for call in begun if _is_unsure(call, strict)]
    replacements = history.once("replacements", None, lambda: Replacements(history))
    narrowed = narrow(history, unsure, replacements)
    connections: dict[tuple[int, int, str, str], _Connection] = defaultdict(lambda: _Connection(replacements))
    for call in begun:
        connections[call.rank, call.life, call.thread, handler_of(call)].take(
            call, strict, list(_actions(call, atomic, found_missing)), narrowed.get(id(call))
        )
    parts = [part for connection in connections.values() for part in connection.parts()]
    return sorted(parts, key=lambda part: part.begun_ns)


def _actions(call: Call, atomic: bool, found_missing: Callable[[Call], bool]) -> Iterator[Action]:
    """What the call did; one that waited until its timeout has found a key missing."""
    if call.f in READS and call.outcome == "failed" and keys_of(call) and found_missing(call):
        yield Action("check", keys_of(call), (), False)
    else:
        yield from actions_of(call, atomic)


def _is_unsure(call: Call, strict: bool) -> bool:
    """Whether its outcome leaves open if it was done."""
    if call.f not in _WRITES or (call.error is not None and call.error.kind in _DID_NOTHING):
        return False
    return call.outcome != "ok" or (call.f in NO_REPLY and not strict)


class _Connection:
    """The calls of one thread through one store, whose requests the server handles in the order of sending."""

    def __init__(self, replacements: Replacements) -> None:
        self._replacements = replacements
        self._parts: list[Timed] = []
        self._waiting: list[int] = []
        """Places of writes that returned without a reply, and that no later reply has confirmed."""
        self._last: dict[str, int] = {}
        """Of these, the last one on each key."""

    def parts(self) -> list[Timed]:
        return self._parts

    def take(self, call: Call, strict: bool, actions: Iterable[Action], narrowed: Narrowed | None) -> None:
        """The next call, and what it did."""
        if self._waiting and self._replacements.may_part(self._parts[self._waiting[0]].call, call):
            self._wait_no_longer()
        if narrowed is not None and narrowed.never_done:
            return
        replied = call.outcome == "ok" and call.f in _REPLIES
        if replied:
            self._confirm(call)
        before = tuple(self._parts[place] for place in sorted(set(self._last.values())))
        is_maybe = _is_unsure(call, strict)
        for action in actions:
            part = Timed(call, action, call.begun_ns or 0, None if is_maybe else call.ended_ns, not is_maybe, ())
            if narrowed is not None:
                part = replace(
                    part,
                    begun_ns=max(part.begun_ns, narrowed.begun_ns),
                    ended_ns=narrowed.done_by_ns,
                    must=narrowed.done_by_ns is not None,
                )
            if replied or (is_maybe and call.outcome == "ok"):
                part = replace(part, after=before)
            self._parts.append(part)
            if is_maybe and call.outcome == "ok":
                self._waiting.append(len(self._parts) - 1)
                self._last.update(dict.fromkeys(action.keys, len(self._parts) - 1))
        if replied:
            self._wait_no_longer()

    def _wait_no_longer(self) -> None:
        self._waiting.clear()
        self._last.clear()

    def _confirm(self, call: Call) -> None:
        """What was sent before an answered request was handled before it."""
        for place in self._waiting:
            part = self._parts[place]
            if not part.must:
                self._parts[place] = replace(part, must=True, ended_ns=call.ended_ns)


# -- what a call does --------------------------------------------------------------------------------------------


def actions_of(call: Call, atomic: bool) -> Iterator[Action]:
    """The atomic parts of a call; none if it is no store call, or a read that returned nothing."""
    if call.f in _WRITES or (call.outcome == "ok" and call.f in _ACTIONS):
        yield from _ACTIONS[call.f](call, atomic)


def _result(call: Call) -> object:
    if call.f in NO_REPLY:
        return None
    return call.returned if call.outcome == "ok" else UNKNOWN


def _text(call: Call, name: str) -> str:
    return str(call.arguments.get(name))


def _with(*names: str) -> Callable[[Call, bool], Iterator[Action]]:
    def actions(call: Call, _atomic: bool) -> Iterator[Action]:
        arguments = tuple(_text(call, name) for name in names)
        yield from (Action(call.f, (key,), arguments, _result(call)) for key in keys_of(call))

    return actions


def _set_bytes(call: Call, _atomic: bool) -> Iterator[Action]:
    yield from (Action("set", (key,), (text_of_bytes(call),)) for key in keys_of(call))


def _same_bytes(call: Call, _atomic: bool) -> Iterator[Action]:
    """If they differed, it returned no more than their beginning."""
    if call.returned is True:
        yield from (Action("get", (key,), (), text_of_bytes(call)) for key in keys_of(call))


def _add(call: Call, _atomic: bool) -> Iterator[Action]:
    amount = whole(call.arguments.get("amount", 1))
    if amount is not None:
        yield from (Action("add", (key,), (amount,), _result(call)) for key in keys_of(call))


def _wait(call: Call, _atomic: bool) -> Iterator[Action]:
    """A wait ends once each key has been there, not necessarily all of them at the same time."""
    yield from (Action("wait", (key,)) for key in keys_of(call))


def _check(call: Call, _atomic: bool) -> Iterator[Action]:
    if keys_of(call):
        yield Action("check", keys_of(call), (), call.returned)


def _multi_get(call: Call, atomic: bool) -> Iterator[Action]:
    keys, values = keys_of(call), call.returned
    if not keys or not isinstance(values, (list, tuple)) or len(values) != len(keys):
        return
    if atomic:
        yield Action("multi_get", keys, (), tuple(values))
    else:
        yield from (Action("get", (key,), (), value) for key, value in zip(keys, values, strict=True))


def _multi_set(call: Call, atomic: bool) -> Iterator[Action]:
    values = {str(key): str(value) for key, value in mapping(call.arguments.get("values")).items()}
    if atomic and values:
        yield Action("multi_set", tuple(values), tuple(values.values()))
    else:
        yield from (Action("set", (key,), (value,)) for key, value in values.items())


_ACTIONS: dict[str, Callable[[Call, bool], Iterator[Action]]] = {
    **{verb: _with("value") for verb in ("set", "append", "queue_push")},
    **{verb: _with() for verb in ("get", "delete_key", "queue_pop")},
    "set_bytes": _set_bytes,
    "same_bytes": _same_bytes,
    "compare_set": _with("expected", "desired"),
    "add": _add,
    "wait": _wait,
    "check": _check,
    "multi_get": _multi_get,
    "multi_set": _multi_set,
}

STORE_VERBS = (*_ACTIONS, "num_keys")


def queue_keys(calls: Iterable[Call]) -> frozenset[str]:
    """Keys that are used as a queue."""
    return frozenset(key for call in calls if call.f in QUEUE_VERBS for key in keys_of(call))


def mixed_keys(calls: Iterable[Call]) -> frozenset[str]:
    """Keys that are used both as a queue and as a value: torch keeps these apart, but `check` sees either."""
    as_queue: set[str] = set()
    as_value: set[str] = set()
    for call in calls:
        keys = (*keys_of(call), *(map(str, mapping(call.arguments.get("values")))))
        if call.f in QUEUE_VERBS:
            as_queue.update(keys)
        elif call.f in VALUE_VERBS or call.f in ("set_bytes", "same_bytes"):
            as_value.update(keys)
    return frozenset(as_queue & as_value)
