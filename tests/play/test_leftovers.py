"""What is looked for when a play is over, by a process that may itself stand still."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harness.play import leftovers
from harness.play.leftovers import LIMIT_NS, left_behind
from harness.worlds.base import WorldSession


class Session:
    """A world of which one process is there at the first look only; this process stands still after that look."""

    hosts = ()

    def __init__(self) -> None:
        self.now_ns = 1
        self.looks = 0

    @property
    def children(self) -> Session:
        return self

    def others(self) -> list[int]:
        self.looks += 1
        if self.looks > 1:
            return []
        self.now_ns += 6 * LIMIT_NS
        return [1 << 22]

    def fileno(self) -> int:
        return 0

    def reap(self) -> None: ...


def test_who_stood_still_while_looking_looks_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before is gone by then: the limit had passed without a look."""
    session: Any = Session()
    monkeypatch.setattr(leftovers.clock, "now_ns", lambda: session.now_ns)
    monkeypatch.setattr(leftovers.select, "select", lambda *_: None)
    left = left_behind(cast(WorldSession, session), frozenset(), frozenset())
    assert left == {"processes": [], "sockets": [], "waited_ns": 6 * LIMIT_NS}
