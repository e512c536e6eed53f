"""The search gives the verdict of trying every order, on hundreds of small histories of every kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from brute_force import is_linearizable, part
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.linearizability.calls import Timed
from harness.linearizability.components import components, decide
from harness.linearizability.model import UNKNOWN, Action
from harness.linearizability.search import LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED, Budget

TEXTS = st.sampled_from(["1", "2", "12"])
KEYS = st.sampled_from(["a", "b"])
BOOL = st.booleans()


def on_a_key(verb: str, arguments: st.SearchStrategy[tuple[object, ...]], result: object) -> st.SearchStrategy[Action]:
    results = result if isinstance(result, st.SearchStrategy) else st.just(result)
    return st.builds(Action, st.just(verb), KEYS.map(lambda key: (key,)), arguments, results)


NOTHING: st.SearchStrategy[tuple[object, ...]] = st.just(())
VALUES = [
    on_a_key("set", st.tuples(TEXTS), None),
    on_a_key("append", st.tuples(TEXTS), None),
    on_a_key("get", NOTHING, TEXTS),
    on_a_key("wait", NOTHING, None),
    on_a_key("check", NOTHING, BOOL),
    on_a_key("delete_key", NOTHING, BOOL),
    on_a_key("add", st.tuples(st.sampled_from([0, 1])), st.sampled_from([1, 2, 3, 13])),
    on_a_key("compare_set", st.tuples(st.sampled_from(["", "1"]), TEXTS), st.sampled_from(["", "1", "2", "12"])),
]
PAIR = ("a", "b")
PAIRS = [
    st.builds(Action, st.just("multi_set"), st.just(PAIR), st.tuples(TEXTS, TEXTS), st.none()),
    st.builds(Action, st.just("multi_get"), st.just(PAIR), NOTHING, st.tuples(TEXTS, TEXTS)),
    st.builds(Action, st.just("check"), st.just(PAIR), NOTHING, BOOL),
]
QUEUES = [
    on_a_key("queue_push", st.tuples(TEXTS), None),
    on_a_key("queue_pop", NOTHING, TEXTS),
    on_a_key("check", NOTHING, BOOL),
    on_a_key("wait", NOTHING, None),
]


@st.composite
def histories(draw: st.DrawFn, kinds: list[st.SearchStrategy[Action]], most: int = 5) -> list[Timed]:
    """A few parts: some certain, some that may have been done, some that follow another on its connection."""
    parts: list[Timed] = []
    for number in range(draw(st.integers(2, most))):
        action = draw(st.one_of(kinds))
        begun, lasted = draw(st.integers(0, 8)), draw(st.integers(0, 6))
        must = draw(st.integers(0, 3)) > 0
        if not must and action.verb in ("add", "compare_set", "delete_key", "queue_pop"):
            action = Action(action.verb, action.keys, action.arguments, UNKNOWN)
        follows = tuple(
            earlier
            for earlier in parts[-1:]
            if draw(st.integers(0, 3)) == 0 and earlier.begun_ns <= begun and (earlier.must or not must)
        )
        parts.append(part(f"call-{number}", action, begun, begun + lasted if must else None, must, follows))
    return parts


def verdict(parts: list[Timed]) -> str:
    """The worst of the verdicts on all components."""
    found = {decide(one, Budget(100_000), Budget(100_000)).verdict for one in components(parts)}
    return next(one for one in (NOT_LINEARIZABLE, UNDECIDED, LINEARIZABLE) if one in found)


SEEN: Counter[str] = Counter()


@pytest.mark.parametrize("kinds", [VALUES, [*VALUES[:5], *PAIRS], QUEUES], ids=["values", "pairs", "queues"])
def test_the_search_agrees_with_trying_every_order(kinds: list[st.SearchStrategy[Action]]) -> None:
    """Registers, counters, appends, comparisons and queues, one key or two at once, with and without doubt."""

    @settings(max_examples=200, deadline=None)
    @given(histories(kinds))
    def agrees(parts: list[Timed]) -> None:
        # An `after` between keys of different components is not used, because each is searched alone.
        expected = (
            LINEARIZABLE if all(is_linearizable(_alone(one.parts)) for one in components(parts)) else NOT_LINEARIZABLE
        )
        SEEN[expected] += 1
        assert verdict(parts) == expected

    SEEN.clear()
    agrees()
    assert min(SEEN[LINEARIZABLE], SEEN[NOT_LINEARIZABLE]) >= 20, f"too few of one kind: {SEEN}"


def _alone(parts: tuple[Timed, ...]) -> list[Timed]:
    inside = {one.identity for one in parts}
    return [replace(one, after=tuple(each for each in one.after if each.identity in inside)) for one in parts]


@settings(max_examples=80, deadline=None)
@given(histories([*VALUES[:5], *PAIRS]))
def test_keys_can_be_searched_apart(parts: list[Timed]) -> None:
    """Linearizability is local: the whole history has an order exactly if each component has."""
    free = [part(one.call.step, one.action, one.begun_ns, one.ended_ns, one.must) for one in parts]
    assert is_linearizable(free) is all(is_linearizable(one.parts) for one in components(free))


@settings(max_examples=80, deadline=None)
@given(histories(VALUES))
def test_the_impossible_call_is_the_first_by_whose_end_no_order_is_left(parts: list[Timed]) -> None:
    """What had ended before it has an order, with whatever else had begun; what had ended with it has none."""

    def until(all_parts: tuple[Timed, ...], time: int) -> list[Timed]:
        begun = [one for one in _alone(all_parts) if one.begun_ns <= time]
        return [one if one.ended_ns is not None and one.ended_ns <= time else replace(one, must=False) for one in begun]

    for component in components(parts):
        found = decide(component, Budget(100_000), Budget(100_000))
        if found.verdict == NOT_LINEARIZABLE:
            assert found.first_end_ns is not None
            assert not is_linearizable(until(component.parts, found.first_end_ns))
            earlier = [one.ended_ns for one in component.parts if one.must and one.ended_ns is not None]
            before = max((end for end in earlier if end < found.first_end_ns), default=None)
            assert before is None or is_linearizable(until(component.parts, before))


def test_a_write_that_changes_nothing_now_may_be_needed_later() -> None:
    """The second set of the same text comes after the delete, although it could also come before it."""
    first = part("first", Action("set", ("b",), ("2",)), 0, 0)
    gone = part("gone", Action("delete_key", ("b",), (), True), 0, 0, after=(first,))
    there = part("there", Action("wait", ("b",)), 1, 1, after=(gone,))
    second = part("second", Action("set", ("b",), ("2",)), 0, 0)
    assert verdict([first, gone, there, second]) == LINEARIZABLE
