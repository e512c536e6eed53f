"""What happened in a run: its operations in the order of one clock, and the calls and faults that they make up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, TypeVar

from harness.values.json import mapping, whole
from harness.values.ops import INVOKE, ErrorInfo, Op, Process, outcome_of
from harness.values.stall import Stall, stall_of
from harness.values.wire import Wire

T = TypeVar("T")


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
    def cpu_ns(self) -> Optional[int]:
        """The processor time that its process used meanwhile, in all its threads; None where it was not measured."""
        return self.end.cpu_ns or None if self.end is not None else None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the call was given; of a rendezvous: rank, world_size, endpoint, run_id, timeout_ns."""
        return mapping(self.invoke.value if self.invoke is not None else None)

    @property
    def returned(self) -> Any:
        """What the call returned; None unless it is `ok`."""
        return self.end.value if self.end is not None and self.outcome == "ok" else None

    @property
    def end_facts(self) -> Mapping[str, Any]:
        """What its completion records, if a mapping: why it was skipped; of an `exit` status, signal, stacks."""
        return mapping(self.end.value if self.end is not None else None)

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
        ranks: the ranks that it was to hit.
        injected_ns: when it was in place; None if it never was.
        healed_ns: when it was healed; None if it never was.
        tried_ns: when its injection began; between this and `injected_ns` it came into force.
        healing_ns: when its healing began, likewise.
        touched: whether it touched anything; None where that cannot be read (`unproven`).
        facts: what was measured to know that, for the report.
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
    """All operations of one run, ordered by time; `ops[i].index == i`.

    Attributes:
        wire: the messages on the links; None if no proxy server decoded them.
    """

    ops: Tuple[Op, ...] = ()
    wire: Optional[Wire] = None
    _cache: Dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def of(cls, ops: Iterable[Op], wire: Optional[Wire] = None) -> History:
        """A history of these operations, sorted by time (stable) and numbered."""
        ordered = sorted(ops, key=lambda op: op.time_ns)
        return cls(tuple(replace(op, index=index) for index, op in enumerate(ordered)), wire)

    def once(self, name: str, about: object, find: Callable[[], T]) -> T:
        """What `find` returns, found once for this history.

        Args:
            name: of the question; each has one of its own.
            about: what the answer depends on beside the history; None if it does not. Only the answer about the last
                such object is kept.
        """
        known = self._cache.get(name)
        if known is None or known[0] is not about:
            known = self._cache[name] = (about, find())
        found: T = known[1]
        return found

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.ops)

    @property
    def begin(self) -> Mapping[str, Any]:
        """What the first operation says about the run: world, seed, versions, proxy, interpreter, subject."""
        for op in self.ops:
            if op.f == "begin" and op.process.rank is None:
                return mapping(op.value)
        return {}

    @property
    def start_ns(self) -> int:
        """When the clock started; 0 if the play never got there."""
        return next((op.time_ns for op in self.ops if op.f == "start" and op.process.rank is None), 0)

    @property
    def ended(self) -> Optional[Mapping[str, Any]]:
        """What the last operation says; None if the run was cut short. `{"error": text}` if the harness failed."""
        return next((mapping(op.value) for op in self.ops if op.f == "end" and op.process.rank is None), None)

    def seconds(self, time_ns: int) -> float:
        """Seconds since the clock started."""
        return (time_ns - self.start_ns) / 1e9

    @property
    def calls(self) -> Tuple[Call, ...]:
        """Every call of every rank, `exit` included, ordered by begin (skipped ones by when they were skipped)."""
        return self.once("calls", None, lambda: tuple(_calls(self.ops)))

    def calls_of(self, step: str) -> Tuple[Call, ...]:
        """The calls of one step, by its unique name."""
        return tuple(call for call in self.calls if call.step == step)

    def window_of(self, call: Call) -> Tuple[int, int]:
        """From when to when a call lasted; where one of these is not known, from the start, or to the end."""
        last_ns = self.ops[-1].time_ns if self.ops else 0
        begun_ns, ended_ns = call.begun_ns, call.ended_ns
        return self.start_ns if begun_ns is None else begun_ns, last_ns if ended_ns is None else ended_ns

    @property
    def rendezvous_calls(self) -> Tuple[Call, ...]:
        return tuple(call for call in self.calls if call.f == "rendezvous")

    @property
    def injections(self) -> Tuple[Injection, ...]:
        """Every fault whose injection was tried, in the order of these tries."""
        return self.once("injections", None, lambda: tuple(_injections(self.ops)))

    @property
    def stalls(self) -> Tuple[Stall, ...]:
        """Every time that a part of the harness stood still or waited for a processor, ordered by its end."""
        return self.once("stalls", None, lambda: tuple(stall for op in self.ops if (stall := stall_of(op)) is not None))


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
        # The controller, which ends the call of a process that hung or died, knows the step and not what a mix drew.
        found.append((order, _call(invoke or op, invoke, op, outcome_of(op))))
    found.extend((order, _call(invoke, invoke, None, "running")) for order, invoke in running.values())
    return [call for _, call in sorted(found, key=lambda item: item[0])]


def _call(op: Op, invoke: Optional[Op], end: Optional[Op], outcome: str) -> Call:
    rank = op.process.rank
    assert rank is not None
    return Call(rank, op.process.thread, op.process.life, op.step, op.f, op.call, invoke, end, outcome)


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
        about = mapping(first.value if first is not None else None)
        outcome = mapping(healed.value if healed is not None else None)
        touched, ranks = outcome.get("touched"), about.get("ranks")
        yield Injection(
            fault=fault,
            kind=str(about.get("kind", "")),
            ranks=tuple(rank for rank in ranks if whole(rank) is not None) if isinstance(ranks, (list, tuple)) else (),
            injected_ns=None if placed is None else placed.time_ns,
            healed_ns=None if healed is None else healed.time_ns,
            touched=touched if isinstance(touched, bool) else None,
            facts=mapping(outcome.get("facts")),
            failed=None if refused is None else str(mapping(refused.value).get("because", "")),
            evidence=tuple(op.index for op in its.values()),
            tried_ns=None if begun is None else begun.time_ns,
            healing_ns=its["heal invoke"].time_ns if "heal invoke" in its else None,
        )
