"""The files of the format's own page load, and mean what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.loader import load
from harness.scenario.moment import START, FaultMoment, StepMoment
from harness.scenario.scenario import ABSENT, AnyClaim, CheckClaim, Scenario, StepClaim
from harness.values.quantity import Duration

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SECOND = 1_000_000_000
EXAMPLES = {
    "regressions/a-link-that-breaks-after-the-join-costs-one-timeout": 3,
    "regressions/a-retried-join-counts-once": 1,
    "regressions/two-jobs-on-one-port-do-not-merge": 1,
    "regressions/both-nodes-share-one-attempt-or-the-job-ends": 1,
    "regressions/a-blocked-get-does-not-block-set": 1,
    "port_conflicts/a-silent-impostor-delays-the-join-only-while-it-stays": 1,
    "regressions/segments-do-not-change-the-join": 4,
}


def read(name: str) -> list[Scenario]:
    return load(SCENARIOS / f"{name}.rdzv.yaml")


@pytest.fixture(scope="module")
def broken_link() -> list[Scenario]:
    """The long example: a matrix of four cells, one of them excluded."""
    return read("regressions/a-link-that-breaks-after-the-join-costs-one-timeout")


def test_every_example_has_its_cells() -> None:
    """Each file gives one scenario per cell that is not excluded."""
    assert {name: len(read(name)) for name in EXAMPLES} == EXAMPLES


def test_cells_are_the_product_less_what_is_excluded(broken_link: list[Scenario]) -> None:
    """Ids name the cell; the excluded one is absent."""
    assert [one.cell_id for one in broken_link] == [
        "timeout=1s,broken=mute",
        "timeout=1s,broken=cut",
        "timeout=3s,broken=mute",
    ]
    assert [one.faults[0].kind for one in broken_link] == ["blackhole", "reset_peer", "blackhole"]
    assert [one.world.timeout_ns for one in broken_link] == [SECOND, SECOND, 3 * SECOND]


def test_steps_are_resolved(broken_link: list[Scenario]) -> None:
    """Ranks, threads, times, handlers and moments are values; a step without an id is named by its verb."""
    join, publish, stuck, aside, others, own = broken_link[2].steps
    assert (join.name, join.ranks, join.after) == ("join", (0, 1, 2, 3), None)
    assert (publish.name, publish.arguments) == ("set", {"key": "ready", "value": "1"})
    assert stuck.after == FaultMoment("broken")
    assert (aside.thread, aside.after) == ("watchdog", StepMoment("stuck", state=("begun",), plus_ns=200_000_000))
    assert (others.ranks, others.times) == ((1, 2), 5)
    assert own.handler == "second"
    assert [step.line for step in broken_link[2].steps] == list(range(24, 30))


def test_faults_are_resolved(broken_link: list[Scenario]) -> None:
    """`for` is a moment of the fault itself, in terms of the cell's timeout."""
    fault = broken_link[2].faults[0]
    assert (fault.ranks, fault.stream, fault.streams, fault.toxicity) == ((3,), "downstream", ("downstream",), 1.0)
    assert fault.after == StepMoment("set", state=("ok",))
    assert fault.until == FaultMoment("broken", "injected", 9 * SECOND)


def test_the_nearest_configuration_of_a_handler_wins(broken_link: list[Scenario]) -> None:
    """World for all, the step for its own handler; the guard follows the longest timeout of the rank."""
    master, *_, last = broken_link[2].world.ranks
    assert (master.handlers["main"].run_id, master.handlers["main"].world_size) == ("train-a", 4)
    assert (master.handlers["second"].run_id, master.handlers["second"].world_size, master.handlers["second"].rank) == (
        "train-b",
        1,
        0,
    )
    assert set(last.handlers) == {"main"}
    assert last.env == {"GLOO_SOCKET_IFNAME": "lo", "LOGLEVEL": "DEBUG"}
    assert (last.start == START, last.guard_ns) == (False, 11 * SECOND)
    assert broken_link[2].world.guard == Duration(5 * SECOND, 2.0)


def test_claims_are_resolved(broken_link: list[Scenario]) -> None:
    """Bounds are nanoseconds of the cell; a check has its parameters."""
    in_time, others, reuse = broken_link[2].expect
    assert isinstance(in_time, StepClaim)
    assert isinstance(others, StepClaim)
    assert (in_time.name, in_time.steps, in_time.within) == ("in-time", ("stuck", "aside"), (0, 4 * SECOND))
    assert in_time.errors == ("RendezvousTimeoutError", "DistNetworkError")
    assert (in_time.value is ABSENT, others.value, others.since) == (True, "1", FaultMoment("broken"))
    assert reuse == CheckClaim("store_reuse", "store_reuse", {"handlers": None}, 37, "{check: store_reuse}")
    assert in_time.text.startswith("{id: in-time, step: [stuck, aside], is: failed,")


def test_known_failures_come_with_the_cells_they_fit(broken_link: list[Scenario]) -> None:
    """An entry stands in the cells it names and in no other."""
    assert [len(one.known) for one in broken_link] == [1, 0, 1]
    known = broken_link[2].known[0]
    assert (known.subject, known.torch, known.breaks, known.refs) == ("static", ">=2.6", ("in-time",), ("F02",))
    assert known.instead[0].within == (6 * SECOND, 12 * SECOND)  # type: ignore[union-attr]


def test_waivers_needs_tags_and_refs_are_kept(broken_link: list[Scenario]) -> None:
    """What stands at the top of the file is in every cell."""
    one = broken_link[0]
    assert one.waived == {"nothing_left_behind": "a muted socket may linger longer than the second we wait"}
    assert (one.tags, one.refs, one.needs) == (
        ("timeout", "links"),
        ("F02", "pytorch/pytorch#129367"),
        {"torch": ">=2.6"},
    )


def test_a_missing_rank_never_starts() -> None:
    """`start: never` is no moment at all."""
    retried = read("regressions/a-retried-join-counts-once")[0]
    assert [spec.start for spec in retried.world.ranks] == [START, START, None]
    assert retried.faults[0].until == StepMoment("join", ranks=(1,), state=("failed",))
    assert retried.faults[0].attributes == {"bytes": 5}


def test_ranks_may_be_given_other_ranks() -> None:
    """`as_rank`, `run_id` and `world_size` of a rank; the master has no link."""
    merged = read("regressions/two-jobs-on-one-port-do-not-merge")[0]
    configs = [spec.handlers["main"] for spec in merged.world.ranks]
    assert [(one.rank, one.run_id, one.world_size) for one in configs] == [(0, "a", 2), (0, "b", 2), (1, "b", 2)]


def test_a_torchrun_world_says_what_its_agents_do() -> None:
    """How often they restart their workers, and which steps are for which attempt."""
    attempt = read("regressions/both-nodes-share-one-attempt-or-the-job-ends")[0]
    assert attempt.world.torchrun == {"max_restarts": 1}
    assert isinstance(attempt.expect[0], AnyClaim)
    assert [claim.name for claim in attempt.expect[0].claims] == ["rendezvous", "exit"]
    assert [(step.name, step.life) for step in attempt.steps][2:] == [("crash", 1), ("again", 2), ("busy", 1)]
