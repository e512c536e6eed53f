"""The loop between a source of cells and a pool of controllers: each trial is played, judged, and becomes a result."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from harness import clock
from harness.archive import STEADY, STEADY_ECHO, RunDirs, fill_run, play_id, read_history, write_judgement
from harness.campaign.pool import Ended, Member, Pool, StartController, start_process
from harness.campaign.source import Queue, Repeats, Source, Trial
from harness.history.stalls import describe_stalls
from harness.history.time_to_error import times_to_error
from harness.history.wording import joined
from harness.judge.judge import judge, judge_skipped
from harness.judge.known import holds_by_lateness
from harness.judge.result import Result
from harness.judge.steady import ECHO, needs_echo, needs_steady_state, says_nothing
from harness.machine.facts import facts
from harness.machine.process.interpreter import require
from harness.machine.toxiproxy.server import require_server
from harness.play.channel import Ready
from harness.play.needs import through_the_same, unmet_by_proxy, unmet_by_world
from harness.play.options import REAL, Order, RunOptions
from harness.rank.subjects import COMMAND
from harness.scenario.needs import required
from harness.scenario.scenario import Scenario
from harness.values.errors import HarnessError
from harness.values.history import History
from harness.values.refusals import describe
from harness.values.verdict import ERROR, Judgement

CommandLine = Callable[[RunOptions, Scenario, int], str]
"""The words that play one cell again with a seed, for results and run directories."""


class Observer(Protocol):
    """Who wants to know what runs now."""

    def started(self, scenario: Scenario, attempt: int) -> None:
        """A cell was sent to a world."""


@dataclass
class _Task:
    """A trial that is being played; `history` once it has been, `steady` once its steady state has been too."""

    trial: Trial
    run_dir: Path
    begun_ns: int
    origin: Mapping[str, Any]
    history: History = field(default_factory=History)
    steady: History | None = None


class Runner:
    """Plays and judges cells; a context manager that leaves nothing running.

    Args:
        command_line: how a person plays a cell again; results have no command without it.
        start: starts a controller.
        run_dirs: who makes and prunes the run directories; these are released by the caller.
    """

    def __init__(
        self,
        options: RunOptions,
        command_line: CommandLine | None = None,
        start: StartController = start_process,
        run_dirs: RunDirs | None = None,
    ) -> None:
        self.options = options
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
        self._required = required(options.require, "--require")
        self._command_line = command_line
        self._pool = Pool(options, start)
        self._run_dirs = run_dirs or RunDirs(options.runs_dir, options.keep)
        self._releases = run_dirs is None
        self._tasks: dict[Path, _Task] = {}
        self._again: deque[Trial] = deque()
        self._found: set[str] = set()
        self._problem: HarnessError | None = None

    def __enter__(self) -> Runner:
        self._run_dirs.hold()
        self._pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.__exit__(None, None, None)
        self._run_dirs.finish()
        if self._releases:
            self._run_dirs.release()

    @property
    def facts(self) -> Ready:
        """World and versions, once a controller is ready."""
        return self._pool.facts

    # -- the loop ----------------------------------------------------------------------------------------------

    def prepare(self, scenario: Scenario) -> None:
        """Start a controller for one cell and wait until it could play it; a cell that cannot be played needs none.

        Raises HarnessError if none can be started.
        """
        scenario = self._prepared(Trial(scenario)).scenario
        while self._unmet(scenario) is None and self._pool.free(scenario, ()) is None:
            for _ in self._pool.ended():
                pass  # nothing plays yet

    def play(self, scenario: Scenario) -> Result:
        """Play and judge one cell."""
        (result,) = self.run([scenario])
        return result

    def run(
        self,
        cells: Sequence[Scenario],
        repeat: int = 1,
        until_fail: bool = False,
        observer: Observer | None = None,
    ) -> Iterator[Result]:
        """Play each cell `repeat` times and yield results as they come; `until_fail` stops at the first bad one."""
        return self.run_source(Repeats(cells, repeat, until_fail), observer)

    def run_source(self, source: Source, observer: Observer | None = None) -> Iterator[Result]:
        """Play what a source gives until it ends, and yield results as they come.

        However it is left (Ctrl-C, an error of the source, a caller that wants no more), what runs is healed and ended.

        Raises HarnessError once the harness can write or start no more, after the results of what still runs.
        """
        queue = Queue(source, self.options.worlds, self._prepared)
        self._problem = None
        try:
            while self._problem is None and self._fill(queue):
                for result in chain(self._feed(queue.waiting, observer), self._collect(queue.waiting)):
                    queue.add_result(result)
                    yield result
            while self._pool.running:
                yield from self._collect(())
            if self._problem is not None:
                raise self._problem
        finally:
            self._pool.end_running()
            self._tasks.clear()
            self._again.clear()

    def _fill(self, queue: Queue) -> bool:
        queue.waiting.extendleft(self._again)
        self._again.clear()
        return queue.fill(self._pool.running)

    def _prepared(self, trial: Trial) -> Trial:
        """The trial in the kind of world that is asked for; raises at once for what every trial would meet."""
        scenario, kind = trial.scenario, self.options.world
        if "python" not in self._found:
            require(Path(self.options.python), needs_torch=self.options.needs_torch)
            self._found.add("python")
        if self.options.toxiproxy == REAL and "server" not in self._found and _plays_through_proxy(scenario):
            require_server()  # raises with the ways to get one
            self._found.add("server")
        return (
            trial
            if kind is None
            else replace(trial, scenario=replace(scenario, world=replace(scenario.world, kind=kind)))
        )

    def _feed(self, waiting: deque[Trial], observer: Observer | None) -> Iterator[Result]:
        """Give idle controllers their next trial; one that cannot be played at all is a result at once."""
        kept: list[Trial] = []
        while waiting:
            trial = waiting.popleft()
            unmet = self._unmet(trial.scenario)
            if unmet is not None:
                yield self._skipped(trial, None, *unmet)
                continue
            try:
                member = self._pool.free(trial.scenario, (other.scenario for other in chain(waiting, kept)))
                if member is not None:
                    self._begin(member, trial, observer)
                    continue
            except HarnessError as error:
                self._problem = error
                break
            kept.append(trial)
            if not self._pool.has_idle:
                break  # so nothing behind it can be played now
        waiting.extendleft(reversed(kept))

    def _collect(self, waiting: Collection[Trial]) -> Iterator[Result]:
        """Wait for the next plays to end, or for controllers that start, and judge."""
        if not waiting and not self._pool.running:
            return
        try:
            for ended in self._pool.ended():
                result = self._judge(ended)
                if result is not None:
                    yield result
        except HarnessError as error:  # of a controller that did not start: what others play still ends
            self._problem = self._problem or error

    # -- one trial ---------------------------------------------------------------------------------------------

    def _begin(self, member: Member, trial: Trial, observer: Observer | None) -> None:
        begun_ns = clock.now_ns()
        origin = self._origin(trial, member)
        run_dir = self._run_dirs.create(trial.scenario, {**self._meta(trial), **origin})
        if observer is not None:
            observer.started(trial.scenario, trial.attempt)
        self._send(member, _Task(trial, run_dir, begun_ns, origin), trial.scenario, run_dir)

    def _begin_steady_state(self, member: Member, task: _Task, name: str, options: RunOptions) -> None:
        """The same world once without faults, in a folder of the red run: that rules out the machine as its cause."""
        scenario = through_the_same(task.trial.scenario.steady_state(), task.trial.scenario)
        run_dir = task.run_dir / name
        fill_run(run_dir, scenario, {"subject": options.subject})
        self._send(member, task, scenario, run_dir, options)

    def _send(
        self, member: Member, task: _Task, scenario: Scenario, run_dir: Path, options: RunOptions | None = None
    ) -> None:
        self._tasks[run_dir] = task
        order = Order(scenario, run_dir, options or self._options(task.trial), self._seed(task.trial))
        self._pool.play(member, order)

    def _judge(self, ended: Ended) -> Result | None:
        """The result of a play; None if its steady state is played first, or the trial is played again."""
        task = self._tasks.pop(ended.order.run_dir)
        try:
            result = self._judge_record(ended, task)
        except (HarnessError, OSError) as error:  # the play cannot be read, or the steady state not be played
            problem = describe(error) if isinstance(error, OSError) else str(error)
            result = self._result(task.trial, task, Judgement(ERROR, problem))
        return None if result is not None and self._is_played_again(task, result) else result

    def _is_played_again(self, task: _Task, result: Result) -> bool:
        """Whether a result says nothing because of what disturbed its play; then its trial waits once more.

        A part of the harness stood still, or a claim holds only because of how late processes were. Such a result is no
        verdict, so another play hides none: a failure that neither can explain is never one.
        """
        stalls = describe_stalls(task.history) or (task.steady is not None and describe_stalls(task.steady))
        why = stalls or joined(holds_by_lateness(result.judgement.verdicts))
        if result.status != ERROR or not why or len(task.trial.disturbed) >= self.options.replays:
            return False
        self._again.append(replace(task.trial, disturbed=(*task.trial.disturbed, f"{why} ({task.run_dir})")))
        return True

    def _judge_record(self, ended: Ended, task: _Task) -> Result | None:
        trial = task.trial
        if ended.order.run_dir != task.run_dir:
            return self._judge_steady(ended, task)
        if ended.problem:
            return self._result(trial, task, Judgement(ERROR, ended.problem))
        task.history = read_history(task.run_dir)
        unsupported = (task.history.ended or {}).get("unsupported")
        if unsupported:
            return self._skipped(trial, task, *unsupported)
        judgement = judge(trial.scenario, task.history)
        if needs_steady_state(trial.scenario, judgement):
            self._begin_steady_state(ended.member, task, STEADY, self._options(trial))
            return None
        return self._result(trial, task, judgement)

    def _judge_steady(self, ended: Ended, task: _Task) -> Result | None:
        """The result, given what was played without faults; None if the subject `echo` is to be tried too."""
        scenario = task.trial.scenario
        if ended.problem:
            red = judge(scenario, task.history)
            return self._result(task.trial, task, says_nothing(red, ended.problem))
        played = read_history(ended.order.run_dir)
        if task.steady is not None:
            return self._result(task.trial, task, judge(scenario, task.history, task.steady, played))
        task.steady = played
        if needs_echo(scenario, played):
            echo = replace(self.options, subject=ECHO, command=())
            self._begin_steady_state(ended.member, task, STEADY_ECHO, echo)
            return None
        return self._result(task.trial, task, judge(scenario, task.history, played))

    def _unmet(self, scenario: Scenario) -> tuple[str, str] | None:
        """What this machine cannot offer; (need, reason)."""
        torch = self.facts.versions.get("torch")
        wanted = scenario.needs.get("torch")
        if wanted and torch and not _is_within(str(torch), wanted):
            return ("torch", f"needs torch {wanted}, the ranks have {torch}")
        if wanted and not self.options.needs_torch:
            return ("torch", f"needs torch {wanted}, and the subject {self.options.subject} has none")
        if scenario.job is not None and self.options.subject != COMMAND:
            return ("job", "it is about a job of your own; give --subject command, and the job's words behind `--`")
        return unmet_by_proxy(scenario, self.options.toxiproxy) or unmet_by_world(scenario)

    # -- results -----------------------------------------------------------------------------------------------

    def _skipped(self, trial: Trial, task: _Task | None, need: str, reason: str) -> Result:
        return self._result(trial, task, judge_skipped(need, reason, need in self._required))

    def _result(self, trial: Trial, task: _Task | None, judgement: Judgement) -> Result:
        """A trial's result; without a task it was never played."""
        if task is not None:
            try:
                write_judgement(task.run_dir, judgement)
            except HarnessError as error:  # the result stands, and what follows could not be stored either
                self._problem = self._problem or error
            self._run_dirs.judged(task.run_dir, judgement.status)
        return Result(
            scenario=trial.scenario,
            judgement=judgement,
            history=task.history if task else History(),
            run_dir=task.run_dir if task else None,
            seconds=(clock.now_ns() - task.begun_ns) / 1e9 if task else 0.0,
            attempt=trial.attempt,
            subject=self._options(trial).subject,
            seed=self._seed(trial),
            command=self._command(trial),
            times_to_error=times_to_error(trial.scenario, task.history) if task else (),
            origin=task.origin if task else {},
            disturbed=trial.disturbed,
        )

    def _options(self, trial: Trial) -> RunOptions:
        return self.options if trial.subject is None else replace(self.options, subject=trial.subject, command=())

    def _seed(self, trial: Trial) -> int:
        return self.seed + trial.attempt - 1 if trial.seed is None else trial.seed

    def _command(self, trial: Trial) -> str:
        return self._command_line(self._options(trial), trial.scenario, self._seed(trial)) if self._command_line else ""

    def _meta(self, trial: Trial) -> dict[str, Any]:
        return {
            "subject": self._options(trial).subject,
            "seed": self._seed(trial),
            "attempt": trial.attempt,
            "python": self.options.python,
            "command": self._command(trial),
        }

    def _origin(self, trial: Trial, member: Member) -> Mapping[str, Any]:
        """When, where and what is played; see `Result.origin`."""
        options, versions = self._options(trial), member.facts.versions
        torch = str(versions.get("torch") or "")
        now = datetime.fromtimestamp(clock.wall_time(), timezone.utc)
        return {
            "started_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "machine": dict(facts()),
            "ranks": {"python": str(versions.get("python") or ""), "torch": torch},
            "play": play_id(trial.scenario, self._seed(trial), torch, options.subject, options.command),
        }


def _is_within(version: str, wanted: str) -> bool:
    """Whether a version, without what stands behind its `+`, is in a range; what is no version is in none."""
    try:
        return SpecifierSet(wanted, prereleases=True).contains(Version(version.split("+")[0]))
    except InvalidVersion:
        return False


def _plays_through_proxy(scenario: Scenario) -> bool:
    return scenario.world.route == "proxy" and scenario.world.size > 1
