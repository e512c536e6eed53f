"""What happened: operations in the order of one clock, and the questions one asks of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

NEMESIS = "nemesis"
CONTROLLER = "controller"
INVOKE, OK, FAIL, INFO = "invoke", "ok", "fail", "info"
WORKER = "worker"
"""What is told of a torchrun worker: `{"pid": ...}` when it is there, `{"leaves": status}`, `{"ended": true, ...}`."""
WIRE = "wire"
"""A message that a moment waited for has passed the proxy server: its value is `WireMoment.to_json()`."""
LINK = "link"
"""What passed one link, told by a proxy server that knows: see `harness.machine.toxiproxy.engine_meter`."""

# How a call ended, in the words of a claim's `is`; `running` only in a history that was cut short.
OUTCOMES = ("ok", "failed", "died", "skipped", "hung", "running")


@dataclass(frozen=True)
class Process:
    """Who did it.

    Attributes:
        rank: the rank process, or None for the harness itself.
        thread: the thread of the rank (`main` unless the step says otherwise), or `nemesis` / `controller`.
        life: 1 for a rank's first process, 2 after it was started again, ...
    """

    rank: Optional[int]
    thread: str = "main"
    life: int = 1

    def __str__(self) -> str:
        if self.rank is None:
            return self.thread
        thread = "" if self.thread == "main" else f" {self.thread}"
        life = "" if self.life == 1 else f" life {self.life}"
        return f"rank {self.rank}{thread}{life}"


@dataclass(frozen=True)
class ErrorInfo:
    """An exception as data.

    Attributes:
        kind: the class name, without its module.
        bases: names of all classes it derives from, nearest first, `kind` itself first.
        message: the whole text.
        causes: the chain of causes (`__cause__`, else `__context__`), nearest first, as `Class: first line`.
    """

    kind: str
    bases: Tuple[str, ...]
    message: str
    causes: Tuple[str, ...] = ()

    @property
    def first_line(self) -> str:
        """The message without the C++ stack trace that torch may append."""
        return self.message.strip().splitlines()[0] if self.message.strip() else ""


@dataclass(frozen=True)
class Op:
    """One line of a history.

    Attributes:
        index: position in the history; -1 before the archive has merged it.
        time_ns: CLOCK_MONOTONIC.
        process: who.
        type: `invoke`, then `ok`, `fail`, or `info` when nobody can know (died, hung) or nothing was done (skipped).
        f: the verb: a step's (`rendezvous`, `get`, ...), `exit`, or the harness's: `begin`, `start`, `inject`, `heal`,
            `lag`, `wire`, `link`, `left_behind`, `end`.
        step: the unique name of the step or the fault; empty for the harness's own.
        call: which call of this step in this life of the rank, from 1.
        handler, run_id, round: whose store or handler; None where there is none.
        value: on invoke the arguments (for `rendezvous` what the handler is told: `rank`, `world_size`, `endpoint`,
            `run_id`, `timeout_ns`), afterwards what it returned. On `info`:
            `{"outcome": "died" | "hung" | "skipped", "because": text}`.
        error: on `fail`, what was raised.
        lag_ns: how long the process waited for a processor during the call (ends of calls only), in nanoseconds.
    """

    time_ns: int
    process: Process
    type: str
    f: str
    step: str = ""
    call: int = 1
    handler: Optional[str] = None
    run_id: Optional[str] = None
    round: Optional[int] = None
    value: Any = None
    error: Optional[ErrorInfo] = None
    lag_ns: int = 0
    index: int = -1

    def to_json(self) -> Dict[str, Any]:
        """A mapping for one JSON line; empty fields are left out."""
        row: Dict[str, Any] = {"time_ns": self.time_ns, "type": self.type, "f": self.f}
        if self.index >= 0:
            row["index"] = self.index
        if self.process.rank is None:
            row["process"] = self.process.thread
        else:
            row["process"] = [self.process.rank, self.process.thread, self.process.life]
        if self.call != 1:
            row["call"] = self.call
        for name in ("step", "handler", "run_id", "round", "value", "lag_ns"):
            value = getattr(self, name)
            if value not in (None, "", 0) or (name in ("value", "round") and value is not None):
                row[name] = value
        if self.error is not None:
            row["error"] = {
                "kind": self.error.kind,
                "bases": list(self.error.bases),
                "message": self.error.message,
                "causes": list(self.error.causes),
            }
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Op:
        """The operation that `to_json` wrote; raises KeyError or TypeError for anything else."""
        who = row["process"]
        process = Process(None, who) if isinstance(who, str) else Process(who[0], who[1], who[2])
        error = row.get("error")
        return cls(
            time_ns=row["time_ns"],
            process=process,
            type=row["type"],
            f=row["f"],
            step=row.get("step", ""),
            call=row.get("call", 1),
            handler=row.get("handler"),
            run_id=row.get("run_id"),
            round=row.get("round"),
            value=row.get("value"),
            error=None
            if error is None
            else ErrorInfo(error["kind"], tuple(error["bases"]), error["message"], tuple(error["causes"])),
            lag_ns=row.get("lag_ns", 0),
            index=row.get("index", -1),
        )


@dataclass(frozen=True)
class Call:
    """One call of a step by one rank: its beginning and its end.

    Attributes:
        rank, thread, life, step, f, number: whose call, and which.
        invoke: the beginning; None if it was skipped.
        end: the completion; None only in a history that was cut short.
        outcome: one of `OUTCOMES`.
    """

    rank: int
    thread: str
    life: int
    step: str
    f: str
    number: int
    invoke: Optional[Op]
    end: Optional[Op]
    outcome: str

    @property
    def begun_ns(self) -> Optional[int]:
        return None if self.invoke is None else self.invoke.time_ns

    @property
    def ended_ns(self) -> Optional[int]:
        return None if self.end is None else self.end.time_ns

    @property
    def elapsed_ns(self) -> Optional[int]:
        """From begin to end; None unless it has both."""
        if self.invoke is None or self.end is None:
            return None
        return self.end.time_ns - self.invoke.time_ns

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the call was given; of a rendezvous: rank, world_size, endpoint, run_id, timeout_ns."""
        value = self.invoke.value if self.invoke is not None else None
        return value if isinstance(value, dict) else {}

    @property
    def returned(self) -> Any:
        """What the call returned; None unless it is `ok`."""
        return self.end.value if self.end is not None and self.outcome == "ok" else None

    @property
    def error(self) -> Optional[ErrorInfo]:
        return self.end.error if self.end is not None else None

    @property
    def evidence(self) -> Tuple[int, ...]:
        """Indexes of the operations that this call consists of."""
        return tuple(op.index for op in (self.invoke, self.end) if op is not None)


