"""The known word that is closest to an unknown one."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import Iterable

_LONGEST_WORD = 100
_MOST_WORDS = 1000
"""To compare a word with this many takes 0.1 s; a mistyped name is found among the first of them, or not at all."""


def nearest(word: object, known: Iterable[object]) -> str:
    """The known word that is most like this one; empty if no word is close."""
    if len(str(word)) > _LONGEST_WORD:
        return ""
    words = [one for one in map(str, islice(known, _MOST_WORDS)) if len(one) <= _LONGEST_WORD]
    near = difflib.get_close_matches(str(word), words, n=1)
    if not near:
        lowered = {one.lower(): one for one in words}
        near = [lowered[close] for close in difflib.get_close_matches(str(word).lower(), lowered, n=1)]
    return near[0] if near else ""
