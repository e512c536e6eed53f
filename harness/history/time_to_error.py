"""How long a call with a timeout took to end in an error, and in which phase of its work it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.timed_calls import timed_calls
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History
from harness.values.json import LARGEST, Fields, whole
from harness.values.plan import JOIN as RENDEZVOUS
from harness.values.wire import QUERY, REPLY, Wire, WireMessage

CONNECT, GREETING, JOIN, KEY, UNKNOWN = "connect", "greeting", "join", "key", "unknown"
PHASES = (CONNECT, GREETING, JOIN, KEY, UNKNOWN)
"""Connect: nothing had reached the store. Greeting: connected, and not yet answered. Join: the store had answered, and
not all ranks had come. Key: a call of a store that had been joined. Unknown: neither the wire nor the error says."""

TIMED_OUT, OTHER, HUNG = "timed out", "other error", "hung"
ENDS = (TIMED_OUT, OTHER, HUNG)

_GREETINGS = frozenset({"validate", "ping"})

# The words of torch (TCPStore.cpp, socket.cpp, store.hpp) and of static-strict (join_errors.py, session.py).
_TIMEOUT = re.compile(r"timed out|timeout after|did not answer within|gave up waiting", re.IGNORECASE)
_CONNECTING = re.compile(r"while trying to connect|no connection:|could not be resolved|name resolution", re.IGNORECASE)
_JOINING = re.compile(r"waiting for clients|gave up waiting for (rank|ranks) |had joined round|that the round is whole")


@dataclass(frozen=True)
class TimeToError:
    """One call with a timeout that did not return.

    Attributes:
        rank, step, f: whose call, and which.
        phase: one of `PHASES`.
        end: one of `ENDS`.
        asked_ns: the timeout that it was given.
        took_ns: from its begin to its error, or until its guard ended it, as `TimedCall.elapsed_ns` says.
    """

    rank: int
    step: str
    f: str
    phase: str
    end: str
    asked_ns: int
    took_ns: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, row: Any) -> TimeToError:
        """What `to_json` returned; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        return cls(
            fields.whole("rank"),
            fields.text("step"),
            fields.text("f"),
            fields.one_of("phase", PHASES),
            fields.one_of("end", ENDS),
            fields.whole("asked_ns", -LARGEST),
            fields.whole("took_ns"),
        )


def times_to_error(scenario: Scenario, history: History) -> tuple[TimeToError, ...]:
    """Every call that had a timeout and ended in an error, or hung, ordered by begin."""
    return tuple(_times(scenario, history))


def _times(scenario: Scenario, history: History) -> Iterator[TimeToError]:
    for timed in timed_calls(scenario, history):
        call = timed.call
        if call.outcome != "ok":
            phase = phase_of(history, call)
            yield TimeToError(call.rank, call.step, call.f, phase, _end(call), timed.timeout_ns, timed.elapsed_ns)


def _end(call: Call) -> str:
    if call.outcome == "hung":
        return HUNG
    return TIMED_OUT if says_timed_out(call) else OTHER


def says_timed_out(call: Call) -> bool:
    """Whether the error of a call says that its time was up."""
    return _TIMEOUT.search(_message(call)) is not None


def _message(call: Call) -> str:
    """The error's kind and its first line; torch appends a stack whose functions have these words too."""
    return "" if call.error is None else f"{call.error.kind}: {call.error.first_line}"


def phase_of(history: History, call: Call) -> str:
    """The phase that a call was in when it ended, one of `PHASES`.

    The error's own words count before the wire: a process may have several connections, and a message names none.
    """
    if call.f != RENDEZVOUS:
        return KEY
    message = _message(call)
    if _JOINING.search(message):
        return JOIN
    if _CONNECTING.search(message):
        return CONNECT
    return _on_the_wire(history, call)


def _on_the_wire(history: History, call: Call) -> str:
    """What the messages of the caller show; nothing is known of a master, which has no link."""
    wire = history.wire
    is_master = whole(call.arguments.get("rank")) == 0
    if wire is None or not wire.is_complete or is_master or _shares_its_link(history, call):
        return UNKNOWN
    mine = _messages_of(history, wire, call)
    queries = [message for message in mine if message.side == QUERY]
    if not queries:
        return CONNECT
    answered = {message.answers for message in mine if message.side == REPLY and message.sent_ns is not None}
    greeted = any(query.kind not in _GREETINGS or query.number in answered for query in queries)
    return JOIN if greeted else GREETING


def _shares_its_link(history: History, call: Call) -> bool:
    """Whether other calls of the same process ran meanwhile, whose messages are on the same link."""
    begun_ns, ended_ns = history.window_of(call)
    others = (other for other in history.calls if other is not call and other.rank == call.rank and other.f != EXIT)
    return any(window[0] < ended_ns and window[1] > begun_ns for window in map(history.window_of, others))


def _messages_of(history: History, wire: Wire, call: Call) -> Sequence[WireMessage]:
    begun_ns, ended_ns = history.window_of(call)
    return [one for one in wire.messages if one.rank == call.rank and begun_ns <= one.time_ns <= ended_ns]
