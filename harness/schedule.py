"""Which step, rank and fault may begin at which moment: a pure function of what has happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness import agents
from harness.answers import Answer, Come, Never, Pending, all_of, at, counted, matched_ns
from harness.happened import CallKey, FaultState, Happened
from harness.scenario import EXIT, Fault, Scenario, Step
from harness.words.moment import AllMoments, FaultMoment, Moment, StepMoment, TimeMoment, WireMoment

UNDER_WAY_NS = 500_000_000
"""A call that expects no reply ends before its message has passed the proxy server: so long it may be under way."""


@dataclass(frozen=True)
class Decisions:
    """What to do now.

    Attributes:
        begin: ranks to send off.
        go: gates that have come, as (rank, life, index of the step).
        skip: steps that can no longer begin, likewise, with the reason.
        inject, heal: faults, by name, in the order of their moments.
        never_start: ranks that will never come.
        over: whether the play has ended.
        wake_ns: when to ask again at the latest; None means at the next event.
    """

    begin: tuple[int, ...] = ()
    go: tuple[tuple[int, int, int], ...] = ()
    skip: tuple[tuple[int, int, int, str], ...] = ()
    inject: tuple[str, ...] = ()
    heal: tuple[str, ...] = ()
    never_start: tuple[int, ...] = ()
    over: bool = False
    wake_ns: int | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do but wait."""
        return not (self.begin or self.go or self.skip or self.inject or self.heal or self.never_start or self.over)


