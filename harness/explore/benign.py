"""Faults so weak that they change nothing: a draft with no others claims what its workload did without any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.explore.documents import Document, Entry, claims_of, copied, faults_of, name_of, steps_of
from harness.explore.draft import Profile
from harness.explore.draws import Draws
from harness.explore.ranges import MS, US, S, written_ns
from harness.history.keys import AWAITING
from harness.values.quantity import parse_duration, parse_size

BENIGN = "benign"
"""The begin of the names of its claims."""
DELETING = "delete_key"
SHARE = 4
"""Together they delay a call by less than the timeout divided by this."""
BYTES_OF_A_JOIN, BYTES_OF_A_CALL = 2000, 200
ROUND_TRIPS = 10
"""The most that a call takes in turn: a join says hello, counts, waits and connects again. Each has the latency."""
LEAST_TIMEOUT_NS = 3 * S
"""With less, a busy machine alone takes a join the rest of its time: one of 1 s failed after a pause of 79 ms on two
processors that twenty processes wanted."""
_DELAYS = {"pause": "for", "latency": "latency", "slicer": "delay"}
"""Kinds of faults that only delay, and the attribute that says by how much."""
LEAST_PIECE = 4
"""Bytes of the smallest pieces; of 5 B, a greeting passes whole (F01)."""


def benign_fault(draws: Draws, document: Mapping[str, Any]) -> Entry:
    """Kind and attributes of a fault that changes nothing; of a pause also its length."""
    kind = draws.choice(sorted(_DELAYS))
    most_ns = _timeout_ns(document) // (2 * SHARE)  # two of them are benign together
    if kind == "pause":
        return {"inject": kind, "for": _written(draws, most_ns)}
    stream = {"stream": draws.choice(("upstream", "downstream"))}
    if kind == "latency":
        return {"inject": kind, **stream, "latency": _written(draws, most_ns // ROUND_TRIPS)}
    size = draws.choice((LEAST_PIECE, LEAST_PIECE, 5, 8, 16))
    delay_us = draws.whole(0, most_ns * size // _bytes_at_once(document) // US)
    return {"inject": kind, **stream, "average_size": f"{size}B", "delay": f"{delay_us}us"}


def _written(draws: Draws, most_ns: int) -> str:
    return written_ns(int(draws.log_uniform(MS, max(most_ns, 2 * MS))) // MS * MS)


def is_benign(document: Mapping[str, Any]) -> bool:
    """Whether it has faults, and all of them together can only delay a call by less than a quarter of the timeout."""
    delays = [_delay_ns(fault, document) for fault in faults_of(document)]
    return bool(delays) and None not in delays and sum(one or 0 for one in delays) * SHARE < _timeout_ns(document)


def _delay_ns(fault: Entry, document: Mapping[str, Any]) -> int | None:
    """By how much a fault can delay one call; None if it can do more than that."""
    kind, timeout_ns = fault["inject"], _timeout_ns(document)
    attribute = _DELAYS.get(kind)
    if attribute is None or (attribute == "for" and "for" not in fault):
        return None
    given = [fault[key] for key in (attribute, "jitter") if key in fault]
    delay_ns: int = sum(parse_duration(one).resolve(timeout_ns) for one in given)
    if kind == "latency":
        return delay_ns * ROUND_TRIPS * (2 if fault["stream"] == "both" else 1)
    if kind == "slicer":
        piece = parse_size(fault["average_size"]) - parse_size(fault.get("size_variation", "0B"))
        return None if piece < LEAST_PIECE else delay_ns * (_bytes_at_once(document) // piece + 1)
    return delay_ns


def _bytes_at_once(document: Mapping[str, Any]) -> int:
    """The most bytes that can wait before a reply on one link: those of a join, and of all that is written."""
    values = calls = 0
    for step in steps_of(document):
        values += len(step.get("hex", "")) // 2 * int(step.get("repeat", 1))
        calls += int(step.get("calls") or step.get("times") or 1)
    return BYTES_OF_A_JOIN + BYTES_OF_A_CALL * calls + values


def _timeout_ns(document: Mapping[str, Any]) -> int:
    return parse_duration(document["world"]["timeout"]).offset_ns


def with_benign_claims(document: Mapping[str, Any], profile: Profile) -> Document:
    """The document with a claim for each step whose outcome no delay can change, if its faults are benign."""
    found = without_benign_claims(document)
    if is_benign(found) and _timeout_ns(found) >= LEAST_TIMEOUT_NS:
        names = [
            name_of(step) for step in steps_of(found) if name_of(step) in profile.ok_steps and _is_sure(step, found)
        ]
        found["expect"] += [{"id": f"{BENIGN}-{name}", "step": name, "is": "ok"} for name in names]
    return found


def without_benign_claims(document: Mapping[str, Any]) -> Document:
    """The document without these claims."""
    found = copied(document)
    found["expect"] = [one for one in claims_of(found) if not name_of(one).startswith(f"{BENIGN}-")]
    return found


def _is_sure(step: Entry, document: Document) -> bool:
    """Whether no order of calls can change how it ends.

    A call that waits for a key is sure if it begins after the one that writes the key, has all of the store's timeout,
    takes nothing away from others, and nobody deletes keys.
    """
    verbs = {step["do"], *(step.get("weights") or ())}
    if not verbs & {*AWAITING}:
        return not (step["do"] == "rendezvous" and _is_later_join(step, document))
    if "timeout" in step or "after" not in step or "queue_pop" in verbs:
        return False
    return not any(DELETING in (one["do"], *(one.get("weights") or ())) for one in steps_of(document))


def _is_later_join(step: Entry, document: Document) -> bool:
    """Whether ranks come to this join from other steps, each at its own time."""
    before = steps_of(document)[: [name_of(one) for one in steps_of(document)].index(name_of(step))]
    return any(one["do"] != "rendezvous" for one in before)
