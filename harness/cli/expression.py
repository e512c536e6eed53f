"""`slow and not (links or ports)`: boolean expressions over words, as pytest's `-m` and `-k` read them."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.values.errors import UsageError

Matches = Callable[[str], bool]
Expression = Callable[[Matches], bool]

MOST_NESTED = 100
"""How often `not` and parentheses may stand in an expression: each is a call inside another."""
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")
_WORDS = ("and", "or", "not", "(", ")")


def parse(text: str, option: str) -> Expression:
    """A function that says whether the expression holds, given which words match.

    Raises UsageError, naming the option, for an invalid expression.
    """
    parser = _Parser(text, option)
    expression = parser.alternatives()
    parser.finish()
    return expression


class _Parser:
    """alternatives = conjunction {or conjunction}; conjunction = term {and term}; term = not term | (...) | word."""

    def __init__(self, text: str, option: str) -> None:
        self._text, self._option = text, option
        self._tokens = _TOKEN.findall(text)
        self._position = 0
        nested = sum(token in ("(", "not") for token in self._tokens)
        if nested > MOST_NESTED:
            raise UsageError(f"{option}: {nested} times `not` or a parenthesis; write at most {MOST_NESTED}")

    def alternatives(self) -> Expression:
        parts = [self._conjunction()]
        while self._take("or"):
            parts.append(self._conjunction())
        return lambda matches: any(part(matches) for part in parts)

    def _conjunction(self) -> Expression:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return lambda matches: all(part(matches) for part in parts)

    def _term(self) -> Expression:
        if self._take("not"):
            negated = self._term()
            return lambda matches: not negated(matches)
        if self._take("("):
            inner = self.alternatives()
            if not self._take(")"):
                raise self._problem("a closing parenthesis")
            return inner
        word = self._peek()
        if word is None or word in _WORDS:
            raise self._problem("a word")
        self._position += 1
        return lambda matches: matches(word)

    def finish(self) -> None:
        if self._peek() is not None:
            raise self._problem("`and`, `or` or the end")

    def _peek(self) -> str | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._position += 1
        return True

    def _problem(self, wanted: str) -> UsageError:
        there = self._peek()
        found = "it ends" if there is None else f"there is {there!r}"
        return UsageError(
            f"{self._option} {self._text!r}: where {wanted} should be, {found}; write for example 'links and not slow'"
        )
