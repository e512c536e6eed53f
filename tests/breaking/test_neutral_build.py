"""No scenario with faults passes, or is a known failure, in a build whose faults do nothing (neutral_build/)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from asked import run_options

from harness.campaign.runner import Runner
from harness.loader import load
from harness.scenario.scenario import Scenario
from harness.values.verdict import ERROR, FAILED, SKIPPED, VACUOUS

HERE = Path(__file__).parent
SCENARIOS = HERE.parents[1] / "scenarios"
FILES = [path for path in sorted(SCENARIOS.rglob("*.rdzv.yaml")) if "\nfaults:" in path.read_text()]
SEEN = {FAILED, VACUOUS, ERROR, SKIPPED}

SAMPLE = (
    "latency/jitter-does-not-break-the-join",
    "latency/segments-after-the-join-change-nothing",
    "latency/a-narrow-link-delays-the-join-and-no-more",
    "latency/a-late-close-does-not-delay-the-join",
    "latency/a-write-outlives-its-writer",
    "port_conflicts/a-held-port-raises-a-class-of-the-contract",
    "port_conflicts/strangers-do-not-hold-up-the-join",
    "timeouts/a-link-broken-for-half-a-second-only-delays-the-join",
    "hosts/loss-of-three-packets-in-ten-only-delays-the-join",
    "hosts/packets-that-overtake-each-other-change-nothing",
    "hosts/a-switch-that-is-dead-for-a-moment-only-delays-the-join",
    "hosts/the-masters-rack-goes-on-without-the-other",
)
"""Each of them passed in such a build when a byte on the link, or a packet that a rule had met, was evidence enough."""


def _cells(path: Path) -> list[Scenario]:
    return [cell for cell in load(path) if cell.faults]


@pytest.fixture(scope="module")
def neutral(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner whose controllers, and all that they start, are of the neutral build."""
    options = run_options(pytestconfig, tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as environment:
        paths = [str(HERE / "neutral_build"), os.environ.get("PYTHONPATH", "")]
        environment.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        with Runner(options) as runner:
            yield runner


def _unseen(cells: Sequence[Scenario], runner: Runner) -> list[str]:
    """The cells that come out as if their faults had acted."""
    return [f"{one.scenario.id}: {one.status}" for one in runner.run(cells) if one.status not in SEEN]


@pytest.mark.needs_torch
def test_of_a_dozen_scenarios_none_passes_without_the_effect_of_its_faults(neutral: Runner) -> None:
    """The last cell of each, which has the most faults or the widest."""
    cells = [_cells(SCENARIOS / f"{name}.rdzv.yaml")[-1] for name in SAMPLE]
    assert not _unseen(cells, neutral)


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.parametrize("path", FILES, ids=[path.name.removesuffix(".rdzv.yaml") for path in FILES])
def test_no_scenario_passes_without_the_effect_of_its_faults(path: Path, neutral: Runner) -> None:
    """A passed or known cell would have said something about faults that were never there."""
    assert not _unseen(_cells(path), neutral)


def test_every_kind_of_fault_occurs_in_a_scenario() -> None:
    """So the nightly test asks every kind; those that no scenario uses are named here."""
    from harness.faults.base import FAULTS

    used = {fault.kind for path in FILES for cell in load(path) for fault in cell.faults}
    assert sorted(set(FAULTS) - used) == ["x_half_close"]
