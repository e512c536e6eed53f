"""What the messages on the wire say about a call whose outcome is not known: never done, or done between two times."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from harness.history.joins import handler_of, joins
from harness.history.keys import names_on_wire, writes_of
from harness.linearizability.connections import Replacements
from harness.linearizability.model import READS
from harness.values.history import Call, History
from harness.values.wire import CUT, DROPPED, KEPT, PASSED, QUERY, REPLY, Wire, WireMessage

_READS = (*READS, "queue_len")
"""Queries that name keys and change none."""


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


def narrow(history: History, unsure: Sequence[Call], replacements: Replacements) -> Mapping[int, Narrowed]:
    """What the wire says about these calls, by `id(call)`; a call about which it says nothing is not there.

    A call is matched to its query only if there is one way to do so: all calls of its rank with its verb and its keys
    were made one after another, by one thread of one process through one store of a handler that has a link, and all
    queries that name these keys came over one connection, and are of verbs that were called. Then the queries are the
    first of the calls, in their order, because a connection keeps the order and a store does not reconnect.
    """
    wire = history.wire
    if wire is None or not wire.is_complete or not unsure:
        return {}
    links = history.once("messages by link", None, lambda: _Links(wire))
    groups = history.once("writes by keys", None, lambda: _groups(history))
    masters = {(join.call.rank, join.handler) for join in joins(history) if join.is_master}
    written: dict[int, dict[tuple[str, ...], set[str]]] = defaultdict(lambda: defaultdict(set))
    for rank, verb, keys in groups:
        written[rank][keys].add(verb)
    wanted = {id(call) for call in unsure}
    found = {}
    for (rank, verb, keys), calls in groups.items():
        if not any(id(call) in wanted for call in calls) or (rank, handler_of(calls[0])) in masters:
            continue  # a master's store does not go through its rank's links
        if replacements.may_part(calls[0], calls[-1]) or _may_be_confused(keys, written[rank]):
            continue
        for call, query in _matched(calls, links.queries(rank, verb, keys, written[rank][keys])):
            said = _said(call, query, links) if id(call) in wanted else None
            if said is not None:
                found[id(call)] = said
    return found


def _groups(history: History) -> Mapping[tuple[int, str, tuple[str, ...]], list[Call]]:
    """All calls that may have written, by rank, verb on the wire, and keys."""
    groups: dict[tuple[int, str, tuple[str, ...]], list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.begun_ns is not None and call.outcome != "skipped" and _written(call):
            verb = "set" if call.f == "set_bytes" else call.f
            groups[call.rank, verb, _written(call)].append(call)
    return groups


def _may_be_confused(keys: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> bool:
    """Whether a query for other keys reads like one for these: on the wire key `b/x` may be key `x` of prefix `b`."""
    return any(
        names_on_wire(key, keys) or names_on_wire(mine, (key,))
        for other in others
        for key in other
        for mine in keys
        if other != keys and key != mine
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


def _names(named: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    return len(named) == len(keys) and all(names_on_wire(key, keys) for key in named)


class _Links:
    """The messages of all links, for look-ups by rank and by connection."""

    def __init__(self, wire: Wire) -> None:
        replied_ns = {one.answers: one.time_ns for one in wire.messages if one.side == REPLY and one.answers}
        self._queries: dict[int, dict[tuple[str, ...], list[WireMessage]]] = defaultdict(lambda: defaultdict(list))
        self._answered: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        """By connection: the queries with a reply, the last one first, by their numbers, negated; and until when each
        had been handled: the earliest reply to it or to one after it."""
        for message in wire.messages:
            self._queries[message.rank]  # a rank whose link carried no query has a link too
            if message.side == QUERY:
                self._queries[message.rank][message.keys].append(message)
        for message in reversed(wire.messages):
            if message.side == QUERY and message.fate == PASSED and message.number in replied_ns:
                numbers, by_ns = self._answered[message.connection]
                numbers.append(-message.number)
                by_ns.append(min(replied_ns[message.number], by_ns[-1] if by_ns else replied_ns[message.number]))

    def queries(self, rank: int, verb: str, keys: tuple[str, ...], verbs: Collection[str]) -> list[WireMessage] | None:
        """The queries of that verb that name these keys, in the order of arrival; None if they may be of other calls.

        Args:
            verbs: those with which calls of that rank wrote these keys. A store that sends another one for them is not
                understood.
        """
        if rank not in self._queries:
            return None  # no proxy server lies on its way
        naming = [one for named, its in self._queries[rank].items() if _names(named, keys) for one in its]
        found = [message for message in naming if message.kind == verb]
        if len({message.connection for message in naming}) > 1 or len({message.keys for message in found}) > 1:
            return None
        if any(message.kind not in verbs and message.kind not in _READS for message in naming):
            return None
        return found

    def handled_by_ns(self, query: WireMessage) -> int | None:
        """When the first reply came to it, or to a later query of its connection: a server keeps their order."""
        numbers, by_ns = self._answered[query.connection]
        count = bisect_right(numbers, -query.number)
        return by_ns[count - 1] if count else None


def _said(call: Call, query: WireMessage | None, links: _Links) -> Narrowed | None:
    # A multi_set is logged once it has arrived whole. Of one that went on in part, the server may have stored a part
    # (F47).
    if query is None:
        return None if call.f == "multi_set" else Narrowed(never_done=True)
    if query.fate == DROPPED:
        return Narrowed(never_done=True)
    if query.fate in (CUT, KEPT):
        return Narrowed(never_done=query.sent_ns is None and call.f != "multi_set", begun_ns=query.time_ns)
    return Narrowed(begun_ns=query.time_ns, done_by_ns=links.handled_by_ns(query))
