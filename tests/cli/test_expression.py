"""Boolean expressions of `--tags` and `-k`."""

from __future__ import annotations

import pytest

from harness.cli.expression import parse
from harness.values.errors import UsageError


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a", True),
        ("x", False),
        ("not x", True),
        ("not not a", True),
        ("a and b", True),
        ("a and x", False),
        ("x or b", True),
        ("x or a and x", False),
        ("(x or a) and b", True),
        ("not (a and x)", True),
        ("not a or b", True),
        ("a-b[c=1s,d=2]", False),
    ],
)
def test_and_binds_tighter_than_or_and_not_tightest(text: str, holds: bool) -> None:
    """As in pytest, and as in Python."""
    assert parse(text, "-k")(lambda word: word in ("a", "b")) is holds


@pytest.mark.parametrize("text", ["", "  ", "and", "a and", "a b", "(a", "a)", "not", "or a", "()", "a or or b"])
def test_what_is_no_expression_is_refused_with_an_example(text: str) -> None:
    """The error names the option and what was written."""
    with pytest.raises(UsageError, match=r"--tags .* write for example 'links and not slow'"):
        parse(text, "--tags")


def test_words_like_operators_inside_others_are_words() -> None:
    """`android` is not `and`."""
    assert parse("android or nothing", "-k")(lambda word: word == "nothing")
