"""Every problem of a file comes at once, wherever it is found: in validation, between entries, or in the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.loader import load_text
from harness.loader.keys.kinds import KINDS
from harness.values.attribute import ATTRIBUTE_KINDS
from harness.values.errors import ScenarioError

FILE = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {id: read, do: get, ranks: 1, key: a}
faults:
  - {id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join}
expect:
  - {step: join, is: ok}
"""


def messages(*changes: tuple[str, str]) -> list[str]:
    """Line and message of each problem of the file with these changes."""
    text = FILE
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f"))
    return [f"{first.split(':')[1]}: {first.split(': ', 1)[1]}" for first in map(_first_line, caught.value.problems)]


def _first_line(problem: str) -> str:
    return problem.split("\n")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("ranks: 1, key", "ranks: 5, key"), "6: there is no rank 5 in a world of size 2"),
        (("ranks: 1, key: a", "ranks: 1, key: a, after: nobody"), "6: there is no step or fault named 'nobody'"),
        (("ranks: 1, key: a", "ranks: 1, key: a, after: 1s - 2s"), "6: a duration cannot be negative here"),
        (("timeout: 2s", "timeout: 1500ms"), "3: 1.5 s is not a whole number of seconds, and stock would cut it"),
        (("size: 2", "size: 2, ranks: {1: {timeout: 0s}}"), "3: a timeout must be longer than 0s"),
        (("size: 2", "size: 2, ranks: {1: {start: -1s}}"), "3: '-1s' is not a duration with a unit"),
    ],
)
def test_a_wrong_reference_hides_no_problem_between_entries(change: tuple[str, str], message: str) -> None:
    """A circle, and a handler that nothing builds, are reported beside a value that refers to nothing."""
    circle = ("do: rendezvous", "do: rendezvous, after: cut")
    handler = ("do: get,", "do: get, handler: other,")
    assert sorted(messages(change, circle, handler)) == sorted(
        [
            message,
            "6: no step builds a handler 'other'",
            "8: this waits for itself: 'join' waits for 'cut', which waits for 'join'",
        ]
    )


def test_an_entry_of_unknown_kind_hides_no_other_entry() -> None:
    """Each entry of each list is checked, also beside an unknown step, fault and check."""
    assert messages(
        ("do: get,", "do: gett,"), ("inject: blackhole", "inject: blakhole"), ("is: ok", "is: okk}\n  - {check: x")
    ) == [
        "6: there is no step 'gett'",
        "8: there is no fault 'blakhole'",
        "10: `is` cannot be the text 'okk'",
        "11: there is no check 'x'",
    ]


def test_what_stands_in_known_is_checked_once_for_all_cells() -> None:
    """A pattern that fits no cell is one problem, however many cells there are."""
    known = "known:\n  - {subject: static, breaks: [join], because: so, cells: {world.size: 3}}\nexpect:"
    matrix = "matrix: {world.size: [2, 3], world.timeout: [1s, 2s]}\nexclude: [{world.size: 3}]\nfaults:"
    assert messages(("faults:", matrix), ("expect:", known)) == ["12: this fits no cell that is played"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("{inject: cpu_limit, run: 1us}", "8: `run` cannot be 1us"),
        ("{inject: memory_limit, spare: 1B}", "8: `spare` cannot be 1B"),
        ("{inject: strangers, connections: 0}", "8: `connections` cannot be 0"),
        ("{inject: latency, stream: both, latency: 1s - 2s}", "8: `latency` cannot be 1s - 2s"),
    ],
)
def test_bounds_of_every_kind_are_checked_in_the_same_words(fault: str, message: str) -> None:
    """A quantity out of bounds gets the words of a number out of bounds."""
    line = "{id: cut, inject: blackhole, ranks: 1, stream: downstream, after: join}"
    assert messages((line, fault)) == [message]


def test_a_bound_is_named_with_its_unit() -> None:
    """What to write instead is a bound as it would stand in the file."""
    text = FILE.replace("inject: blackhole, ranks: 1, stream: downstream", "inject: memory_limit, spare: 1B")
    with pytest.raises(ScenarioError, match="write at least 1MiB"):
        load_text(text, Path("f"))


def test_every_kind_of_attribute_is_in_the_table() -> None:
    """What a member may declare, the loader can read, write and explain."""
    assert set(KINDS) == set(ATTRIBUTE_KINDS)
