"""The same scenario gives the same verdict in every world: on one loopback, on hosts, in containers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from verdicts import Verdicts, cells, names, require_as_written, require_dozen, verdicts_with

from harness.scenario.scenario import Scenario

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_toxiproxy]

# Those of `hosts` say in which world they play.
EVERYWHERE = names("hosts")

# Two of each folder: one that stock torch keeps, and one that it breaks where there is one. None lasts 5 s.
SAMPLE = (
    "timeouts/everybody-joins-in-time",
    "timeouts/a-missing-worker-is-named",
    "latency/a-slow-link-delays-only-its-own-calls",
    "latency/writes-keep-their-order",
    "dropped_masters/a-master-killed-after-the-join-ends-calls-at-once",
    "dropped_masters/a-restarted-worker-counts-once",
    "port_conflicts/few-descriptors-left-do-not-hurt-those-connected",
    "port_conflicts/a-store-of-another-run-is-not-joined",
    "prefix_isolation/num-keys-counts-only-its-own-run",
    "store_reuse/a-second-round-waits-for-everyone",
    "regressions/a-retried-join-counts-once",
    "regressions/a-duplicate-rank-does-not-replace-a-missing-one",
)

# A container takes a second to come, and its clock is the same: what they share is seen in a dozen.
DOZEN = (
    "timeouts/everybody-joins-in-time",
    "timeouts/a-silent-link-costs-a-call-its-timeout-at-most",
    "timeouts/nobody-returns-before-the-last-rank-has-begun",
    "latency/a-slow-link-delays-only-its-own-calls",
    "latency/writes-keep-their-order",
    "dropped_masters/a-master-killed-after-the-join-ends-calls-at-once",
    "dropped_masters/a-master-frozen-for-a-while-loses-nothing",
    "port_conflicts/a-store-of-another-run-is-not-joined",
    "prefix_isolation/two-runs-on-one-server-do-not-share-keys",
    "store_reuse/a-second-round-waits-for-everyone",
    "regressions/a-retried-join-counts-once",
    "regressions/a-duplicate-rank-does-not-replace-a-missing-one",
)


processes = verdicts_with(world="processes")
namespaces = verdicts_with(world="namespaces")
containers = verdicts_with(world="containers")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.nightly) for name in EVERYWHERE],
)
def test_a_scenario_gives_the_same_verdict_on_hosts_of_their_own(
    name: str, processes: Verdicts, namespaces: Verdicts
) -> None:
    """Each rank has a host, and links cross the network twice: no claim depends on that."""
    _compare(cells(name), processes, namespaces)


@pytest.mark.nightly
@pytest.mark.usefixtures("docker_engine")
@pytest.mark.parametrize("name", DOZEN)
def test_a_scenario_gives_the_same_verdict_in_containers(name: str, processes: Verdicts, containers: Verdicts) -> None:
    """Each rank is confined to a container: no claim depends on that either."""
    _compare(cells(name), processes, containers)


@pytest.mark.parametrize("sample", [SAMPLE, DOZEN])
def test_a_sample_is_a_dozen_scenarios_that_exist(sample: Sequence[str]) -> None:
    """Both samples: that of every push, and that in containers."""
    require_dozen(sample, EVERYWHERE)


def _compare(played: Sequence[Scenario], one: Verdicts, other: Verdicts) -> None:
    """The verdicts of both worlds are as written, and the same."""
    expected, found = one(played), other(played)
    require_as_written(expected, found)
    assert found == expected