@dataclass(frozen=True)
class Injection:
    """One fault as it was played.

    Attributes:
        fault, kind: its name and its kind.
        ranks: whom it was to hit.
        injected_ns: when it was in place; None if it never was.
        healed_ns: when it was let go; None if it never was in place.
        tried_ns: when its injection began; between this and `injected_ns` it came into force.
        healing_ns: when its healing began, likewise.
        touched: whether it touched anything; None where that cannot be read (`unproven`).
        facts: how one knows, for the report.
        failed: why injecting failed, or None.
    """

    fault: str
    kind: str
    ranks: Tuple[int, ...]
    injected_ns: Optional[int]
    healed_ns: Optional[int]
    touched: Optional[bool]
    facts: Mapping[str, Any]
    failed: Optional[str]
    evidence: Tuple[int, ...]
    tried_ns: Optional[int] = None
    healing_ns: Optional[int] = None


@dataclass(frozen=True)
class History:
    """All operations of one run, ordered by time; `ops[i].index == i`."""

    ops: Tuple[Op, ...] = ()
    _cache: Dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, ops: Iterable[Op]) -> History:
        """A history of these operations, sorted by time (stable) and numbered."""
        ordered = sorted(ops, key=lambda op: op.time_ns)
        return cls(tuple(replace(op, index=index) for index, op in enumerate(ordered)))

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.ops)

    @property
    def begin(self) -> Mapping[str, Any]:
        """What the first operation tells of the run: world, seed, versions, proxy, interpreter, subject."""
        for op in self.ops:
            if op.f == "begin" and op.process.rank is None:
                return op.value or {}
        return {}

    @property
    def start_ns(self) -> int:
        """When the clock started; 0 if the play never got there."""
        return next((op.time_ns for op in self.ops if op.f == "start" and op.process.rank is None), 0)

    @property
    def ended(self) -> Optional[Mapping[str, Any]]:
        """What the last operation says; None if the run was cut short. `{"error": text}` if the harness failed."""
        return next((op.value or {} for op in self.ops if op.f == "end" and op.process.rank is None), None)

    def seconds(self, time_ns: int) -> float:
        """Seconds since the clock started."""
        return (time_ns - self.start_ns) / 1e9

    @property
    def calls(self) -> Tuple[Call, ...]:
        """Every call of every rank, `exit` included, ordered by begin (skipped ones by when they were skipped)."""
        if "calls" not in self._cache:
            self._cache["calls"] = tuple(_calls(self.ops))
        calls: Tuple[Call, ...] = self._cache["calls"]
        return calls

    def calls_of(self, step: str) -> Tuple[Call, ...]:
        """The calls of one step, by its unique name."""
        return tuple(call for call in self.calls if call.step == step)

    @property
    def rendezvous_calls(self) -> Tuple[Call, ...]:
        return tuple(call for call in self.calls if call.f == "rendezvous")

    @property
    def injections(self) -> Tuple[Injection, ...]:
        """Every fault that was tried, in the order of the trying; a fault that never was tried is absent."""
        if "injections" not in self._cache:
            self._cache["injections"] = tuple(_injections(self.ops))
        injections: Tuple[Injection, ...] = self._cache["injections"]
        return injections

    def largest_lag_ns(self, from_ns: int, to_ns: int) -> int:
        """The largest scheduling lag, of any process, measured in a window that touches [from_ns, to_ns]."""
        largest = 0
        for call in self.calls:
            if call.end is None or call.invoke is None:
                continue
            if call.invoke.time_ns <= to_ns and call.end.time_ns >= from_ns:
                largest = max(largest, call.end.lag_ns)
        for op in self.ops:
            if op.f == "lag" and op.time_ns - op.lag_ns <= to_ns and op.time_ns >= from_ns:
                largest = max(largest, op.lag_ns)
        return largest


