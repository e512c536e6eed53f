"""The nemesis without processes: requests go in; what it recorded, healed and restarted comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from played import Played

from harness.faults.base import Evidence, FaultMember
from harness.play import nemesis as module
from harness.play.nemesis import Nemesis
from harness.scenario.moment import START
from harness.scenario.scenario import Fault, HandlerConfig, RankSpec, Scenario, World
from harness.schedule.progress import FaultState
from harness.values.attribute import Declaration
from harness.values.errors import HarnessError, HelperLost, NothingToHit, ProxyLost

S = 1_000_000_000


class Pretended(FaultMember):
    """A fault that does as its attributes say."""

    declaration = Declaration("pretended", "a fault of this test", example="")
    layer = "rank"

    @contextlib.contextmanager
    def hold(self, context: Any) -> Iterator[Callable[[], Evidence]]:
        given = self.fault.attributes
        context.append(f"inject {self.fault.name}")
        if "refuses" in given:
            raise given["refuses"]
        self.ended_ranks = given.get("ends", ())
        try:
            yield lambda: _evidence(given.get("evidence", Evidence(True, {"bytes": 7})), context, self.fault.name)
        finally:
            context.append(f"heal {self.fault.name}")
            if "cannot_heal" in given:
                raise given["cannot_heal"]


def _evidence(found: Any, log: list[str], name: str) -> Evidence:
    log.append(f"ask {name}")
    if isinstance(found, Exception):
        raise found
    return found  # type: ignore[no-any-return]


class Restarting(Pretended):
    """A fault that ends ranks, which start again when it is healed."""

    restarts_ranks = True


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAULTS", {"pretended": Pretended, "restarting": Restarting})


class Trial:
    """A nemesis, and all that it did."""

    def __init__(self, *faults: Fault) -> None:
        spec = RankSpec(START, {}, False, {"main": HandlerConfig(0, 1, "train", S)}, 9 * S)
        scenario = Scenario(Path("x.rdzv.yaml"), "x", World(1, S, ranks=(spec,)), (), faults)
        self.played = Played(scenario)
        self.log: list[str] = []
        times = iter(range(1, 1000))
        self.nemesis = Nemesis(scenario, self.log, self.played.record, self._restart, lambda: next(times))  # type: ignore[arg-type]

    def _restart(self, rank: int) -> None:
        self.log.append(f"restart {rank}")

    @property
    def recorded(self) -> list[str]:
        return [f"{op.f} {op.step} {op.type}" for op in self.played.ops if op.step]

    def value(self, f: str, type: str) -> dict[str, Any]:
        return next(op.value for op in self.played.ops if (op.f, op.type) == (f, type))  # type: ignore[no-any-return]


def fault(name: str, kind: str = "pretended", **attributes: Any) -> Fault:
    return Fault(name, kind, (0,), attributes)


def test_a_fault_is_recorded_before_and_after_it_is_in_place() -> None:
    """So is its healing, with what it touched, read just before."""
    trial = Trial(fault("cut"))
    trial.nemesis.inject("cut")
    assert trial.played.progress.fault("cut").is_active
    trial.nemesis.heal("cut")
    assert trial.recorded == ["inject cut invoke", "inject cut ok", "heal cut invoke", "heal cut ok"]
    assert trial.log == ["inject cut", "ask cut", "heal cut"]
    assert trial.value("heal", "ok") == {"kind": "pretended", "ranks": [0], "touched": True, "facts": {"bytes": 7}}
    assert trial.played.progress.fault("cut") == FaultState(2, 4)


@pytest.mark.parametrize("refusal", [NothingToHit("nobody"), HarnessError("no nft"), OSError("no")], ids=type)
def test_a_fault_that_cannot_be_injected_is_recorded_as_failed(refusal: Exception) -> None:
    """The play goes on; there is nothing to heal."""
    trial = Trial(fault("cut", refuses=refusal))
    trial.nemesis.inject("cut")
    assert trial.recorded == ["inject cut invoke", "inject cut fail"]
    assert trial.value("inject", "fail")["because"] == str(refusal)
    assert trial.played.progress.fault("cut").failed
    trial.nemesis.heal_all()
    assert trial.log == ["inject cut"]


@pytest.mark.parametrize("lost", [ProxyLost("gone"), HelperLost("gone")])
def test_a_lost_part_of_the_harness_ends_the_play(lost: HarnessError) -> None:
    """The loss says nothing about the fault."""
    with pytest.raises(type(lost)):
        Trial(fault("cut", refuses=lost)).nemesis.inject("cut")


def test_evidence_that_was_taken_early_is_not_asked_for_again() -> None:
    """Ranks and their connections leave before the last faults are healed."""
    trial = Trial(fault("cut"))
    trial.nemesis.inject("cut")
    trial.nemesis.take_evidence()
    trial.nemesis.heal_all()
    assert trial.log == ["inject cut", "ask cut", "heal cut"]


def test_evidence_that_cannot_be_read_is_unproven_and_healing_goes_on() -> None:
    """The facts have the reason."""
    trial = Trial(fault("cut", evidence=HarnessError("no counters")))
    trial.nemesis.inject("cut")
    trial.nemesis.heal("cut")
    healed = trial.value("heal", "ok")
    assert (healed["touched"], healed["facts"]) == (None, {"unreadable": "no counters"})


def test_a_fault_whose_evidence_has_a_bug_is_healed_all_the_same() -> None:
    """At once, not when its context happens to be collected; the bug is raised."""
    trial = Trial(fault("cut", evidence=KeyError("m0")))
    trial.nemesis.inject("cut")
    with pytest.raises(KeyError) as bug:
        trial.nemesis.heal_all()
    assert (trial.log, bug.type) == (["inject cut", "ask cut", "heal cut"], KeyError)


def test_the_latest_fault_is_healed_first() -> None:
    """Faults are healed in the reverse order of their injection."""
    trial = Trial(fault("first"), fault("second"), fault("third"))
    for name in ("first", "second", "third"):
        trial.nemesis.inject(name)
    trial.nemesis.heal("second")
    trial.log.clear()
    trial.nemesis.heal_all()
    assert [line for line in trial.log if line.startswith("heal")] == ["heal third", "heal first"]


@pytest.mark.parametrize("problem", [HarnessError("stuck"), OSError("stuck"), ZeroDivisionError("stuck")], ids=type)
def test_a_fault_that_cannot_be_healed_keeps_no_other_from_being_healed(problem: Exception) -> None:
    """The first failure is raised after all were tried; a bug in a fault counts as one."""
    trial = Trial(fault("first"), fault("second", cannot_heal=problem), fault("third"))
    for name in ("first", "second", "third"):
        trial.nemesis.inject(name)
    with pytest.raises(type(problem) if isinstance(problem, ZeroDivisionError) else HarnessError, match="stuck"):
        trial.nemesis.heal_all()
    assert [line for line in trial.log if line.startswith("heal")] == ["heal third", "heal second", "heal first"]
    assert trial.recorded[-6:] == [
        "heal third invoke", "heal third ok", "heal second invoke", "heal second fail", "heal first invoke",
        "heal first ok",
    ]  # fmt: skip
    assert trial.played.progress.fault("second").healed_ns is None


def test_ranks_that_a_fault_has_ended_start_again_when_it_is_healed() -> None:
    """They start before the healing is recorded, so a step that waits for it meets the next life."""
    trial = Trial(fault("kill", "restarting", ends=(0, 2)))
    trial.nemesis.inject("kill")
    trial.nemesis.heal("kill")
    assert trial.log == ["inject kill", "ask kill", "heal kill", "restart 0", "restart 2"]


def test_no_rank_starts_again_at_the_end_of_a_play() -> None:
    """At the end all ranks leave."""
    trial = Trial(fault("kill", "restarting", ends=(0,)))
    with trial.nemesis:
        trial.nemesis.inject("kill")
    assert trial.log == ["inject kill", "ask kill", "heal kill"]


def test_ranks_that_a_fault_has_not_ended_are_not_restarted() -> None:
    """A fault that does not end ranks has the attribute too."""
    trial = Trial(fault("slow", ends=(0,)))
    trial.nemesis.inject("slow")
    trial.nemesis.heal("slow")
    assert "restart 0" not in trial.log
