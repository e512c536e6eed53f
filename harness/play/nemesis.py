"""Performing what the schedule says: faults are injected, held, asked for evidence, and healed in reverse order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.scenario.scenario import Fault, Scenario
from harness.values.errors import HarnessError, HelperLost, NothingToHit, ProxyLost
from harness.values.ops import FAIL, INVOKE, NEMESIS, OK, Op, Process


@dataclass
class ActiveFault:
    """A fault that is in place; `found` is its evidence if it was taken before its healing."""

    fault: Fault
    member: FaultMember
    context: AbstractContextManager[Callable[[], Evidence]]
    evidence: Callable[[], Evidence]
    found: Evidence | None = None


class Nemesis:
    """The faults of one play; as a context it heals on exit what is still in place.

    Args:
        context: what the faults may touch.
        record: takes each operation.
        restart: starts a rank's next life.
        now_ns: the clock.
    """

    def __init__(
        self,
        scenario: Scenario,
        context: FaultContext,
        record: Callable[[Op], None],
        restart: Callable[[int], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._context = context
        self._record = record
        self._restart = restart
        self._now_ns = now_ns
        self._members = {fault.name: FAULTS[fault.kind](fault) for fault in scenario.faults}
        self._active: dict[str, ActiveFault] = {}

    def __enter__(self) -> Nemesis:
        return self

    def __exit__(self, *_: object) -> None:
        self.heal_all()

    def arm(self) -> None:
        """Prepare the faults that must be prepared before any rank starts."""
        for member in self._members.values():
            member.arm(self._context)

    def inject(self, name: str) -> None:
        """Put a fault in place; one that finds nothing to hit, or that the system refuses, is recorded as failed.

        Raises ProxyLost if the proxy server is lost, HelperLost if a helper of the fault is.
        """
        member = self._members[name]
        self._note(member.fault, INVOKE, "inject", {})
        held = member.hold(self._context)
        try:
            evidence = held.__enter__()
        except (ProxyLost, HelperLost):
            raise
        except (NothingToHit, HarnessError, OSError) as error:
            self._note(member.fault, FAIL, "inject", {"because": str(error)})
            return
        self._active[name] = ActiveFault(member.fault, member, held, evidence)
        self._note(member.fault, OK, "inject", {})

    def heal(self, name: str) -> None:
        """Heal a fault; its evidence is taken just before. Ranks that it has ended start again."""
        self._heal(self._active.pop(name), restarts=True)

    def take_evidence(self) -> None:
        """Ask every active fault what it has touched: before ranks leave, and their connections with them."""
        for active in self._active.values():
            active.found = _ask(active.evidence)

    def heal_all(self) -> None:
        """Heal whatever is still in place, the latest first; no rank starts again.

        Raises the first error, after all were tried: HarnessError, or what a bug in a fault raises.
        """
        failures: list[Exception] = []
        while self._active:
            _, active = self._active.popitem()
            try:
                self._heal(active, restarts=False)
            except Exception as error:  # the rest must be healed all the same
                failures.append(error)
        if failures:
            raise failures[0]

    def _heal(self, active: ActiveFault, restarts: bool) -> None:
        self._note(active.fault, INVOKE, "heal", {})
        try:
            evidence = active.found or _ask(active.evidence)
        except Exception:  # a bug in a fault, which must be healed all the same
            active.context.__exit__(None, None, None)
            raise
        found = {"touched": evidence.touched, "facts": dict(evidence.facts)}
        try:
            active.context.__exit__(None, None, None)
            if active.member.restarts_ranks and restarts:
                for rank in active.member.ended_ranks:
                    self._restart(rank)
        except Exception as error:
            self._note(active.fault, FAIL, "heal", {**found, "because": str(error)})
            if not isinstance(error, HarnessError | OSError):
                raise
            fault = active.fault
            raise HarnessError(f"{fault.name} ({fault.kind}) could not be healed: {error}") from error
        self._note(active.fault, OK, "heal", found)

    def _note(self, fault: Fault, type: str, f: str, value: dict[str, Any]) -> None:
        about = {"kind": fault.kind, "ranks": list(fault.ranks), **value}
        self._record(Op(self._now_ns(), Process(None, NEMESIS), type, f, step=fault.name, value=about))


def _ask(evidence: Callable[[], Evidence]) -> Evidence:
    """The evidence; what cannot be read is unproven, never a reason not to heal."""
    try:
        return evidence()
    except (HarnessError, OSError) as error:
        return Evidence(None, {"unreadable": str(error)})
