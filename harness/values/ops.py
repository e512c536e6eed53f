"""One line of a history: an operation, the process that did it, and the error that it raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from harness.values.json import Fields, mapping, whole_number

NEMESIS = "nemesis"
CONTROLLER = "controller"
INVOKE, OK, FAIL, INFO = "invoke", "ok", "fail", "info"
TYPES = (INVOKE, OK, FAIL, INFO)
WORKER = "worker"
"""A report about a torchrun worker: `{"pid": ...}` when it is there, `{"leaves": status}`, `{"ended": true, ...}`."""
WIRE = "wire"
"""A message that a moment waited for has passed the proxy server: its value is `WireMoment.to_json()`."""
SEEN = "seen"
"""Something of a job that a moment waited for was seen: `SeenMoment.to_json()`, and `before_ns`: when a look for it
began for the last time before, so that it came in between."""
LINK = "link"
"""What passed one link, from a proxy server that reads the protocol: see `harness.machine.toxiproxy.engine_meter`."""

WIRE_LOG = "wire_log"
"""The messages of the play were stored: `{"messages": how many, "dropped": ..., "undecoded": ...}` (see `Wire`)."""

HOLDS = "holds"
"""What a living rank holds after a call: `{"after": verb, "handlers": [names], "counts": {"pipes": 2, ...}}`."""

READY = "ready"
"""A rank has imported what it needs and waits to be released; `fail` if it cannot."""

LAUNCH = "launch"
"""Rank processes were made: `{"ranks": [...], "life": n}`."""
RELEASE = "release"
"""Ranks were sent off with their steps: `{"ranks": [...]}`."""
REAP = "reap"
"""A rank process has ended and was waited for: `{"rank": r, "life": n, "status" | "signal": number, "by": text}`."""
NEVER_START = "never_start"
"""A rank will not start in this play: `{"rank": r, "because": text}`."""
GATE = "gate"
"""Steps that waited for a moment may begin, or never will: `{"go": [[rank, life, step], ...], "skip": [...]}`."""
SUSPEND, RESUME = "suspend", "resume"
"""A rank's process is being stopped, and goes on: `{"rank": r}`. Its guard stands still in between."""
DISMISS = "dismiss"
"""The ranks may leave."""
SCHEDULING = frozenset({LAUNCH, RELEASE, REAP, NEVER_START, GATE, SUSPEND, RESUME, DISMISS})
"""What the controller did to let the play go on. It makes a play's decisions reproducible from its history."""

# How a call ended, in the words of a claim's `is`; `running` only in a history that was cut short.
OUTCOMES = ("ok", "failed", "died", "skipped", "hung", "running")

MOST_RANKS = 65_536
"""More ranks than any world has; a larger number in a stored operation is damage."""


@dataclass(frozen=True)
class Process:
    """The process that did it.

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
        process: the process that did it.
        type: `invoke`, then `ok`, `fail`, or `info` if its effect is unknown (died, hung) or it was not done (skipped).
        f: the verb: a step's (`rendezvous`, `get`, ...), `exit`, or the harness's: `begin`, `start`, `inject`, `heal`,
            `lag` (see `harness.values.stall`), `wire`, `link`, `left_behind`, `end`.
        step: the unique name of the step or the fault; empty for the harness's own.
        call: which call of this step in this life of the rank, from 1.
        handler, run_id, round: those of the call's handler or store; None if it has none.
        value: on invoke the arguments (for `rendezvous` those of its handler: `rank`, `world_size`, `endpoint`,
            `run_id`, `timeout_ns`), afterwards what it returned. On `info`:
            `{"outcome": "died" | "hung" | "skipped", "because": text}`.
        error: on `fail`, what was raised.
        lag_ns: how long the thread of the process that waited longest waited for a processor during the call (ends of
            calls only), in nanoseconds; of a `lag`, how long the part that it names stood still.
        cpu_ns: the processor time that all threads of the process used during the call (ends of calls only), in
            nanoseconds; 0 where it was not measured.
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
    cpu_ns: int = 0
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
        for name in ("step", "handler", "run_id", "round", "value", "lag_ns", "cpu_ns"):
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
    def from_json(cls, row: Any) -> Op:
        """The operation that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        error = row.get("error")
        op = cls(
            time_ns=fields.whole("time_ns"),
            process=_process(fields.value("process")),
            type=fields.one_of("type", TYPES),
            f=fields.text("f"),
            step=fields.text("step", ""),
            call=fields.whole("call", 1, 1),
            handler=fields.text_or_none("handler"),
            run_id=fields.text_or_none("run_id"),
            round=fields.whole_or_none("round"),
            value=row.get("value"),
            error=None if error is None else _error_info(error),
            lag_ns=fields.whole("lag_ns", 0, 0),
            cpu_ns=fields.whole("cpu_ns", 0, 0),
            index=fields.whole("index", -1, -1),
        )
        if op.type == INFO and op.step and op.process.rank is not None and outcome_of(op) not in OUTCOMES:
            raise ValueError(f"value has no outcome, one of {', '.join(OUTCOMES)}")
        return op


def _process(who: Any) -> Process:
    if isinstance(who, str):
        return Process(None, who)
    if not isinstance(who, list) or len(who) != 3 or not isinstance(who[1], str):
        raise ValueError("process is neither a text nor a list of rank, thread and life")
    rank = whole_number("the rank of process", who[0], 0, MOST_RANKS - 1)
    return Process(rank, who[1], whole_number("the life of process", who[2], 1))


def _error_info(row: Any) -> ErrorInfo:
    fields = Fields(row)
    return ErrorInfo(fields.text("kind"), fields.texts("bases"), fields.text("message"), fields.texts("causes", ()))


def outcome_of(op: Op) -> str:
    """The outcome of a completion, one of `OUTCOMES`."""
    if op.type == OK:
        return "ok"
    if op.type == FAIL:
        return "failed"
    return str(mapping(op.value).get("outcome"))
