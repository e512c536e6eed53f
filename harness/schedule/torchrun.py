"""How the ranks of a torchrun world live: each is an agent, and one worker after another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from harness.scenario.scenario import EXIT, Scenario
from harness.schedule.lives import Outlook, PlainLives
from harness.schedule.progress import CallKey, LifeState, Progress
from harness.values.ops import INVOKE, LAUNCH, OK, REAP, WORKER, Op
from harness.values.plan import JOIN

WORKER_START_NS = 20_000_000_000
"""A worker is a new interpreter that imports torch: 1 to 2 s on two idle cores; eight at once on a busy machine take
ten times that."""


@dataclass(frozen=True)
class AgentState(LifeState):
    """How far one agent and its worker are; `life` is the newest worker's.

    Attributes:
        agent_ended: whether the agent has ended; its worker may go on.
        has_worker: whether a worker is there and can be sent word.
        starts_worker: whether the agent has joined and its worker is not there yet.
    """

    agent_ended: bool = False
    has_worker: bool = False
    starts_worker: bool = False


class TorchrunLives:
    """An agent's rendezvous begins a life; the worker makes the other calls; `exit` is the agent's end.

    A worker whose agent was killed goes on, as it does on a real host: the rank has ended when both have.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._plain = PlainLives()

    def first(self) -> AgentState:
        return AgentState()

    def fold(self, state: LifeState, op: Op) -> LifeState:
        assert isinstance(state, AgentState)
        if op.f == LAUNCH:
            return AgentState(op.value["life"], op.value["life"])
        if op.f == REAP:
            return replace(state, agent_ended=True, starts_worker=False, ended=not state.has_worker)
        if op.f == WORKER:
            return self._fold_worker(state, op)
        if op.f == JOIN and op.type == INVOKE and op.process.life > state.life:
            return replace(state, life=op.process.life)
        if op.f == JOIN and op.type == OK:
            return replace(state, starts_worker=True)
        return self._plain.fold(state, op)

    def _fold_worker(self, state: AgentState, op: Op) -> AgentState:
        if "pid" in op.value:
            return replace(state, has_worker=True, starts_worker=False)
        if "ended" in op.value:
            return replace(state, has_worker=False, ended=state.agent_ended)
        return state

    def listens(self, state: LifeState) -> bool:
        assert isinstance(state, AgentState)
        return state.has_worker

    def may_still_make(self, progress: Progress, key: CallKey) -> bool:
        """In the life that the call belongs to, by the agents there are."""
        name, rank, life, _ = key
        state = _agent(progress, rank)
        if name == EXIT:
            return life == state.first_life
        if life <= state.life:
            return life == state.life
        return not (state.ended or state.agent_ended) and life <= state.first_life + max_restarts(self._scenario)

    def will_end(self, key: CallKey, suspended: Collection[int]) -> bool:
        """Agents wait for each other at their end; a pause stops agents and not their workers."""
        return key[0] != EXIT and (key[1] not in suspended or is_workers(self._scenario, key))

    def can_go_on(
        self, rank: int, suspended: Collection[int], progress: Progress, now_ns: int, outlook: Outlook
    ) -> bool:
        """An agent that is silent for longer than its guard does nothing any more."""
        state = _agent(progress, rank)
        if not state.begun:
            return self._plain.can_go_on(rank, suspended, progress, now_ns, outlook)
        if state.has_worker and has_steps_left(self._scenario, progress, rank):
            return outlook.step_comes(rank, progress, now_ns)
        guard_ns = self._scenario.world.ranks[rank].guard_ns
        if not state.ended and rank not in suspended and now_ns < self._active_ns(progress) + guard_ns:
            return True
        return outlook.next_life_comes(rank, progress, now_ns)

    def guard_rests(self, progress: Progress, key: CallKey) -> bool:
        """A pause stops the agent; an agent's end waits as long as anybody works."""
        if is_workers(self._scenario, key):
            return False
        return key[1] in progress.suspended or (key[0] == EXIT and somebody_works(self._scenario, progress))

    def guard_from_ns(self, progress: Progress, key: CallKey) -> int:
        return self._active_ns(progress) if key[0] == EXIT else self._plain.guard_from_ns(progress, key)

    def _active_ns(self, progress: Progress) -> int:
        """When anything happened last in the whole world; while a worker starts, its start is on top.

        Agents wait for each other as long as any worker works, so their guards count from here.
        """
        starting = any(_agent(progress, rank).starts_worker for rank in progress.ranks)
        return progress.last_ns + (WORKER_START_NS if starting else 0)


def _agent(progress: Progress, rank: int) -> AgentState:
    state = progress.rank(rank)
    assert isinstance(state, AgentState)
    return state


def is_workers(scenario: Scenario, key: CallKey) -> bool:
    """Whether a call is made by the worker and not by the agent."""
    return key[0] != EXIT and scenario.step(key[0]).do != JOIN


def max_restarts(scenario: Scenario) -> int:
    """How often an agent of this world restarts its worker."""
    assert scenario.world.torchrun is not None
    return int(scenario.world.torchrun["max_restarts"])


def somebody_works(scenario: Scenario, progress: Progress) -> bool:
    """Whether a call of a rank runs, or a worker waits for its turn; ends of agents do not count."""
    if any(key[0] != EXIT for key in progress.running):
        return True
    return any(
        _agent(progress, rank).has_worker and has_steps_left(scenario, progress, rank) for rank in progress.ranks
    )


def has_steps_left(scenario: Scenario, progress: Progress, rank: int) -> bool:
    """Whether the life that a rank is in has calls that have not ended."""
    life = progress.rank(rank).life
    return any(
        not progress.has_ended((step.name, rank, life, number))
        for step in scenario.steps_of(rank, life)
        for number in range(1, step.times + 1)
    )