def _calls(ops: Iterable[Op]) -> List[Call]:
    running: Dict[Tuple[Process, str, int], Tuple[int, Op]] = {}
    found: List[Tuple[int, Call]] = []
    for op in ops:
        if op.process.rank is None or not op.step:
            continue
        key = (op.process, op.step, op.call)
        if op.type == INVOKE:
            running[key] = (op.index, op)
            continue
        order, invoke = running.pop(key, (op.index, None))
        found.append((order, _call(op, invoke, op, outcome_of(op))))
    found.extend((order, _call(invoke, invoke, None, "running")) for order, invoke in running.values())
    return [call for _, call in sorted(found, key=lambda item: item[0])]


def _call(op: Op, invoke: Optional[Op], end: Optional[Op], outcome: str) -> Call:
    rank = op.process.rank
    assert rank is not None
    return Call(rank, op.process.thread, op.process.life, op.step, op.f, op.call, invoke, end, outcome)


def outcome_of(op: Op) -> str:
    """The outcome that a completion tells, one of `OUTCOMES`."""
    if op.type == OK:
        return "ok"
    if op.type == FAIL:
        return "failed"
    return str(op.value["outcome"])


def _injections(ops: Iterable[Op]) -> Iterator[Injection]:
    played: Dict[str, Dict[str, Op]] = {}
    for op in ops:
        if op.process.rank is None and op.f in ("inject", "heal"):
            played.setdefault(op.step, {})[f"{op.f} {op.type}"] = op
    for fault, its in played.items():
        begun, placed, healed = (
            its.get("inject invoke"),
            its.get("inject ok"),
            its.get("heal ok") or its.get("heal fail"),
        )
        refused = its.get("inject fail")
        first = begun or placed or refused
        about = (first.value or {}) if first is not None else {}
        told = (healed.value or {}) if healed is not None else {}
        yield Injection(
            fault=fault,
            kind=str(about.get("kind", "")),
            ranks=tuple(about.get("ranks", ())),
            injected_ns=None if placed is None else placed.time_ns,
            healed_ns=None if healed is None else healed.time_ns,
            touched=told.get("touched"),
            facts=told.get("facts", {}),
            failed=None if refused is None else str((refused.value or {}).get("because", "")),
            evidence=tuple(op.index for op in its.values()),
            tried_ns=None if begun is None else begun.time_ns,
            healing_ns=its["heal invoke"].time_ns if "heal invoke" in its else None,
        )
