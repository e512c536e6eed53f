"""Sources that decide by results, through the whole runner: with controllers that need no processes, and for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fake_controllers import FACTS, FakeController, FakeControllers, joined
from pasts import SECOND, Past, scenario

from harness.archive import read_history
from harness.campaign.runner import Runner
from harness.campaign.source import Trial
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.loader import load_text
from harness.play.options import Order, RunOptions
from harness.scenario.scenario import Fault, Known, Scenario, StepClaim
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED

CELL = scenario(expect=(StepClaim("joins", ("join",), outcomes=("ok",), line=9),))
CUT = Fault("cut", "blackhole", (1,), {}, "downstream", line=7)


def with_timeout(seconds: int) -> Scenario:
    return replace(CELL, world=replace(CELL.world, timeout_ns=seconds * SECOND))


def faulted(played: Scenario, outcome: str, subject: str = "static") -> History:
    """Every rank's join came out like this; with the fault, unless it is a steady state."""
    past = Past(played.world.size, subject).all_join(step=played.steps[0].name, outcome=outcome)
    return (past.fault("cut", 0.001, 0.02) if played.faults else past).whole()


class Bisect:
    """Finds the smallest number from `low` to `high` whose scenario passes, given that `high` passes."""

    def __init__(self, make: Callable[[int], Scenario], low: int, high: int) -> None:
        self.low, self.high = low, high
        self._make = make
        self._waits = False

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        middle = (self.low + self.high) // 2
        for result in results:
            self._waits = False
            self.low, self.high = (self.low, middle) if result.status == PASSED else (middle + 1, self.high)
        if self.low == self.high:
            return None
        if self._waits:
            return []
        self._waits = True
        return [Trial(self._make((self.low + self.high) // 2))]


class Until:
    """Plays a cell again until it has come out like this a number of times; several side by side."""

    def __init__(self, cell: Scenario, status: str, wanted: int) -> None:
        self.cell, self.status, self.wanted = cell, status, wanted
        self.seen: list[Result] = []
        self.given = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self.seen += results
        if sum(result.status == self.status for result in self.seen) >= self.wanted:
            return None
        self.given += 1
        return [Trial(self.cell, self.given)]


class Calls:
    """Answers by a function of the number of the call, from 0."""

    def __init__(self, answer: Callable[[int], Sequence[Trial] | None]) -> None:
        self.answer = answer
        self.seen: list[Result] = []
        self.calls = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self.seen += results
        self.calls += 1
        return self.answer(self.calls - 1)


@pytest.fixture
def runner_of(tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    """A runner whose controllers are fakes."""

    def runner_of(controllers: FakeControllers, jobs: int = 1, subject: str = "echo") -> Runner:
        return Runner(RunOptions(subject=subject, runs_dir=tmp_path, jobs=jobs, seed=7), start=controllers)

    return runner_of


RunnerOf = Callable[..., Runner]


def test_a_source_can_bisect_a_parameter_of_a_scenario(runner_of: RunnerOf) -> None:
    """Each trial depends on the verdict of the one before; red ones are checked against their steady state."""

    def enough_from_11(one: Scenario) -> History:
        return faulted(one, "ok" if one.world.timeout_ns >= 11 * SECOND or not one.faults else "failed")

    source = Bisect(lambda seconds: replace(with_timeout(seconds), faults=(CUT,)), 1, 64)
    controllers = FakeControllers(enough_from_11)
    with runner_of(controllers, jobs=4) as runner:
        results = list(runner.run_source(source))
    assert source.high == 11
    timeouts = [result.scenario.world.timeout_ns // SECOND for result in results]
    assert timeouts == [32, 16, 8, 12, 10, 11]
    assert [result.status for result in results] == [PASSED, PASSED, FAILED, PASSED, FAILED, PASSED]
    assert len(controllers.started) == 1
    assert len(controllers.started[0].orders) == len(results) + 2


def disturbed(times: int, then: str) -> Callable[[Scenario], History]:
    """Plays whose joins fail while the proxy server stands still, so many times; then joins come out like this."""
    plays = iter(range(times))

    def play(one: Scenario) -> History:
        if next(plays, None) is None:
            return joined(one, then)
        return Past(one.world.size, "echo").stall(0, 1).all_join(step=one.steps[0].name, outcome="failed").whole()

    return play


@pytest.mark.parametrize(
    ("times", "then", "status", "orders", "said"),
    [
        (0, "ok", PASSED, 1, 0),
        (1, "ok", PASSED, 2, 1),
        (1, "failed", FAILED, 2, 1),  # a verdict stands
        (2, "ok", PASSED, 3, 2),
        (3, "ok", ERROR, 3, 2),  # not for ever
    ],
)
def test_a_play_that_a_stall_disturbed_is_played_again(
    runner_of: RunnerOf, times: int, then: str, status: str, orders: int, said: int
) -> None:
    """One result for each trial; it says which part stood still, and where that play is stored."""
    controllers = FakeControllers(disturbed(times, then))
    with runner_of(controllers) as runner:
        (result,) = runner.run([CELL])
    assert (result.status, len(controllers.started[0].orders), len(result.disturbed)) == (status, orders, said)
    for sentence, order in zip(result.disturbed, controllers.started[0].orders, strict=False):
        assert sentence == f"the proxy server stood still for 1.00 s, from 0 s on ({order.run_dir})"
        assert (order.run_dir / "history.jsonl").exists()


@pytest.mark.parametrize(("then", "status", "orders"), [(1.0, FAILED, 2), (3.0, KNOWN, 2), (2.05, ERROR, 3)])
def test_a_known_failure_that_only_lateness_held_is_played_again(
    runner_of: RunnerOf, then: float, status: str, orders: int
) -> None:
    """The first play says neither that the failure is there nor that it is gone; the verdict of another stands."""
    timely = StepClaim("timely", ("join",), within=(None, 2 * SECOND), line=9)
    entry = Known("echo", "", {}, ("timely",), (), "it is late", ("F17",), line=14)
    seconds = iter([2.05])

    def play(one: Scenario) -> History:
        return Past(one.world.size, "echo").all_join(0, next(seconds, then), lag=0.1, step="join").whole()

    controllers = FakeControllers(play)
    with runner_of(controllers) as runner:
        (result,) = runner.run([scenario(expect=(timely,), known=(entry,))])
    assert (result.status, len(controllers.started[0].orders)) == (status, orders)
    assert result.disturbed[0].startswith("timely holds only with the lateness that was measured (")


def test_every_cell_of_a_run_is_reported_when_some_are_played_again(runner_of: RunnerOf) -> None:
    """Also when the source has nothing left to give by then."""
    with runner_of(FakeControllers(disturbed(2, "ok")), jobs=2) as runner:
        results = list(runner.run([CELL], repeat=3))
    assert sorted(result.attempt for result in results) == [1, 2, 3]
    assert sum(len(result.disturbed) for result in results) == 2


@pytest.mark.parametrize(
    ("echo", "status", "played"),
    [
        ("ok", FAILED, ["", "steady", "steady-echo"]),
        ("failed", ERROR, ["", "steady", "steady-echo"]),
        (None, ERROR, ["", "steady"]),
    ],
)
def test_where_a_subject_never_joins_echo_is_tried(
    runner_of: RunnerOf, monkeypatch: pytest.MonkeyPatch, echo: str | None, status: str, played: list[str]
) -> None:
    """Beside the run, with the same scenario and seed; judged again from the archive, the verdict is the same."""
    subject = "static" if echo else "echo"
    monkeypatch.setattr("harness.campaign.runner.require", lambda python, needs_torch: None)  # no rank runs under it

    def never(one: Scenario) -> History:
        tried = controllers.started[0].orders[-1].subject
        return faulted(one, echo if echo and tried == "echo" else "failed", tried)

    controllers = FakeControllers(never)
    with runner_of(controllers, subject=subject) as runner:
        result = runner.play(replace(CELL, faults=(CUT,)))
    orders = controllers.started[0].orders
    assert result.run_dir is not None
    places = [order.run_dir for order in orders]
    assert places == [result.run_dir / name for name in played]
    assert [order.subject for order in orders] == [subject, subject, "echo"][: len(orders)]
    assert len({order.seed for order in orders}) == 1
    assert all(order.scenario == orders[1].scenario for order in orders[1:])
    assert result.status == status
    assert judge(result.scenario, *map(read_history, places)) == result.judgement


@pytest.mark.parametrize("lost", ["steady", "steady-echo"])
def test_a_controller_lost_without_faults_leaves_the_red_run_in_sight(
    lost: str, runner_of: RunnerOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, with its verdicts and what it was; judged again from the archive, it is an error too."""
    send = FakeController.send

    def send_or_die(self: FakeController, order: Order) -> None:
        if order.run_dir.name == lost:
            self.dies()
        else:
            send(self, order)

    monkeypatch.setattr(FakeController, "send", send_or_die)
    with runner_of(FakeControllers(lambda one: faulted(one, "failed"))) as runner:
        result, *others = runner.run([replace(CELL, faults=(CUT,))])
    assert (result.status, others) == (ERROR, [])
    assert result.judgement.because.startswith(
        "steady state: controller 1 is gone, so the red verdict says nothing; it was: joins: rank 0's join raised"
    )
    assert [verdict.name for verdict in result.judgement.broken] == ["joins"]
    assert result.run_dir is not None
    steady = [
        read_history(path) for path in (result.run_dir / "steady", result.run_dir / "steady-echo") if path.exists()
    ]
    assert judge(result.scenario, result.history, *steady).status == ERROR


def test_a_scenario_without_faults_is_its_own_steady_state(runner_of: RunnerOf) -> None:
    """A subject that never joins is failed at once, and nothing else is played."""
    controllers = FakeControllers(lambda one: faulted(one, "failed"))
    with runner_of(controllers) as runner:
        assert runner.play(CELL).status == FAILED
    assert len(controllers.started[0].orders) == 1


def test_a_source_can_play_on_until_it_has_seen_enough(runner_of: RunnerOf) -> None:
    """Of a cell that fails every third time, two failures; each attempt has its own seed."""
    plays = iter(range(1, 100))

    def every_third_fails(one: Scenario) -> History:
        return joined(one, "failed" if not one.title.startswith("Steady") and next(plays) % 3 == 0 else "ok")

    source = Until(CELL, FAILED, 2)
    with runner_of(FakeControllers(every_third_fails)) as runner:
        results = list(runner.run_source(source))
    assert [result.status for result in results] == [PASSED, PASSED, FAILED, PASSED, PASSED, FAILED]
    assert [(result.attempt, result.seed) for result in results] == [(n, 6 + n) for n in range(1, 7)]


def test_a_trial_may_bring_its_own_seed(runner_of: RunnerOf) -> None:
    """As when a finding is played again; it reaches the controller."""
    controllers = FakeControllers()
    source = Calls(lambda number: [Trial(CELL, seed=99)] if number == 0 else None if source.seen else [])
    with runner_of(controllers) as runner:
        (result,) = runner.run_source(source)
    assert (result.seed, controllers.started[0].orders[0].seed) == (99, 99)


def test_every_result_reaches_the_source_once(runner_of: RunnerOf) -> None:
    """In the order in which the caller gets them; cells that cannot be played are results too."""
    lacking = replace(CELL, title="Lacking", needs={"torch": ">=99"})
    trials = [Trial(CELL, 1), Trial(lacking), Trial(CELL, 2), Trial(CELL, 3), Trial(lacking, 2)]
    source = Calls(lambda number: trials if number == 0 else None if len(source.seen) == len(trials) else [])
    with runner_of(FakeControllers(), jobs=2) as runner:
        results = list(runner.run_source(source))
    assert sorted(result.status for result in results) == ["passed"] * 3 + ["skipped"] * 2
    assert list(map(id, source.seen)) == list(map(id, results))


def test_a_source_that_raises_ends_what_runs_and_the_runner_goes_on(runner_of: RunnerOf) -> None:
    """Its error is the caller's; nothing of the run that it broke appears in the next one."""

    def broken(number: int) -> Sequence[Trial]:
        if number == 2:
            raise ValueError("no idea")
        return [Trial(CELL, number + 1)]

    silent = FakeControllers(plays=None)
    with runner_of(silent, jobs=2) as runner:
        results = runner.run_source(Calls(broken), observer=FirstAnswers(silent))
        assert next(results).attempt == 1
        with pytest.raises(ValueError, match="no idea"):
            next(results)
        assert silent.events == ["2 hang up", "2 wait"]
        silent.play(joined)
        assert [result.attempt for result in runner.run([CELL], repeat=2)] == [1, 2]


class FirstAnswers:
    """Lets the first of two plays end when the second has started."""

    def __init__(self, controllers: FakeControllers) -> None:
        self._controllers = controllers

    def started(self, scenario: Scenario, attempt: int) -> None:
        if attempt == 2:
            self._controllers.started[0].answer(joined)


def test_a_source_that_waits_for_nothing_ends_the_run(runner_of: RunnerOf) -> None:
    """Also after results: an error, where it could have hung for ever."""
    source = Calls(lambda number: [Trial(CELL)] if number == 0 else [])
    with runner_of(FakeControllers()) as runner:
        with pytest.raises(HarnessError, match="Calls gives nothing to play"):
            list(runner.run_source(source))
        assert [result.status for result in source.seen] == [PASSED]
        assert runner.play(CELL).status == PASSED


def test_a_source_that_ends_lets_what_runs_end(runner_of: RunnerOf) -> None:
    """Its result reaches the caller, and not the source."""
    controllers = FakeControllers(plays=None)

    def ends_after_the_first(number: int) -> Sequence[Trial] | None:
        if number == 0:
            return [Trial(CELL, 1), Trial(CELL, 2)]
        controllers.started[1].answer(joined)
        return None

    source = Calls(ends_after_the_first)
    with runner_of(controllers, jobs=2) as runner:
        results = list(runner.run_source(source, FirstAnswers(controllers)))
    assert [result.attempt for result in results] == [1, 2]
    assert [result.attempt for result in source.seen] == [1]


def test_an_interrupt_ends_what_runs_before_it_reaches_the_caller(runner_of: RunnerOf) -> None:
    """Ctrl-C while the runner waits: its worlds are healed and gone before the caller gets the interrupt."""
    controllers = FakeControllers(plays=None)

    class CtrlC:
        def started(self, scenario: Scenario, attempt: int) -> None:
            controllers.started[0].receive = interrupt  # type: ignore[method-assign]
            controllers.started[0].says(FACTS)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with runner_of(controllers) as runner:
        with pytest.raises(KeyboardInterrupt):
            list(runner.run([CELL], observer=CtrlC()))
        assert controllers.events == ["1 hang up", "1 wait"]


def test_a_caller_that_wants_no_more_leaves_nothing_running(runner_of: RunnerOf) -> None:
    """The generator is closed with plays under way."""
    controllers = FakeControllers()
    with runner_of(controllers, jobs=2) as runner:
        for result in runner.run([CELL], repeat=10):
            assert result.status == PASSED
            break
        assert runner._pool.running == 0
        assert len(list(runner.run([CELL], repeat=2))) == 2


ECHO = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 2, timeout: 2s, route: direct}
workload:
  - {do: rendezvous}
  - {do: set, ranks: 0, key: a, value: "NUMBER"}
  - {do: get, ranks: 1, key: a}
expect:
  - {step: get, is: ok, value: "VALUE"}
"""


def written(number: int) -> Scenario:
    """A claim that holds from 5 on."""
    text = ECHO.replace("NUMBER", str(number)).replace("VALUE", str(max(number, 5)))
    return load_text(text, Path(f"written-{number}.rdzv.yaml"))[0]


def test_sources_decide_by_the_verdicts_of_real_worlds(tmp_path: Path) -> None:
    """Bisecting, then repeating until three have passed, through the same warm controllers."""
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=2)) as runner:
        bisect = Bisect(written, 0, 8)
        statuses = {result.scenario.name: result.status for result in runner.run_source(bisect)}
        until = Until(written(5), PASSED, 3)
        passed = [result.status for result in runner.run_source(until)]
    assert bisect.high == 5
    assert statuses == {"written-4": FAILED, "written-6": PASSED, "written-5": PASSED}
    assert passed.count(PASSED) in (3, 4)  # the last two play side by side
