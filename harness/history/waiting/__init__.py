"""Who waits for whom: the calls of a run that got no answer in time, what each waited for, and a sentence about it."""

from harness.history.waiting.edges import Edge
from harness.history.waiting.sentence import Waits
from harness.history.waiting.waiting import who_waits

__all__ = ["Edge", "Waits", "who_waits"]
