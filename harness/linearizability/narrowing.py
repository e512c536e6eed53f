"""What the messages on the wire say about a call whose outcome is not known: never done, or done between two times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from harness.history.joins import handler_of
from harness.history.keys import names_on_wire, writes_of
from harness.values.history import Call, History
from harness.values.wire import CUT, DROPPED, KEPT, PASSED, QUERY, REPLY, Wire, WireMessage

_KINDS = {"set_bytes": "set"}
"""The kind of a call's query; of others it is the verb."""


@dataclass(frozen=True)
class Narrowed:
    """What is known about a call.

    Attributes:
        never_done: its query never reached the server.
        begun_ns: it was not done before this time.
        done_by_ns: it was done by this time; None if that is not known.
    """

    never_done: bool = False
    begun_ns: int = 0
    done_by_ns: int | None = None


def narrow(history: History, unsure: Sequence[Call]) -> Mapping[int, Narrowed]:
    """What the wire says about these calls, by `id(call)`; a call about which it says nothing is not there.

    A call is matched to its query only if there is one way to do so: all calls of its rank with its verb and its keys
    were made one after another, by one thread of one process through one handler, and all queries that name these keys
    came over one connection. Then the queries are the first of the calls, in their order, because a connection keeps
    the order and a store does not reconnect.
    """
    wire = history.wire
    if wire is None or not wire.is_complete or not unsure:
        return {}
    replies = {message.answers: message for message in wire.messages if message.side == REPLY and message.answers}
    groups: dict[tuple[int, str, tuple[str, ...]], list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.begun_ns is not None and call.outcome != "skipped" and _written(call):
            groups[call.rank, _KINDS.get(call.f, call.f), _written(call)].append(call)
    wanted = {id(call) for call in unsure}
    found = {}
    for (rank, verb, keys), calls in groups.items():
        others = [other for who, _, other in groups if who == rank and other != keys]
        if not any(id(call) in wanted for call in calls) or _may_be_confused(keys, others):
            continue
        for call, query in _matched(calls, _queries(wire, rank, verb, keys)):
            if id(call) in wanted:
                found[id(call)] = _said(call, query, wire, replies)
    return found


def _may_be_confused(keys: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> bool:
    """Whether a query for other keys reads like one for these: on the wire key `b/x` may be key `x` of prefix `b`."""
    return any(
        names_on_wire(key, keys) or names_on_wire(mine, (key,))
        for other in others
        for key in other
        for mine in keys
        if key != mine
    )


def _matched(calls: Sequence[Call], queries: Sequence[WireMessage] | None) -> Iterator[tuple[Call, WireMessage | None]]:
    """Each call with its query, None if it has none; nothing if there is more than one way to match them."""
    if queries is None or len(queries) > len(calls) or not _are_in_one_order(calls):
        return
    pairs = list(zip_longest(calls, queries))
    if all(query is None or query.time_ns >= (call.begun_ns or 0) for call, query in pairs):
        yield from pairs


def _written(call: Call) -> tuple[str, ...]:
    if call.f in ("delete_key", "queue_pop", "compare_set"):
        key = call.arguments.get("key")
        return (str(key),) if key is not None else ()
    return tuple(sorted(write.key for write in writes_of(call)))


def _are_in_one_order(calls: Sequence[Call]) -> bool:
    """Whether one thread of one process made them through one handler, each after the one before."""
    makers = {(call.life, call.thread, handler_of(call)) for call in calls}
    pairs = pairwise(calls)
    return len(makers) == 1 and all((one.ended_ns or 0) <= (two.begun_ns or 0) for one, two in pairs if one.ended_ns)


def _queries(wire: Wire, rank: int, verb: str, keys: tuple[str, ...]) -> list[WireMessage] | None:
    """The queries of that verb that name these keys, in the order of arrival; None if they may be of other calls."""
    on_link = [message for message in wire.messages if message.rank == rank]
    if not on_link:
        return None  # no proxy server lies on its way
    naming = [message for message in on_link if message.side == QUERY and _names(message, keys)]
    found = [message for message in naming if message.kind == verb]
    if len({message.connection for message in naming}) > 1 or len({message.keys for message in found}) > 1:
        return None
    return found


def _names(message: WireMessage, keys: tuple[str, ...]) -> bool:
    return len(message.keys) == len(keys) and all(names_on_wire(key, keys) for key in message.keys)


def _said(call: Call, query: WireMessage | None, wire: Wire, replies: Mapping[int, WireMessage]) -> Narrowed:
    if query is None or query.fate == DROPPED:
        return Narrowed(never_done=True)
    if query.fate in (CUT, KEPT):
        # Of a multi_set that went on in part, the server may have stored a part (F47).
        return Narrowed(never_done=query.sent_ns is None and call.f != "multi_set", begun_ns=query.time_ns)
    return Narrowed(begun_ns=query.time_ns, done_by_ns=_handled_by_ns(query, wire.messages, replies))


def _handled_by_ns(
    query: WireMessage, messages: Iterable[WireMessage], replies: Mapping[int, WireMessage]
) -> int | None:
    """When the first reply came to it, or to a later query of its connection: a server handles them in their order."""
    times = [
        replies[later.number].time_ns
        for later in messages
        if later.connection == query.connection
        and later.side == QUERY
        and later.fate == PASSED
        and later.number >= query.number
        and later.number in replies
    ]
    return min(times, default=None)
