"""How long each step of a join's try may take, and the pause before the next try: all grow from try to try."""

from __future__ import annotations

import random

from harness.rendezvous.failures import Silent

# Pauses are short at first, and never so long that a master that has come is missed for a second.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.5
_CONNECT_S = 3.0
# An answer may take as long as look-ups that a server of torch makes before it (F11): 5 s for each query that is lost.
# It would look a new connection up as well, so that whoever comes again too soon keeps all others waiting.
_SHORTEST_ANSWER_S, _LONGEST_ANSWER_S = 3.0, 30.0
# Longer, and a server that has gone meanwhile would be sought by torch's constructor rather than by the join.
LONGEST_TRY_S = 2.0


class Patience:
    """All in seconds.

    Attributes:
        pause_s: before the next try.
        connect_s: until the name is resolved, and until the connection is there.
        answer_s: until what can be answered at once is.
        store_s: what torch's constructor is told at most.
    """

    def __init__(self, timeout_s: float) -> None:
        self.pause_s = _FIRST_PAUSE_S
        self.connect_s = _CONNECT_S
        self.answer_s = min(max(_SHORTEST_ANSWER_S, timeout_s / 3), _LONGEST_ANSWER_S)
        self.store_s = max(LONGEST_TRY_S, self.answer_s / 2)

    def grow(self, error: Exception) -> None:
        """After a try that met this."""
        self.pause_s = min(self.pause_s * random.uniform(1.3, 1.7), _LONGEST_PAUSE_S)
        if isinstance(error, Silent):
            self.connect_s *= 2
            self.answer_s *= 2

    def grow_for_store(self, took_s: float) -> None:
        """After torch's constructor failed: what a slow resolver takes it will take again."""
        self.store_s = max(self.store_s, 2 * took_s)
