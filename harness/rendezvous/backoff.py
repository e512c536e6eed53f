"""How long each step of one try to join may take, and the pause before the next try: both grow from try to try."""

from __future__ import annotations

import random

from .failures import TimedOut

# Pauses are short at first, and never so long that a worker misses a master that has started for a second.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.5
_CONNECT_S = 3.0
# An answer may take as long as the look-ups that a server of torch makes before it (F11): 5 s for each lost query. The
# server would look up a new connection as well, so a client that reconnects too soon delays all others.
_SHORTEST_ANSWER_S, _LONGEST_ANSWER_S = 3.0, 30.0
# With a longer one, torch's constructor rather than the join would go on trying a server that has gone meanwhile.
LONGEST_TRY_S = 2.0


class Backoff:
    """All in seconds.

    Attributes:
        pause_s: before the next try.
        connect_s: until the name is resolved, and until the connection is there.
        answer_s: until an answer that needs no waiting.
        store_s: the longest timeout that torch's constructor gets.
    """

    def __init__(self, timeout_s: float) -> None:
        self.pause_s = _FIRST_PAUSE_S
        self.connect_s = _CONNECT_S
        self.answer_s = min(max(_SHORTEST_ANSWER_S, timeout_s / 3), _LONGEST_ANSWER_S)
        self.store_s = max(LONGEST_TRY_S, self.answer_s / 2)

    def grow(self, error: Exception) -> None:
        """After a try that failed with this error."""
        self.pause_s = min(self.pause_s * random.uniform(1.3, 1.7), _LONGEST_PAUSE_S)
        if isinstance(error, TimedOut):
            self.connect_s *= 2
            self.answer_s *= 2

    def grow_for_store(self, took_s: float) -> None:
        """After torch's constructor failed: a slow resolver will take as long again."""
        self.store_s = max(self.store_s, 2 * took_s)
