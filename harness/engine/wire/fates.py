"""What becomes of the messages of one direction: each is followed by its bytes, through all toxics, until it is sent.

Toxics neither change nor reorder bytes, they only delay, split and swallow them. So a message has passed when its last
byte was written, and was dropped when a toxic took its bytes and asked for more without sending them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.engine.chunk import Chunk
from harness.engine.script import Receive, Script, Send
from harness.engine.wire.log import LoggedMessage
from harness.values.wire import CUT, DROPPED, PASSED


@dataclass
class Ending:
    """What the two directions of a connection share: the toxic that ended it; empty if none did."""

    by: str = ""


class Fates:
    """The messages of one direction that are under way, oldest first."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._under_way: list[LoggedMessage] = []

    # -- at the entrance -----------------------------------------------------------------------------------------------

    def begin(self, message: LoggedMessage, at: int) -> None:
        """A message begins at this place of the stream."""
        message.begin = at
        self._under_way.append(message)

    def drop(self, message: LoggedMessage, by: str) -> None:
        """A toxic swallows a message, from its first byte on."""
        message.fate, message.by = DROPPED, by
        if self._under_way and self._under_way[-1] is message:
            self._under_way.pop()

    # -- in the toxics -------------------------------------------------------------------------------------------------

    def cut_by(self, toxic: str) -> None:
        """This toxic ends the connection; only the first one counts."""
        self._ending.by = self._ending.by or toxic

    def follow(self, script: Script, toxic: str) -> Script:
        """A toxic's script, unchanged; what it swallows, and that it ends the stream, is noted."""
        taken = sent = 0
        is_over = False
        try:
            action = script.send(None)
            while True:
                if isinstance(action, Receive) and taken > sent:
                    self._swallowed(sent, taken, toxic)
                    sent = taken
                elif isinstance(action, Send) and action.item is not None:
                    sent = action.item.at + len(action.item.data)
                elif isinstance(action, Send) and not is_over:
                    self.cut_by(toxic)
                answer: Any = yield action
                if isinstance(action, Receive):
                    is_over = answer is None
                    if isinstance(answer, Chunk):
                        sent, taken = answer.at, answer.at + len(answer.data)
                action = script.send(answer)
        except StopIteration:
            return

    def _swallowed(self, begin: int, end: int, by: str) -> None:
        lost = [one for one in self._under_way if one.begin < end and one.end > begin]
        for message in lost:
            message.fate, message.by = DROPPED, by
        if lost:
            self._under_way = [one for one in self._under_way if one.fate != DROPPED]

    # -- at the exit ---------------------------------------------------------------------------------------------------

    def sent(self, end: int, now_ns: int) -> None:
        """All bytes before this place that were not swallowed have been written, the last of them after this time."""
        under_way = self._under_way
        if not under_way or under_way[0].end > end:
            return
        count = 0
        for message in under_way:
            if message.end > end:
                break
            message.fate, message.sent_ns = PASSED, now_ns
            count += 1
        del under_way[:count]

    def close(self) -> None:
        """Nothing more is written."""
        for message in self._under_way:
            message.fate, message.by = CUT, self._ending.by or message.by
        self._under_way.clear()
