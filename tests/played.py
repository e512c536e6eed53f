"""A play on paper: operations go in one by one, as a log would record them, and its progress can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.scenario.moment import SeenMoment, WireMoment
from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.progress import FoldedProgress
from harness.schedule.schedule import lives_of
from harness.values.ops import (
    CONTROLLER,
    DISMISS,
    FAIL,
    GATE,
    INFO,
    INVOKE,
    LAUNCH,
    NEMESIS,
    NEVER_START,
    OK,
    REAP,
    RELEASE,
    RESUME,
    SEEN,
    SUSPEND,
    WIRE,
    WORKER,
    ErrorInfo,
    Op,
    Process,
)

S = 1_000_000_000
BEGIN = 100 * S
"""When the clock of the play starts; `at` is in seconds from here."""


class Played:
    """The operations of one play so far, and the progress that they fold into."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.progress = FoldedProgress(lives_of(scenario))
        self.ops: list[Op] = []
        self.note("start", at=0)

    def record(self, op: Op) -> Played:
        self.ops.append(op)
        self.progress.fold(op)
        return self

    def note(self, f: str, value: Any = None, at: float = 0) -> Played:
        """Something that the controller did or saw."""
        return self.record(Op(_ns(at), Process(None, CONTROLLER), OK, f, value=value))

    def launch(self, *ranks: int, life: int = 1, at: float = 0) -> Played:
        return self.note(LAUNCH, {"ranks": list(ranks), "life": life}, at)

    def release(self, *ranks: int, at: float = 0) -> Played:
        return self.note(RELEASE, {"ranks": list(ranks)}, at)

    def begun(self) -> Played:
        """All ranks are there and were released at the start."""
        ranks = range(self.scenario.world.size)
        return self.launch(*ranks).release(*ranks)

    def never_start(self, rank: int) -> Played:
        return self.note(NEVER_START, {"rank": rank, "because": "the rank never comes"})

    def gate(self, go: Sequence[tuple[int, int, int]] = (), skip: Sequence[tuple[int, int, int]] = ()) -> Played:
        return self.note(GATE, {"go": [list(gate) for gate in go], "skip": [list(gate) for gate in skip]})

    def suspend(self, rank: int, at: float) -> Played:
        return self.note(SUSPEND, {"rank": rank}, at)

    def resume(self, rank: int, at: float) -> Played:
        return self.note(RESUME, {"rank": rank}, at)

    def dismiss(self, at: float = 0) -> Played:
        return self.note(DISMISS, at=at)

    def reap(self, rank: int, life: int = 1, at: float = 0) -> Played:
        """The rank's process has ended."""
        return self.note(REAP, {"rank": rank, "life": life, "status": 0, "by": ""}, at)

    def passed(self, message: WireMoment, at: float) -> Played:
        return self.note(WIRE, message.message.to_json(), at)

    def seen(self, sight: SeenMoment, at: float) -> Played:
        return self.note(SEEN, {**sight.sight.to_json(), "before_ns": _ns(at)}, at)

    def inject(self, name: str, at: float = 0, failed: bool = False) -> Played:
        return self.record(Op(_ns(at), Process(None, NEMESIS), FAIL if failed else OK, "inject", step=name))

    def heal(self, name: str, at: float = 0) -> Played:
        return self.record(Op(_ns(at), Process(None, NEMESIS), OK, "heal", step=name))

    def call(
        self, name: str, rank: int, outcome: str | None = "ok", at: float = 1, life: int = 1, number: int = 1
    ) -> Played:
        """One call that began at `at` seconds and, unless outcome is None, ended then."""
        f = EXIT if name == EXIT else self.scenario.step(name).do
        if outcome != "skipped":
            self.record(Op(_ns(at), Process(rank, life=life), INVOKE, f, step=name, call=number))
        return self if outcome is None else self.end(name, rank, outcome, at, life, number)

    def end(self, name: str, rank: int, outcome: str = "ok", at: float = 1, life: int = 1, number: int = 1) -> Played:
        """The end of one call."""
        f = EXIT if name == EXIT else self.scenario.step(name).do
        type = {"ok": OK, "failed": FAIL}.get(outcome, INFO)
        value = {"outcome": outcome, "because": "so it is"} if type == INFO else None
        error = ErrorInfo("RuntimeError", ("RuntimeError",), "no") if type == FAIL else None
        process = Process(rank, life=life)
        return self.record(Op(_ns(at), process, type, f, step=name, call=number, value=value, error=error))

    def worker(self, rank: int, life: int = 1, at: float = 0) -> Played:
        """A torchrun worker is there."""
        return self.record(Op(_ns(at), Process(rank, life=life), INFO, WORKER, value={"pid": 1000 + rank}))

    def worker_ended(self, rank: int, life: int = 1, at: float = 0) -> Played:
        value = {"ended": True, "status": 0, "by": ""}
        return self.record(Op(_ns(at), Process(rank, life=life), INFO, WORKER, value=value))


def _ns(at: float) -> int:
    return BEGIN + int(at * S)
