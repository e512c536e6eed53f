"""Performing what the schedule says: faults are injected, held, asked for evidence, and healed in reverse order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.scenario.scenario import Fault, Scenario
from harness.schedule.progress import Progress
from harness.values.errors import HarnessError, NothingToHit, ProxyLost
from harness.values.ops import FAIL, INVOKE, NEMESIS, OK, Op, Process


@dataclass
class ActiveFault:
    fault: Fault
    member: FaultMember
    context: AbstractContextManager[Callable[[], Evidence]]
    evidence: Callable[[], Evidence]
    found: Evidence | None = None


class Nemesis:
    """The faults of one play.

    Args:
        context: what the faults may touch.
        record: takes each operation.
        now_ns: the clock.
        restart: starts a rank's next life.
    """

    def __init__(
        self,
        scenario: Scenario,
        context: FaultContext,
        progress: Progress,
        record: Callable[[Op], None],
        now_ns: Callable[[], int],
        restart: Callable[[int], None],
    ) -> None:
        self._context = context
        self._progress = progress
        self._record = record
        self._now_ns = now_ns
        self._restart = restart
        self._members = {fault.name: FAULTS[fault.kind](fault) for fault in scenario.faults}
        self._held: dict[str, ActiveFault] = {}

    def arm(self) -> None:
        """Prepare the faults that must be prepared before any rank starts."""
        for member in self._members.values():
            member.arm(self._context)

    def inject(self, name: str) -> None:
        """Put a fault in place; one that finds nothing to hit, or that the system refuses, is recorded as failed.

        Raises ProxyLost if the proxy server is lost.
        """
        member = self._members[name]
        self._note(member.fault, INVOKE, "inject", {})
        context = member.hold(self._context)
        try:
            evidence = context.__enter__()
        except ProxyLost:
            raise
        except (NothingToHit, HarnessError, OSError) as error:
            self._progress.fault(name).failed = True
            self._note(member.fault, FAIL, "inject", {"because": str(error)})
            return
        self._held[name] = ActiveFault(member.fault, member, context, evidence)
        self._progress.fault(name).injected_ns = self._note(member.fault, OK, "inject", {})

    def heal(self, name: str) -> None:
        """Let go of a fault; its evidence is taken just before."""
        self._let_go(self._held.pop(name), at_end=False)

    def take_evidence(self) -> None:
        """Ask every fault that is held what it has touched: before ranks leave, and their connections with them."""
        for held in self._held.values():
            held.found = _ask(held.evidence)

    def heal_all(self) -> None:
        """Let go of whatever is still held, the latest first; nothing is started again."""
        failures = []
        while self._held:
            _, held = self._held.popitem()
            try:
                self._let_go(held, at_end=True)
            except HarnessError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _let_go(self, held: ActiveFault, at_end: bool) -> None:
        self._note(held.fault, INVOKE, "heal", {})
        evidence = held.found or _ask(held.evidence)
        told = {"touched": evidence.touched, "facts": dict(evidence.facts)}
        try:
            held.context.__exit__(None, None, None)
        except (HarnessError, OSError) as error:
            self._note(held.fault, FAIL, "heal", {**told, "because": str(error)})
            raise HarnessError(f"{held.fault.name} ({held.fault.kind}) could not be healed: {error}") from error
        if held.member.restarts_ranks and not at_end:
            for rank in held.member.ended_ranks:
                self._restart(rank)
        self._progress.fault(held.fault.name).healed_ns = self._note(held.fault, OK, "heal", told)

    def _note(self, fault: Fault, type: str, f: str, value: dict[str, Any]) -> int:
        about = {"kind": fault.kind, "ranks": list(fault.ranks), **value}
        op = Op(self._now_ns(), Process(None, NEMESIS), type, f, step=fault.name, value=about)
        self._record(op)
        return op.time_ns


def _ask(evidence: Callable[[], Evidence]) -> Evidence:
    """The evidence; what cannot be read is unproven, never a reason not to heal."""
    try:
        return evidence()
    except (HarnessError, OSError) as error:
        return Evidence(None, {"unreadable": str(error)})
