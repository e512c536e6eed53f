"""What torchrun agents and their workers may still do: questions to what has progress, for schedule and guards."""

from __future__ import annotations

from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.progress import CallKey, Progress
from harness.values.plan import JOIN

WORKER_START_NS = 20_000_000_000
"""A worker is a new interpreter that imports torch: 1 to 2 s on two idle cores; eight at once on a busy machine take
ten times that."""


def is_workers(scenario: Scenario, key: CallKey) -> bool:
    """Whether a call is made by the worker and not by the agent."""
    return key[0] != EXIT and scenario.step(key[0]).do != JOIN


def may_still_come(scenario: Scenario, progress: Progress, key: CallKey) -> bool:
    """Whether a call that has not ended can still be made in the life that it is of, by the agents there are."""
    name, rank, life, _ = key
    state = progress.rank(rank)
    if name == EXIT:
        return life == state.first_life
    if life <= state.life:
        return life == state.life
    return not (state.ended or state.agent_ended) and life <= state.first_life + max_restarts(scenario)


def max_restarts(scenario: Scenario) -> int:
    """How often an agent of this world restarts its worker."""
    assert scenario.world.torchrun is not None
    return int(scenario.world.torchrun["max_restarts"])


def silent_from_ns(scenario: Scenario, progress: Progress, rank: int) -> int:
    """From when on an agent is taken to do nothing any more, if nothing happens until then.

    Agents wait for each other as long as any worker works, so the guard of one counts from what progress last in the
    whole world; while a worker starts, its start is on top.
    """
    starting = any(state.starts_worker for state in progress.ranks.values())
    guard_ns = scenario.world.ranks[rank].guard_ns
    return progress.last_ns + guard_ns + (WORKER_START_NS if starting else 0)


def somebody_works(scenario: Scenario, progress: Progress) -> bool:
    """Whether a call of a rank runs, or a worker waits for its turn; ends of agents do not count."""
    if any(key[0] != EXIT for key in progress.running):
        return True
    return any(state.worker and has_steps_left(scenario, progress, rank) for rank, state in progress.ranks.items())


def has_steps_left(scenario: Scenario, progress: Progress, rank: int) -> bool:
    """Whether the life that a rank is in has calls that have not ended."""
    life = progress.rank(rank).life
    return any(
        not progress.has_ended((step.name, rank, life, number))
        for step in scenario.steps_of(rank, life)
        for number in range(1, step.times + 1)
    )
