"""A thousand malformed files: each is read, or refused with places that exist; never a traceback."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as some
from ruamel.yaml import YAML

from harness.loader import load_text
from harness.loader.tree.problems import split_lines
from harness.values.errors import ScenarioError

# The examples of the format's page: together they have every form that a key may take.
FILES = [
    "regressions/a-link-that-breaks-after-the-join-costs-one-timeout",
    "regressions/a-retried-join-counts-once",
    "regressions/two-jobs-on-one-port-do-not-merge",
    "regressions/both-nodes-share-one-attempt-or-the-job-ends",
    "regressions/a-blocked-get-does-not-block-set",
    "port_conflicts/a-silent-impostor-delays-the-join-only-while-it-stays",
    "regressions/segments-do-not-change-the-join",
]
SCENARIOS = Path(__file__).parents[2] / "scenarios"
TEXTS = [(SCENARIOS / f"{name}.rdzv.yaml").read_text(encoding="utf-8") for name in FILES]
TREES = [YAML(typ="safe", pure=True).load(text) for text in TEXTS]
PATH = Path("f.rdzv.yaml")
PLACE = re.compile(r"f\.rdzv\.yaml:(\d+):(\d+): \S")

# What people mistype, and what trips parsers up.
SNIPPETS = [
    "", " ", "\n", "\t", ":", ": ", "- ",
    "[", "]", "{", "}", ",", "#", "&a ", "*a", "!x ", "!!int ", "|", ">", "?", "'",
    '"', "%", "---\n", "...", "null", "~", "on", "yes", "1.5", "-1", "0x", "1e999", ".inf", "2s",
    "\u2028", "\x85", "\ud7ff", "\u00e9", "\x00", "\ufeff", "\r",
]  # fmt: skip
WORDS = some.sampled_from(
    ["", "join", "exit", "never", "2s", "timeout", "- 1s", "workers", "9-1", "1-2", "all", "ok", "x_y", "\u20ac"]
)
VALUES: some.SearchStrategy[Any] = some.recursive(
    some.none() | some.booleans() | some.integers(-3, 10**12) | some.floats() | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS | some.integers(0, 4), inner, max_size=3),
    max_leaves=6,
)
THOUSANDS = settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def refused_properly(text: str) -> bool:
    """Read a file; whether it was refused, and then with places that exist in it, each under its caret."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            load_text(text, PATH)
        except ScenarioError as error:
            problems = error.problems
        else:
            return False
    lines = split_lines(text)
    assert problems
    for problem in problems:
        place = PLACE.match(problem)
        assert place, problem
        line, column = int(place[1]), int(place[2])
        assert 1 <= line <= len(lines), problem
        assert 1 <= column <= len(lines[line - 1]) + 1, problem
    return True


@some.composite
def misspelled(draw: some.DrawFn) -> str:
    """A sound file with a few characters deleted, put in, or exchanged."""
    text = draw(some.sampled_from(TEXTS))
    for _ in range(draw(some.integers(1, 4))):
        start = draw(some.integers(0, len(text)))
        length = draw(some.sampled_from([0, 0, 1, 1, 2, 8]))
        text = text[:start] + draw(some.sampled_from(SNIPPETS)) + text[start + length :]
    return text


def places_in(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [above, *(place for key, value in items for place in places_in(value, (*above, key)))]


def changed(tree: Any, place: tuple[Any, ...], value: Any, key: Any) -> Any:
    """A copy of the tree with another value at a place, or another key unless that is None."""
    if not place:
        return value
    step, further = place[0], place[1:]
    if isinstance(tree, list):
        return [changed(one, further, value, key) if index == step else one for index, one in enumerate(tree)]
    if key is not None and not further:
        return {(key if name == step else name): one for name, one in tree.items()}
    return {name: changed(one, further, value, key) if name == step else one for name, one in tree.items()}


@some.composite
def mistyped(draw: some.DrawFn) -> Any:
    """The keys of a sound file with a few values, or keys, exchanged for something else."""
    tree = draw(some.sampled_from(TREES))
    for _ in range(draw(some.integers(1, 3))):
        place = draw(some.sampled_from(places_in(tree)[1:] or [()]))
        tree = changed(tree, place, draw(VALUES), draw(some.none() | WORDS))
        if not isinstance(tree, dict):
            break
    return tree if isinstance(tree, dict) else {}


@seed(1)
@THOUSANDS
@given(misspelled())
def test_misspelled_files_give_no_traceback(text: str) -> None:
    """Characters deleted, inserted and exchanged."""
    refused_properly(text)


@seed(2)
@settings(THOUSANDS, max_examples=60)
@given(mistyped())
def test_mistyped_keys_give_no_traceback(tree: dict[Any, Any]) -> None:
    """Values and keys of other types and other meaning."""
    written_and_refused(tree)


@pytest.mark.nightly
@seed(2)
@settings(THOUSANDS, max_examples=1000)
@given(mistyped())
def test_a_thousand_mistyped_trees_give_no_traceback(tree: dict[Any, Any]) -> None:
    """The same at night, with more of them."""
    written_and_refused(tree)


def written_and_refused(tree: dict[Any, Any]) -> None:
    """Write a tree as YAML and read it."""
    target = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, target)
    refused_properly(target.getvalue())


@settings(max_examples=100, deadline=None, database=None)
@seed(3)
@given(some.text(max_size=200))
def test_any_text_gives_no_traceback(text: str) -> None:
    """What is no scenario at all."""
    assert refused_properly(text)
