"""Which step, rank and fault may begin at which moment: a pure function of a scenario and its progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.scenario.moment import AllMoments, FaultMoment, Moment, SeenMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import EXIT, Fault, Scenario, Step
from harness.schedule.answers import Answer, Impossible, Pending, Reached, all_of, at, counted, matched_ns
from harness.schedule.lives import Lives, PlainLives
from harness.schedule.progress import CallKey, Gate, Progress
from harness.schedule.torchrun import TorchrunLives

UNDER_WAY_NS = 500_000_000
"""A call that expects no reply ends before its message has passed the proxy server: so long it may be under way."""


@dataclass(frozen=True)
class Decisions:
    """What to do now.

    Attributes:
        begin: ranks to send off.
        go: gates whose moment has come, as (rank, life, index of the step).
        skip: steps that can no longer begin, likewise, with the reason.
        inject, heal: faults, by name, in the order of their moments.
        never_start: ranks that will never come.
        over: whether the play has ended.
        wake_ns: when to ask again at the latest; None means at the next event.
    """

    begin: tuple[int, ...] = ()
    go: tuple[Gate, ...] = ()
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


def lives_of(scenario: Scenario) -> Lives:
    """How the ranks of a scenario live."""
    return PlainLives() if scenario.world.torchrun is None else TorchrunLives(scenario)


class Schedule:
    """The plan of one scenario, asked again whenever something has happened; it remembers nothing."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.lives = lives_of(scenario)
        self._faults = {fault.name: fault for fault in scenario.faults}
        self._steps = {step.name: step for step in scenario.steps}
        self._any_gated = any(step.after is not None for step in scenario.steps)

    # -- questions ---------------------------------------------------------------------------------------------

    def when(self, moment: Moment, progress: Progress, now_ns: int) -> Answer:
        """Whether a moment has come, by what has happened up to now."""
        if isinstance(moment, TimeMoment):
            return at(progress.start_ns + moment.offset_ns, now_ns)
        if isinstance(moment, AllMoments):
            return all_of([self.when(part, progress, now_ns) for part in moment.moments])
        if isinstance(moment, FaultMoment):
            return self._when_fault(moment, progress, now_ns)
        if isinstance(moment, StepMoment):
            return self._when_step(moment, progress, now_ns)
        came = progress.passed_ns(moment.message) if isinstance(moment, WireMoment) else progress.seen_ns(moment.sight)
        return self._when_observed(moment, came, progress, now_ns)

    def decide(self, progress: Progress, now_ns: int) -> Decisions:
        """What may begin now; called again after every event and at `wake_ns`."""
        wakes: list[int] = []
        begin, never_start = self._starts(progress, now_ns, wakes)
        go, skip = self._gates(progress, now_ns, wakes)
        inject = self._injections(progress, now_ns, wakes)
        heal = self._healings(progress, now_ns, wakes)
        decisions = Decisions(begin, go, skip, inject, heal, never_start)
        over = decisions.idle and not self._can_go_on(progress, now_ns)
        wake_ns = min(wakes) if wakes else None
        return Decisions(begin, go, skip, inject, heal, never_start, over, wake_ns)

    def expected(self, step: str, ranks: Iterable[int], life: int) -> Iterator[CallKey]:
        """The calls that a step has in one life of these ranks."""
        times = 1 if step == EXIT else self._steps[step].times
        if step != EXIT and self._steps[step].life not in (None, life):
            return
        for rank in ranks:
            for number in range(1, times + 1):
                yield (step, rank, life, number)

    def unended(self, rank: int, life: int, progress: Progress) -> Iterator[tuple[int, Step, CallKey]]:
        """The calls of a rank's life that have not ended, with their step and its index; `exit` is not among them."""
        for index, step in enumerate(self.scenario.steps):
            if rank in step.ranks and step.life in (None, life):
                for key in self.expected(step.name, (rank,), life):
                    if not progress.has_ended(key):
                        yield index, step, key

    def may_restart(self, rank: int, progress: Progress) -> bool:
        """Whether a fault like `kill` may still give this rank another life."""
        return any(
            fault.restarts_ranks and rank in fault.ranks and self._can_heal(fault, progress)
            for fault in self.scenario.faults
        )

    # -- moments -----------------------------------------------------------------------------------------------

    def _when_fault(self, moment: FaultMoment, progress: Progress, now_ns: int) -> Answer:
        fault, state = self._faults[moment.fault], progress.fault(moment.fault)
        came = state.injected_ns if moment.state == "injected" else state.healed_ns
        if came is not None:
            return at(came + moment.plus_ns, now_ns)
        if moment.state == "healed":
            return Pending() if self._can_heal(fault, progress) else Impossible()
        return Pending() if self._can_inject(fault, progress) else Impossible()

    def _can_inject(self, fault: Fault, progress: Progress) -> bool:
        if not progress.fault(fault.name).may_be_injected:
            return False
        return not isinstance(self.when(fault.after, progress, progress.start_ns), Impossible)

    def _can_heal(self, fault: Fault, progress: Progress) -> bool:
        state = progress.fault(fault.name)
        if fault.until is None or state.healed_ns is not None or state.failed:
            return False
        if state.injected_ns is None and not self._can_inject(fault, progress):
            return False
        if isinstance(fault.until, FaultMoment) and fault.until.fault == fault.name:
            return True
        return not isinstance(self.when(fault.until, progress, progress.start_ns), Impossible)

    def _when_step(self, moment: StepMoment, progress: Progress, now_ns: int) -> Answer:
        ranks = moment.ranks or self.scenario.ranks_of(moment.step)
        times: list[int] = []
        open_calls = closed_calls = 0
        for key in self.expected(moment.step, ranks, moment.life):
            time_ns = matched_ns(progress.calls.get(key), moment.state)
            if time_ns is not None:
                times.append(time_ns)
            elif self._still_open(key, progress):
                open_calls += 1
            else:
                closed_calls += 1
        return counted(times, open_calls, closed_calls, moment, now_ns)

    def _when_observed(
        self, moment: WireMoment | SeenMoment, came: int | None, progress: Progress, now_ns: int
    ) -> Answer:
        """Of what comes from ranks, and can come as long as one of them lives."""
        if came is not None:
            return at(came + moment.plus_ns, now_ns)
        ranks = moment.ranks or range(self.scenario.world.size)
        alive = any(not progress.rank(rank).ended or self.may_restart(rank, progress) for rank in ranks)
        return Pending() if alive else Impossible()

    def _still_open(self, key: CallKey, progress: Progress) -> bool:
        if progress.has_ended(key):
            return False
        if self.lives.may_still_make(progress, key):
            return True
        _, rank, life, _ = key
        return life > progress.rank(rank).life and self.may_restart(rank, progress)

    # -- decisions ---------------------------------------------------------------------------------------------

    def _starts(self, progress: Progress, now_ns: int, wakes: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        begin: list[int] = []
        never: list[int] = []
        for rank, spec in enumerate(self.scenario.world.ranks):
            state = progress.rank(rank)
            if state.begun or state.ended:
                continue
            answer = Impossible() if spec.start is None else self.when(spec.start, progress, now_ns)
            if isinstance(answer, Reached):
                begin.append(rank)
            elif isinstance(answer, Impossible):
                never.append(rank)
            else:
                _wake(answer, wakes)
        return tuple(begin), tuple(never)

    def _gates(
        self, progress: Progress, now_ns: int, wakes: list[int]
    ) -> tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int, str], ...]]:
        go: list[tuple[int, int, int]] = []
        skip: list[tuple[int, int, int, str]] = []
        for gate, step in self._open_gates(progress):
            assert step.after is not None
            answer = self.when(step.after, progress, now_ns)
            if isinstance(answer, Reached):
                go.append(gate)
            elif isinstance(answer, Impossible):
                skip.append((*gate, f"{step.after} can no longer come"))
            else:
                _wake(answer, wakes)
        return tuple(go), tuple(skip)

    def _open_gates(self, progress: Progress) -> Iterator[tuple[tuple[int, int, int], Step]]:
        if not self._any_gated:
            return
        for index, step in enumerate(self.scenario.steps):
            if step.after is None:
                continue
            for rank in step.ranks:
                state = progress.rank(rank)
                gate = (rank, state.life, index)
                applies = step.life in (None, state.life) and gate not in progress.decided
                if applies and self.lives.listens(state):
                    yield gate, step

    def _injections(self, progress: Progress, now_ns: int, wakes: list[int]) -> tuple[str, ...]:
        waiting = [
            (fault.name, fault.after) for fault in self.scenario.faults if progress.fault(fault.name).may_be_injected
        ]
        return self._due(waiting, progress, now_ns, wakes)

    def _healings(self, progress: Progress, now_ns: int, wakes: list[int]) -> tuple[str, ...]:
        active = [fault for fault in self.scenario.faults if progress.fault(fault.name).is_active]
        waiting = [(fault.name, fault.until) for fault in active if fault.until is not None]
        return self._due(waiting, progress, now_ns, wakes)

    def _due(
        self, waiting: Sequence[tuple[str, Moment]], progress: Progress, now_ns: int, wakes: list[int]
    ) -> tuple[str, ...]:
        """Those whose moment has come, in the order of their moments, then of the file."""
        due: list[tuple[int, int, str]] = []
        for order, (name, moment) in enumerate(waiting):
            answer = self.when(moment, progress, now_ns)
            if isinstance(answer, Reached):
                due.append((answer.time_ns, order, name))
            else:
                _wake(answer, wakes)
        return tuple(name for _, _, name in sorted(due))

    # -- the end of the play -----------------------------------------------------------------------------------

    def _can_go_on(self, progress: Progress, now_ns: int) -> bool:
        """Whether a call runs that will end, or a step can still begin (format, rule 7).

        A suspended rank neither runs nor begins anything until its fault is healed, and that must come by itself
        or from another rank that goes on.
        """
        suspended = self._suspended(progress)
        if any(self.lives.will_end(key, suspended) for key in progress.running):
            return True
        if any(self._comes_by_itself(FaultMoment(name, "healed"), progress, now_ns) for name in suspended.values()):
            return True
        ranks = range(self.scenario.world.size)
        return any(self.lives.can_go_on(rank, suspended, progress, now_ns, self) for rank in ranks)

    def rank_comes(self, rank: int, progress: Progress, now_ns: int) -> bool:
        """Whether a rank that has not begun has steps, and its moment comes by itself."""
        start = self.scenario.world.ranks[rank].start
        is_job = self.scenario.job is not None
        has_steps = is_job or any(True for _ in self.unended(rank, progress.rank(rank).life, progress))
        return has_steps and start is not None and self._comes_by_itself(start, progress, now_ns)

    def step_comes(self, rank: int, progress: Progress, now_ns: int) -> bool:
        """Whether the next step of any of a rank's threads begins by itself, or its program, whose call is `exit`."""
        if self.scenario.job is not None:
            return True
        return any(self._head_comes(head, rank, progress, now_ns) for head in self._heads(rank, progress))

    def next_life_comes(self, rank: int, progress: Progress, now_ns: int) -> bool:
        """Whether a fault gives a rank another life that has steps."""
        life = progress.rank(rank).life + 1
        if self.scenario.job is None and not self.scenario.steps_of(rank, life):
            return False
        return any(
            fault.restarts_ranks
            and rank in fault.ranks
            and progress.fault(fault.name).healed_ns is None
            and self._comes_by_itself(FaultMoment(fault.name, "healed"), progress, now_ns)
            for fault in self.scenario.faults
        )

    def _heads(self, rank: int, progress: Progress) -> Iterator[tuple[int, Step]]:
        """The first step of each thread that has not ended."""
        seen: set[str] = set()
        for index, step, _ in self.unended(rank, progress.rank(rank).life, progress):
            if step.thread not in seen:
                seen.add(step.thread)
                yield index, step

    def _head_comes(self, head: tuple[int, Step], rank: int, progress: Progress, now_ns: int) -> bool:
        index, step = head
        if step.after is None or (rank, progress.rank(rank).life, index) in progress.decided:
            return True
        return self._comes_by_itself(step.after, progress, now_ns)

    def _comes_by_itself(self, moment: Moment, progress: Progress, now_ns: int) -> bool:
        """Whether a moment will come, or may, though no call runs: by time, by an injection, by a healing."""
        answer = self.when(moment, progress, now_ns)
        if isinstance(answer, Reached):
            return True
        if isinstance(answer, Impossible):
            return False
        if isinstance(moment, TimeMoment) or answer.wake_ns is not None:
            return True
        if isinstance(moment, AllMoments):
            return all(self._comes_by_itself(part, progress, now_ns) for part in moment.moments)
        if isinstance(moment, FaultMoment):
            return self._fault_comes_by_itself(moment, progress, now_ns)
        if isinstance(moment, WireMoment):
            return now_ns < progress.last_ns + UNDER_WAY_NS
        if isinstance(moment, SeenMoment):
            return False  # only programs that run make it come, and what they left was looked for
        return self._next_life_gives(moment, progress, now_ns)

    def _fault_comes_by_itself(self, moment: FaultMoment, progress: Progress, now_ns: int) -> bool:
        fault, state = self._faults[moment.fault], progress.fault(moment.fault)
        injection = state.injected_ns is not None or self._comes_by_itself(fault.after, progress, now_ns)
        if moment.state == "injected" or not injection:
            return injection
        if fault.until is None:
            return False
        if isinstance(fault.until, FaultMoment) and fault.until.fault == fault.name:
            return True
        return self._comes_by_itself(fault.until, progress, now_ns)

    def _next_life_gives(self, moment: StepMoment, progress: Progress, now_ns: int) -> bool:
        ranks = moment.ranks or self.scenario.ranks_of(moment.step)
        return any(
            moment.life > progress.rank(rank).life and self.next_life_comes(rank, progress, now_ns) for rank in ranks
        )

    def _suspended(self, progress: Progress) -> dict[int, str]:
        """The ranks that a fault has stopped, and which fault."""
        return {
            rank: fault.name
            for fault in self.scenario.faults
            if fault.suspends_ranks and progress.fault(fault.name).is_active
            for rank in fault.ranks
        }


def _wake(answer: Answer, wakes: list[int]) -> None:
    if isinstance(answer, Pending) and answer.wake_ns is not None:
        wakes.append(answer.wake_ns)
