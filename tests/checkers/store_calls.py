"""Histories of store calls, and how `linearizable` judges them."""

from __future__ import annotations

from typing import Any

from pasts import Past, scenario

from harness.checkers.linearizable import Linearizable
from harness.values.verdict import Verdict


class Calls:
    """Calls of three ranks; each takes a tenth of a second, one after another, unless its times are given."""

    def __init__(self) -> None:
        self.past = Past(3).all_join()
        self._now = 1.0
        self._made = 0

    def call(
        self,
        rank: int,
        verb: str,
        *keys: str,
        returned: Any = None,
        outcome: str = "ok",
        at: tuple[float, float | None] | None = None,
        run_id: str = "train",
        **arguments: Any,
    ) -> Calls:
        begin, end = at or (self._now, self._now + 0.1)
        self._now, self._made = max(self._now, begin) + 1, self._made + 1
        named: dict[str, Any] = {"key": keys[0]} if len(keys) == 1 else {"keys": list(keys)} if keys else {}
        self.past.call(
            rank, f"{verb}-{self._made}", begin, end, outcome, f=verb, arguments={**named, **arguments},
            value=returned if outcome == "ok" else None, run_id=run_id, handler="main",
        )  # fmt: skip
        return self

    def judged(self, **parameters: Any) -> Verdict:
        return Linearizable().check(scenario(size=3), self.past.whole(), parameters)


def status(calls: Calls, **parameters: Any) -> str:
    return calls.judged(**parameters).status