class Schedule:
    """The plan of one scenario, asked again whenever something has happened."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._faults = {fault.name: fault for fault in scenario.faults}
        self._steps = {step.name: step for step in scenario.steps}
        self._decided: set[tuple[int, int, int]] = set()
        self._by_thread: dict[tuple[int, int], tuple[tuple[tuple[int, Step], ...], ...]] = {}
        self._has_agents = scenario.world.torchrun is not None
        self._any_gated = any(step.after is not None for step in scenario.steps)

    # -- questions ---------------------------------------------------------------------------------------------

    def when(self, moment: Moment, happened: Happened, now_ns: int) -> Answer:
        """Whether a moment has come, by what has happened up to now."""
        if isinstance(moment, TimeMoment):
            return at(happened.start_ns + moment.offset_ns, now_ns)
        if isinstance(moment, AllMoments):
            return all_of([self.when(part, happened, now_ns) for part in moment.moments])
        if isinstance(moment, FaultMoment):
            return self._when_fault(moment, happened, now_ns)
        if isinstance(moment, StepMoment):
            return self._when_step(moment, happened, now_ns)
        return self._when_wire(moment, happened, now_ns)

    def decide(self, happened: Happened, now_ns: int) -> Decisions:
        """What may begin now; called again after every event and at `wake_ns`."""
        wakes: list[int] = []
        begin, never_start = self._starts(happened, now_ns, wakes)
        go, skip = self._gates(happened, now_ns, wakes)
        inject = self._injections(happened, now_ns, wakes)
        heal = self._healings(happened, now_ns, wakes)
        decisions = Decisions(begin, go, skip, inject, heal, never_start)
        over = decisions.idle and not self._can_go_on(happened, now_ns)
        wake_ns = min(wakes) if wakes else None
        return Decisions(begin, go, skip, inject, heal, never_start, over, wake_ns)

    def decided(self, rank: int, life: int, index: int) -> None:
        """Remember that the gate of a step was answered."""
        self._decided.add((rank, life, index))

    def expected(self, step: str, ranks: Iterable[int], life: int) -> Iterator[CallKey]:
        """The calls that a step has in one life of these ranks."""
        times = 1 if step == EXIT else self._steps[step].times
        if step != EXIT and self._steps[step].life not in (None, life):
            return
        for rank in ranks:
            for number in range(1, times + 1):
                yield (step, rank, life, number)

    def unended(self, rank: int, life: int, happened: Happened) -> Iterator[tuple[int, Step, CallKey]]:
        """The calls of a rank's life that have not ended, with their step and its index; `exit` is not among them."""
        for index, step in enumerate(self.scenario.steps):
            if rank in step.ranks and step.life in (None, life):
                for key in self.expected(step.name, (rank,), life):
                    if not happened.has_ended(key):
                        yield index, step, key

    def may_restart(self, rank: int, happened: Happened) -> bool:
        """Whether a fault like `kill` may still give this rank another life."""
        return any(
            fault.starts_again and rank in fault.ranks and self._can_heal(fault, happened)
            for fault in self.scenario.faults
        )

    # -- moments -----------------------------------------------------------------------------------------------

    def _when_fault(self, moment: FaultMoment, happened: Happened, now_ns: int) -> Answer:
        fault, state = self._faults[moment.fault], happened.fault(moment.fault)
        came = state.injected_ns if moment.state == "injected" else state.healed_ns
        if came is not None:
            return at(came + moment.plus_ns, now_ns)
        if moment.state == "healed":
            return Pending() if self._can_heal(fault, happened) else Never()
        return Pending() if self._can_inject(fault, happened) else Never()

    def _can_inject(self, fault: Fault, happened: Happened) -> bool:
        if not _may_inject(happened.fault(fault.name)):
            return False
        return not isinstance(self.when(fault.after, happened, happened.start_ns), Never)

    def _can_heal(self, fault: Fault, happened: Happened) -> bool:
        state = happened.fault(fault.name)
        if fault.until is None or state.healed_ns is not None or state.failed:
            return False
        if state.injected_ns is None and not self._can_inject(fault, happened):
            return False
        if isinstance(fault.until, FaultMoment) and fault.until.fault == fault.name:
            return True
        return not isinstance(self.when(fault.until, happened, happened.start_ns), Never)

    def _when_step(self, moment: StepMoment, happened: Happened, now_ns: int) -> Answer:
        ranks = moment.ranks or self.scenario.ranks_of(moment.step)
        times: list[int] = []
        open_calls = closed_calls = 0
        for key in self.expected(moment.step, ranks, moment.life):
            time_ns = matched_ns(happened.calls.get(key), moment.state)
            if time_ns is not None:
                times.append(time_ns)
            elif self._still_open(key, happened):
                open_calls += 1
            else:
                closed_calls += 1
        return counted(times, open_calls, closed_calls, moment, now_ns)

    def _when_wire(self, moment: WireMoment, happened: Happened, now_ns: int) -> Answer:
        came = happened.wire.get(moment.message)
        if came is not None:
            return at(came + moment.plus_ns, now_ns)
        ranks = moment.ranks or range(self.scenario.world.size)
        alive = any(not happened.rank(rank).ended or self.may_restart(rank, happened) for rank in ranks)
        return Pending() if alive else Never()

    def _still_open(self, key: CallKey, happened: Happened) -> bool:
        if happened.has_ended(key):
            return False
        _, rank, life, _ = key
        state = happened.rank(rank)
        if self._has_agents and agents.may_still_come(self.scenario, happened, key):
            return True
        if life > state.life:
            return self.may_restart(rank, happened)
        return life == state.life and not self._has_agents

    # -- decisions ---------------------------------------------------------------------------------------------

    def _starts(self, happened: Happened, now_ns: int, wakes: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        begin: list[int] = []
        never: list[int] = []
        for rank, spec in enumerate(self.scenario.world.ranks):
            state = happened.rank(rank)
            if state.begun or state.ended:
                continue
            answer = Never() if spec.start is None else self.when(spec.start, happened, now_ns)
            if isinstance(answer, Come):
                begin.append(rank)
            elif isinstance(answer, Never):
                never.append(rank)
            else:
                _wake(answer, wakes)
        return tuple(begin), tuple(never)

    def _gates(
        self, happened: Happened, now_ns: int, wakes: list[int]
    ) -> tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int, str], ...]]:
        go: list[tuple[int, int, int]] = []
        skip: list[tuple[int, int, int, str]] = []
        for gate, step in self._open_gates(happened):
            assert step.after is not None
            answer = self.when(step.after, happened, now_ns)
            if isinstance(answer, Come):
                go.append(gate)
            elif isinstance(answer, Never):
                skip.append((*gate, f"{step.after} can no longer come"))
            else:
                _wake(answer, wakes)
        return tuple(go), tuple(skip)

    def _open_gates(self, happened: Happened) -> Iterator[tuple[tuple[int, int, int], Step]]:
        if not self._any_gated:
            return
        for index, step in enumerate(self.scenario.steps):
            if step.after is None:
                continue
            for rank in step.ranks:
                state = happened.rank(rank)
                gate = (rank, state.life, index)
                listens = state.worker if self._has_agents else state.begun and not state.ended
                if listens and step.life in (None, state.life) and gate not in self._decided:
                    yield gate, step

    def _injections(self, happened: Happened, now_ns: int, wakes: list[int]) -> tuple[str, ...]:
        waiting = [
            (fault.name, fault.after) for fault in self.scenario.faults if _may_inject(happened.fault(fault.name))
        ]
        return self._due(waiting, happened, now_ns, wakes)

    def _healings(self, happened: Happened, now_ns: int, wakes: list[int]) -> tuple[str, ...]:
        held = [fault for fault in self.scenario.faults if _is_held(happened.fault(fault.name))]
        waiting = [(fault.name, fault.until) for fault in held if fault.until is not None]
        return self._due(waiting, happened, now_ns, wakes)

    def _due(
        self, waiting: Sequence[tuple[str, Moment]], happened: Happened, now_ns: int, wakes: list[int]
    ) -> tuple[str, ...]:
        """Those whose moment has come, in the order of their moments, then of the file."""
        due: list[tuple[int, int, str]] = []
        for order, (name, moment) in enumerate(waiting):
            answer = self.when(moment, happened, now_ns)
            if isinstance(answer, Come):
                due.append((answer.time_ns, order, name))
            else:
                _wake(answer, wakes)
        return tuple(name for _, _, name in sorted(due))

    # -- the end of the play -----------------------------------------------------------------------------------

    def _can_go_on(self, happened: Happened, now_ns: int) -> bool:
        """Whether a call runs that will end, or a step can still begin (format, rule 7).

        A paused rank neither runs nor begins anything until its healing comes, and that must come by itself
        or from somebody else who goes on.
        """
        paused = self._paused(happened)
        if any(self._will_end(key, paused) for key in happened.running):
            return True
        if any(self._comes_by_itself(FaultMoment(name, "healed"), happened, now_ns) for name in paused.values()):
            return True
        return any(
            self._agent_can_go_on(rank, paused, happened, now_ns)
            if self._has_agents and happened.rank(rank).begun
            else rank not in paused and self._rank_can_go_on(rank, happened, now_ns)
            for rank in range(self.scenario.world.size)
        )

    def _will_end(self, key: CallKey, paused: Mapping[int, str]) -> bool:
        """Whether a running call will end by itself or by its guard; a pause hits agents and not their workers."""
        if not self._has_agents:
            return key[1] not in paused
        return key[0] != EXIT and (key[1] not in paused or agents.is_workers(self.scenario, key))

    def _agent_can_go_on(self, rank: int, paused: Mapping[int, str], happened: Happened, now_ns: int) -> bool:
        """Whether an agent that has begun, or its worker, does something yet; one that is silent too long does not."""
        state = happened.rank(rank)
        if state.worker and agents.has_steps_left(self.scenario, happened, rank):
            heads = self._heads(rank, happened)
            return any(self._thread_can_go_on(head, rank, happened, now_ns) for head in heads)
        if not state.ended and rank not in paused and now_ns < agents.silent_from_ns(self.scenario, happened, rank):
            return True
        return self._next_life_comes(rank, happened, now_ns)

    def _rank_can_go_on(self, rank: int, happened: Happened, now_ns: int) -> bool:
        state, spec = happened.rank(rank), self.scenario.world.ranks[rank]
        if not state.begun and not state.ended:
            has_steps = any(True for _ in self.unended(rank, state.life, happened))
            return has_steps and spec.start is not None and self._comes_by_itself(spec.start, happened, now_ns)
        if not state.ended and any(
            self._thread_can_go_on(head, rank, happened, now_ns) for head in self._heads(rank, happened)
        ):
            return True
        return self._next_life_comes(rank, happened, now_ns)

    def _next_life_comes(self, rank: int, happened: Happened, now_ns: int) -> bool:
        life = happened.rank(rank).life + 1
        if not self.scenario.steps_of(rank, life):
            return False
        return any(
            fault.starts_again
            and rank in fault.ranks
            and happened.fault(fault.name).healed_ns is None
            and self._comes_by_itself(FaultMoment(fault.name, "healed"), happened, now_ns)
            for fault in self.scenario.faults
        )

    def _heads(self, rank: int, happened: Happened) -> Iterator[tuple[int, Step]]:
        """The first step of each thread that has not ended."""
        seen: set[str] = set()
        for index, step, _ in self.unended(rank, happened.rank(rank).life, happened):
            if step.thread not in seen:
                seen.add(step.thread)
                yield index, step

    def _thread_can_go_on(self, head: tuple[int, Step], rank: int, happened: Happened, now_ns: int) -> bool:
        index, step = head
        if step.after is None or (rank, happened.rank(rank).life, index) in self._decided:
            return True
        return self._comes_by_itself(step.after, happened, now_ns)

    def _comes_by_itself(self, moment: Moment, happened: Happened, now_ns: int) -> bool:
        """Whether a moment will come, or may, though no call runs: by time, by an injection, by a healing."""
        answer = self.when(moment, happened, now_ns)
        if isinstance(answer, Come):
            return True
        if isinstance(answer, Never):
            return False
        if isinstance(moment, TimeMoment) or answer.wake_ns is not None:
            return True
        if isinstance(moment, AllMoments):
            return all(self._comes_by_itself(part, happened, now_ns) for part in moment.moments)
        if isinstance(moment, FaultMoment):
            return self._fault_comes_by_itself(moment, happened, now_ns)
        if isinstance(moment, WireMoment):
            return now_ns < happened.last_ns + UNDER_WAY_NS
        return self._next_life_gives(moment, happened, now_ns)

    def _fault_comes_by_itself(self, moment: FaultMoment, happened: Happened, now_ns: int) -> bool:
        fault, state = self._faults[moment.fault], happened.fault(moment.fault)
        injection = state.injected_ns is not None or self._comes_by_itself(fault.after, happened, now_ns)
        if moment.state == "injected" or not injection:
            return injection
        if fault.until is None:
            return False
        if isinstance(fault.until, FaultMoment) and fault.until.fault == fault.name:
            return True
        return self._comes_by_itself(fault.until, happened, now_ns)

    def _next_life_gives(self, moment: StepMoment, happened: Happened, now_ns: int) -> bool:
        ranks = moment.ranks or self.scenario.ranks_of(moment.step)
        return any(
            moment.life > happened.rank(rank).life and self._next_life_comes(rank, happened, now_ns) for rank in ranks
        )

    def _paused(self, happened: Happened) -> dict[int, str]:
        """The ranks that are paused now, and by which fault."""
        return {
            rank: fault.name
            for fault in self.scenario.faults
            if fault.kind == "pause" and _is_held(happened.fault(fault.name))
            for rank in fault.ranks
        }


def _may_inject(state: FaultState) -> bool:
    return state.injected_ns is None and not state.failed


def _is_held(state: FaultState) -> bool:
    return state.injected_ns is not None and state.healed_ns is None


def _wake(answer: Answer, wakes: list[int]) -> None:
    if isinstance(answer, Pending) and answer.wake_ns is not None:
        wakes.append(answer.wake_ns)
