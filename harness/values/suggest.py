"""The known word that is closest to an unknown one."""

from __future__ import annotations

import difflib
from typing import Iterable


def nearest(word: object, known: Iterable[object]) -> str:
    """The known word that is most like this one; empty if no word is close."""
    words = [str(one) for one in known]
    near = difflib.get_close_matches(str(word), words, n=1)
    if not near:
        lowered = {one.lower(): one for one in words}
        near = [lowered[close] for close in difflib.get_close_matches(str(word).lower(), lowered, n=1)]
    return near[0] if near else ""
