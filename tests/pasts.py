"""Histories and scenarios built by hand: one line for each call, times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.scenario.moment import START, SeenMoment, WireMoment
from harness.scenario.scenario import EXIT, HandlerConfig, RankSpec, Scenario, Step, World
from harness.values.history import History
from harness.values.ops import (
    CONTROLLER,
    FAIL,
    INFO,
    INVOKE,
    LINK,
    NEMESIS,
    OK,
    SEEN,
    WIRE,
    WORKER,
    ErrorInfo,
    Op,
    Process,
)
from harness.values.stall import LAG, STOPPED, Stall

SECOND = 1_000_000_000
ZERO = 1_000 * SECOND

NETWORK = ErrorInfo("DistNetworkError", ("DistNetworkError", "DistError", "RuntimeError", "Exception"), "reset by peer")
TIMEOUT = ErrorInfo(
    "DistStoreError", ("DistStoreError", "DistError", "RuntimeError", "Exception"), "1/2 clients joined"
)
RUNTIME = ErrorInfo("RuntimeError", ("RuntimeError", "Exception"), "Connection refused\nException raised from here")


def at(seconds: float) -> int:
    """A time in seconds after the clock started."""
    return ZERO + round(seconds * SECOND)


class Past:
    """A history in the making; each method adds operations and returns the past itself."""

    def __init__(self, size: int = 2, subject: str = "static", torch: str | None = "2.15.0+cpu", **begin: Any) -> None:
        self.size = size
        self._ops: list[Op] = []
        self._ends: dict[int, list[Op]] = {rank: [] for rank in range(size)}
        versions = {"harness": "0.1.0", "python": "3.11.4", **({"torch": torch} if torch else {})}
        self._own(
            -0.01, CONTROLLER, OK, "begin", value={"subject": subject, "size": size, "versions": versions, **begin}
        )
        self._own(0, CONTROLLER, OK, "start")

    def _own(self, seconds: float, who: str, type: str, f: str, **rest: Any) -> Past:
        self._ops.append(Op(at(seconds), Process(None, who), type, f, **rest))
        return self

    def call(
        self,
        rank: int,
        step: str,
        begin: float | None,
        end: float | None,
        outcome: str = "ok",
        *,
        f: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        value: Any = None,
        error: ErrorInfo | None = None,
        thread: str = "main",
        life: int = 1,
        number: int = 1,
        lag: float = 0,
        cpu: float = 0,
        **rest: Any,
    ) -> Past:
        """One call; `begin` None was skipped, `end` None still runs. `f` is the step's name unless given."""
        who, verb = Process(rank, thread, life), f or step
        if begin is not None:
            self._ops.append(Op(at(begin), who, INVOKE, verb, step, number, value=dict(arguments or {}), **rest))
        if end is not None:
            type = {"ok": OK, "failed": FAIL}.get(outcome, INFO)
            shown = value if type == OK else {"outcome": outcome, **(value or {})} if type == INFO else None
            raised = (error or NETWORK) if type == FAIL else None
            measured = {"lag_ns": round(lag * SECOND), "cpu_ns": round(cpu * SECOND)}
            self._ops.append(Op(at(end), who, type, verb, step, number, value=shown, error=raised, **measured, **rest))
        return self

    def join(
        self, rank: int, begin: float, end: float | None, outcome: str = "ok", step: str = "join", **keys: Any
    ) -> Past:
        """A rendezvous; its arguments and its value fit a world of all ranks unless given otherwise.

        Keys: `run_id`, `as_rank`, `world_size`, `returned` (laid over the value), `handler`, and those of `call`.
        """
        run_id = keys.pop("run_id", "train")
        given_rank, size = keys.pop("as_rank", rank), keys.pop("world_size", self.size)
        endpoint = keys.pop("endpoint", f"127.0.0.1:{29500 + rank}")
        arguments = {
            "rank": given_rank,
            "world_size": size,
            "run_id": run_id,
            "endpoint": endpoint,
            "timeout_ns": 2 * SECOND,
        }
        value = {"rank": given_rank, "world_size": size, **keys.pop("returned", {})} if outcome == "ok" else None
        keys.setdefault("handler", "main")
        return self.call(
            rank, step, begin, end, outcome, f="rendezvous", arguments=arguments, value=value, run_id=run_id, **keys
        )  # fmt: skip

    def all_join(self, begin: float = 0.001, end: float = 0.01, **keys: Any) -> Past:
        """Every rank joins."""
        for rank in range(self.size):
            self.join(rank, begin, end, **keys)
        return self

    def fault(
        self,
        name: str,
        inject: float | None,
        heal: float | None,
        *,
        kind: str = "blackhole",
        ranks: tuple[int, ...] = (1,),
        touched: bool | None = True,
        facts: Mapping[str, Any] | None = None,
        because: str = "no living process",
    ) -> Past:
        """A fault, injected and healed; one whose `inject` is None was tried at 0 s and refused."""
        about = {"kind": kind, "ranks": list(ranks)}
        if inject is None:
            return self._own(0, NEMESIS, FAIL, "inject", step=name, value={**about, "because": because})
        self._own(inject, NEMESIS, OK, "inject", step=name, value=about)
        if heal is not None:
            found = {**about, "touched": touched, "facts": dict(facts or {})}
            self._own(heal, NEMESIS, OK, "heal", step=name, value=found)
        return self

    def lag(self, seconds: float, lag: float) -> Past:
        """The controller noticed at that time that it had waited `lag` seconds for a processor."""
        return self._own(seconds, CONTROLLER, OK, "lag", lag_ns=round(lag * SECOND))

    def stall(self, since: float, until: float, part: str = "the proxy server", how: str = STOPPED) -> Past:
        """A part of the harness stood still."""
        stall = Stall(part, how, at(since), at(until), at(until) - at(since))
        return self._own(until, CONTROLLER, OK, LAG, value=stall.to_json(), lag_ns=stall.lasted_ns)

    def wire(self, seconds: float, moment: WireMoment) -> Past:
        """A message that a moment waited for has passed."""
        return self._own(seconds, CONTROLLER, OK, WIRE, value=moment.to_json())

    def seen(self, seconds: float, moment: SeenMoment, before: float) -> Past:
        """Something of a job was seen, and not yet at the look `before`."""
        return self._own(seconds, CONTROLLER, OK, SEEN, value={**moment.to_json(), "before_ns": at(before)})

    def link(self, rank: int, keys: Mapping[str, list[str]], seconds: float = 30.0) -> Past:
        """What a proxy server that reads the protocol reports about a link: keys, and the queries that named them."""
        return self._own(seconds, CONTROLLER, OK, LINK, value={"rank": rank, "keys": dict(keys)})

    def left(self, seconds: float = 30.0, **left: Any) -> Past:
        """The harness looked for what was left behind."""
        return self._own(seconds, CONTROLLER, OK, "left_behind", value={"waited_ns": SECOND, **left})

    def ends(self, rank: int, asked: float | None, end: float, *, status: int = 0, life: int = 1, **value: Any) -> Past:
        """The end of a process, by a status or by the `signal` in `value`; `asked` None means that it was not asked."""
        facts = value if "signal" in value else {"status": status, **value}
        outcome = "died" if "signal" in value else "ok" if status == 0 else "failed"
        who = Process(rank, "main", life)
        if asked is not None:
            self._ops.append(Op(at(asked), who, INVOKE, EXIT, EXIT))
        error = (
            ErrorInfo("ExitStatus", ("ExitStatus",), f"the process ended with {status}")
            if outcome == "failed"
            else None
        )
        shown = {"outcome": "died", **facts} if outcome == "died" else facts
        type = {"ok": OK, "failed": FAIL, "died": INFO}[outcome]
        self._ops.append(Op(at(end), who, type, EXIT, EXIT, value=shown, error=error))
        self._ends.setdefault(rank, []).append(self._ops[-1])
        return self

    def worker_ends(self, rank: int, end: float, *, life: int = 1, **how: Any) -> Past:
        """How the worker of a torchrun agent ended, as the controller saw it."""
        who = Process(rank, "main", life)
        self._ops.append(Op(at(end), who, INFO, WORKER, value={"ended": True, **how}))
        return self

    def whole(self, **end: Any) -> History:
        """The history with its end: processes that are still there leave, and nothing is left behind."""
        for rank, ends in self._ends.items():
            if not ends:
                self.ends(rank, 29, 29.1)
        if not any(op.f == "left_behind" for op in self._ops):
            self.left()
        return self._own(31, CONTROLLER, OK, "end", value=end).so_far()

    def so_far(self) -> History:
        """The history as it is: no process has left, and it has no end."""
        return History.of(self._ops)


def step(name: str, *ranks: int, do: str = "rendezvous", **keys: Any) -> Step:
    """A step of ranks 0 and 1 unless others are given."""
    return Step(name, do, ranks or (0, 1), keys.pop("arguments", {}), **keys)


def scenario(*steps: Step, size: int = 2, run_ids: Mapping[str, str] | None = None, **keys: Any) -> Scenario:
    """A cell whose handlers are given a world of all ranks and a timeout of 2 s; `run_ids` by handler name."""
    ids = {"main": "train", **(run_ids or {})}
    ranks = tuple(
        RankSpec(
            START,
            {},
            False,
            {name: HandlerConfig(rank, size, run_id, 2 * SECOND) for name, run_id in ids.items()},
            9 * SECOND,
        )
        for rank in range(size)
    )
    world = World(size=size, timeout_ns=2 * SECOND, ranks=ranks)
    everybody = tuple(range(size))
    workload = steps or (Step("join", "rendezvous", everybody, {}),)
    given = {"title": "Everybody joins", **keys}
    return Scenario(path=Path("timeouts/a-claim.rdzv.yaml"), world=world, steps=tuple(workload), **given)
