"""Written files: they say the same as their keys, and look as a person lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as any_of
from ruamel.yaml import YAML

from harness.loader import load_text, written
from harness.loader.writing import WIDTH
from harness.values.errors import ScenarioError

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def every_eighth() -> list[Path]:
    return sorted(SCENARIOS.rglob("*.rdzv.yaml"))[::8]


@pytest.mark.parametrize("path", every_eighth(), ids=lambda path: path.name)
def test_a_file_that_is_written_again_says_the_same(path: Path) -> None:
    """The keys, their order, and every value come back; nothing depends on how the first file was laid out."""
    keys = read(path.read_text())
    again = read(written(keys))
    assert again == keys
    assert [*again] == [*keys]


def test_a_file_loads_again_as_the_same_scenario() -> None:
    """The loader finds the same steps, faults and claims in the written file as in the first."""
    path = SCENARIOS / "store_reuse" / "a-second-round-reuses-the-store.rdzv.yaml"
    (first,), (again,) = load_text(path.read_text(), path), load_text(written(read(path.read_text())), path)
    assert (again.world, [step.name for step in again.steps]) == (first.world, [step.name for step in first.steps])


VALUES = any_of.recursive(
    any_of.text(any_of.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
    | any_of.sampled_from(["yes", "null", "~", "1", "1e3", "0x1f", "1:20", "true", "- a", "a: b", "#", "250ms", ""])
    | any_of.integers(-(2**63), 2**63)
    | any_of.booleans()
    | any_of.floats(allow_nan=False, allow_infinity=False, width=32),
    lambda values: (
        any_of.lists(values, max_size=4) | any_of.dictionaries(any_of.text("abc-", min_size=1), values, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


@given(any_of.dictionaries(any_of.sampled_from(["title", "world", "workload", "faults", "matrix"]), VALUES, min_size=1))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_read_back(keys: dict[str, Any]) -> None:
    """Texts that look like numbers or flags, empty ones, nested lists: each comes back as what it was."""
    assert read(written(keys)) == keys


def test_steps_faults_and_claims_are_lines() -> None:
    """A line for each, as in the files of this project; one that is too long has a line for each of its keys."""
    keys = {
        "title": "A claim, with a comma",
        "world": {"size": 2, "timeout": "1s", "ranks": {1: {"start": "300ms"}}},
        "workload": [{"id": "join", "do": "rendezvous"}, {"do": "set", "ranks": 0, "key": "k", "value": "1"}],
        "faults": [{"inject": "kill", "ranks": 0, "after": {"step": "join", "is": "ok"}, "for": "2 * timeout"}],
        "expect": [{"id": "long", "step": "join", "is": "ok", "message": ["a" * 60, "b" * 60]}],
    }  # fmt: skip
    assert written(keys) == (
        "title: A claim, with a comma\n"
        "world: {size: 2, timeout: 1s, ranks: {1: {start: 300ms}}}\n"
        "workload:\n"
        "  - {id: join, do: rendezvous}\n"
        '  - {do: set, ranks: 0, key: k, value: "1"}\n'
        "faults:\n"
        "  - {inject: kill, ranks: 0, after: {step: join, is: ok}, for: 2 * timeout}\n"
        "expect:\n"
        "  - id: long\n"
        "    step: join\n"
        "    is: ok\n"
        "    message:\n"
        f"      - {'a' * 60}\n"
        f"      - {'b' * 60}\n"
    )


def test_lines_are_short() -> None:
    """No line of a written file is much longer than the limit, unless one text alone is."""
    longest = [max(map(len, written(read(path.read_text())).splitlines())) for path in every_eighth()]
    assert sum(length > WIDTH + 10 for length in longest) <= 1


def test_what_no_file_can_hold_is_refused() -> None:
    """An object of Python, or a list inside itself, is refused with what to give instead."""
    endless: list[Any] = []
    endless.append(endless)
    for value in (object(), endless):
        with pytest.raises(ScenarioError, match="give dicts, lists, text, numbers and flags only"):
            written({"title": value})
