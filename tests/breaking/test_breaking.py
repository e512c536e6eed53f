"""Every scenario of the project fails when it is broken: none passes, or is a known failure, in every case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import break_scenarios
import pytest
from asked import run_options
from break_scenarios import NO_FAULTS, TURNED, Variant, variants

from harness.campaign.runner import Runner
from harness.loader import load, load_text
from harness.scenario.moment import FaultMoment, StepMoment, TimeMoment
from harness.scenario.scenario import Scenario, StepClaim
from harness.values.verdict import SKIPPED

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FILES = sorted(SCENARIOS.rglob("*.rdzv.yaml"))

EXAMPLE = """\
schema: rdzv-scenario/v1
title: A rank that was cut off comes back
world:
  size: 2
  timeout: 1s
  ranks:
    1: {start: {fault: cut, is: healed, plus: 100ms}}
workload:
  - {id: join, do: rendezvous}
  - {do: set, ranks: 0, key: k, value: "1", after: cut}
faults:
  - {id: cut, inject: kill, ranks: 0, after: 200ms, for: 300ms}
expect:
  - {step: join, is: ok, within: [0s, 1s], since: cut}
  - {step: set, within: [0s, 1s]}
"""


@pytest.fixture(scope="module")
def runner(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(run_options(pytestconfig, tmp_path_factory.mktemp("runs"))) as runner:
        yield runner


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("path", FILES, ids=[path.name.removesuffix(".rdzv.yaml") for path in FILES])
def test_a_broken_scenario_turns(path: Path, runner: Runner) -> None:
    """Each variant comes out failed or vacuous; one that only lacks its faults may do so in another way."""
    cell = load(path)[0]
    broken = list(variants(cell, runner.options.subject))
    statuses = _statuses(broken, runner)
    if SKIPPED in statuses.values():
        pytest.skip("what this machine or this release lacks cannot be broken")
    kept = [f"{variant.how}: {statuses[variant.how]}" for variant in broken if variant.must_turn]
    kept = [line for line in kept if not line.endswith(TURNED)]
    assert not kept, f"{path.name} did not turn {'; '.join(kept)}"
    assert any(status in TURNED for status in statuses.values()), f"nothing was seen to turn {path.name}"


def _statuses(broken: list[Variant], runner: Runner) -> dict[str, str]:
    """How each variant came out; they are told apart by their title, since the runner yields them as they end."""
    from dataclasses import replace

    cells = [replace(variant.scenario, title=variant.how) for variant in broken]
    return {result.scenario.title: result.status for result in runner.run(cells)}


def _example() -> Scenario:
    return load_text(EXAMPLE, Path("example.rdzv.yaml"))[0]


def test_without_its_faults_a_scenario_waits_for_the_moments_of_the_faults() -> None:
    """What waited for a fault, or its healing, waits for the time at which it would have come."""
    bare = break_scenarios.without_faults(_example())
    assert bare.faults == ()
    assert bare.world.ranks[1].start == TimeMoment(600_000_000)
    assert bare.step("set").after == TimeMoment(200_000_000)
    claim = bare.expect[0]
    assert isinstance(claim, StepClaim)
    assert claim.since == TimeMoment(200_000_000)


def test_a_claim_turned_round_names_every_other_outcome() -> None:
    """What was to be ok must not be ok, and says nothing else."""
    claim = _example().expect[0]
    assert isinstance(claim, StepClaim)
    turned = break_scenarios.inverted(claim)
    assert isinstance(turned, StepClaim)
    assert turned.outcomes == ("failed", "died", "skipped")
    assert turned.within is None


def test_a_claim_that_only_bounds_time_is_moved_by_an_hour() -> None:
    """A claim that allows ok and failed alike can only be turned by its bounds."""
    claim = _example().expect[1]
    assert isinstance(claim, StepClaim)
    turned = break_scenarios.inverted(claim)
    assert isinstance(turned, StepClaim)
    assert turned.within == (break_scenarios.HOUR_NS, 2 * break_scenarios.HOUR_NS)


def test_a_later_moment_keeps_its_kind() -> None:
    """Time is added to what there is; what is not there stays so."""
    assert break_scenarios.later(StepMoment("join", plus_ns=1), 2) == StepMoment("join", plus_ns=3)
    assert break_scenarios.later(FaultMoment("cut"), 2) == FaultMoment("cut", plus_ns=2)
    assert break_scenarios.later(None, 2) is None


def test_every_scenario_has_a_variant_that_must_turn() -> None:
    """Dropping faults alone proves nothing where the claims hold without them."""
    for path in FILES:
        for cell in load(path):
            assert any(variant.must_turn for variant in variants(cell, "static")), cell.id
    assert NO_FAULTS not in TURNED
