"""The verdicts on histories that others have published are theirs."""

from __future__ import annotations

import os
from pathlib import Path

import published
import pytest
from brute_force import is_linearizable, part

from harness.linearizability.calls import Timed
from harness.linearizability.components import components, decide
from harness.linearizability.model import UNKNOWN, Action
from harness.linearizability.search import LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED, Budget, search

PUSH, POP = "queue_push", "queue_pop"


def queue(*calls: tuple[str, str, int, int | None]) -> list[Timed]:
    """Calls on one queue: verb, text, begin and end; without an end it has not returned."""
    parts = []
    for number, (verb, text, begun, ended) in enumerate(calls):
        result = None if verb == PUSH else text if ended is not None else UNKNOWN
        action = Action(verb, ("q",), (text,) if verb == PUSH else (), result)
        parts.append(part(f"call-{number}", action, begun, ended, must=ended is not None))
    return parts


# M. Herlihy and J. Wing, Linearizability: a correctness condition for concurrent objects, ACM TOPLAS 12(3), 1990,
# section 1: the four histories of a queue, with E(x) as a push and D() as a pop.
HERLIHY_WING = {
    "H1": (queue((PUSH, "x", 1, 4), (PUSH, "y", 2, 3), (POP, "x", 5, 7), (POP, "y", 6, 8), (PUSH, "z", 9, None)), True),
    "H2": (queue((PUSH, "x", 1, 2), (PUSH, "y", 3, 4), (POP, "y", 5, 6)), False),
    "H3": (queue((PUSH, "x", 1, None), (POP, "x", 2, 3)), True),
    "H4": (queue((PUSH, "x", 1, 3), (PUSH, "y", 2, 4), (POP, "y", 5, 7), (POP, "y", 6, 8)), False),
}


@pytest.mark.parametrize("name", HERLIHY_WING)
def test_the_queues_of_herlihy_and_wing_are_judged_as_in_their_paper(name: str) -> None:
    """H1 and H3 are linearizable, H2 and H4 are not; trying every order says the same."""
    parts, expected = HERLIHY_WING[name]
    (component,) = components(parts)
    verdict = decide(component, Budget(10_000), Budget(10_000)).verdict
    assert verdict == (LINEARIZABLE if expected else NOT_LINEARIZABLE)
    assert is_linearizable(parts) is expected


def _porcupine() -> Path:
    checkout = os.environ.get("RDZV_PORCUPINE")
    if not checkout:
        pytest.skip("RDZV_PORCUPINE names no checkout of https://github.com/anishathalye/porcupine")
    return Path(checkout)


def _verdict(parts: list[Timed]) -> str:
    """That of the first component without an order, else of one that is undecided, else linearizable."""
    verdict = LINEARIZABLE
    for component in components(parts):
        found = decide(component, Budget(1_000_000), Budget(0)).verdict
        if found == NOT_LINEARIZABLE:
            return found
        verdict = found if found == UNDECIDED else verdict
    return verdict


def _as_published(expected: bool) -> str:
    return LINEARIZABLE if expected else NOT_LINEARIZABLE


def test_jepsens_logs_of_etcd_have_the_published_verdicts() -> None:
    """All of them, with compare-and-set and with calls that timed out."""
    histories = list(published.jepsen(_porcupine()))
    assert len(histories) > 100
    verdicts = {name: search(operations, None, Budget(200_000)).verdict for name, operations, _ in histories}
    assert verdicts == {name: _as_published(expected) for name, _, expected in histories}


def test_logs_of_a_key_value_store_have_the_published_verdicts() -> None:
    """Up to 50 clients, good and bad."""
    histories = list(published.key_values(_porcupine()))
    assert len(histories) == 6
    verdicts = {name: _verdict(parts) for name, parts, _ in histories}
    assert verdicts == {name: _as_published(expected) for name, _, expected in histories}
