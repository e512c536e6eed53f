"""`*.rdzv.yaml` files as pytest items, and a fixture for tests in Python; unused, it imports nothing but pytest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin import life

if TYPE_CHECKING:
    from harness.campaign.runner import Runner
    from harness.judge.result import Result
    from harness.play.options import RunOptions
    from harness.scenario.scenario import Scenario

SUFFIX = ".rdzv.yaml"
RUNNER: pytest.StashKey[Any] = pytest.StashKey()
MARK = "rdzv"
"""The marker of every scenario item, beside its tags: `pytest -m rdzv`."""


class RunFailed(Exception):
    """A scenario that failed, was vacuous, or met an error; carries its result."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.judgement.because)
        self.result = result


# -- options -------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rdzv-harness", "scenarios of the static TCP rendezvous")
    group.addoption("--rdzv-subject", default="static", metavar="NAME", help="static, any registered backend, or echo")
    group.addoption("--rdzv-python", default=sys.executable, metavar="PATH", help="the ranks' interpreter")
    group.addoption(
        "--rdzv-toxiproxy",
        default="auto",
        metavar="WHICH",
        help="auto, embedded, real, or the URL of a running server on loopback",
    )
    group.addoption("--rdzv-world", default=None, metavar="KIND", help="processes, namespaces or containers for all")
    group.addoption(
        "--rdzv-require",
        default=os.environ.get("RDZV_REQUIRE", ""),
        metavar="KINDS",
        help="needs (torch,engine,...) whose absence is an error, not a skip; default: RDZV_REQUIRE",
    )
    group.addoption(
        "--rdzv-report",
        action="append",
        default=[],
        metavar="[KIND=]FILE",
        help="write all verdicts to a file: JSON, or another kind of report; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Also where there is no scenario: `-m "not rdzv"` needs it.
    config.addinivalue_line("markers", f"{MARK}: a cell of a scenario file")
    if not hasattr(config, "workerinput"):
        _check_options(config)
        _register_reports(config)


def _check_options(config: pytest.Config) -> None:
    """Raises pytest.UsageError for an unknown need, a subject that does not exist, and a server that is not there."""
    subject, words = config.getoption("--rdzv-subject"), config.getoption("--rdzv-require")
    toxiproxy = config.getoption("--rdzv-toxiproxy")
    if subject == "static" and not words and toxiproxy == "auto":
        return
    from harness.values.errors import UsageError

    try:
        required(config)
        if subject != "static":
            _check_subject(subject, Path(config.getoption("--rdzv-python")))
        _check_server(toxiproxy)
    except UsageError as error:
        message = str(error).replace("--subject", "--rdzv-subject", 1).replace("--toxiproxy", "--rdzv-toxiproxy")
        raise pytest.UsageError(message) from None


def _register_reports(config: pytest.Config) -> None:
    """Raises pytest.UsageError for reports that cannot be written."""
    words = config.getoption("--rdzv-report")
    if not words:
        return
    from harness.pytest_plugin.reporting import ReportWriter, reports
    from harness.values.errors import UsageError

    try:
        config.pluginmanager.register(ReportWriter(reports(words)), "rdzv-report")
    except UsageError as error:
        raise pytest.UsageError(*str(error).splitlines()) from None


def _check_subject(subject: str, python: Path) -> None:
    from harness.machine.process.interpreter import require, require_backend
    from harness.play.options import SUBJECTS
    from harness.values.errors import UsageError

    ours = [one for one in SUBJECTS if one != "command"]
    if subject == "command":
        raise UsageError("--subject command: pytest has no command for it; use `rdzv-harness run`")
    if subject not in ours:
        require(python)
        require_backend(python, subject, ours)


def _check_server(toxiproxy: str) -> None:
    from harness.play.options import is_url

    if is_url(toxiproxy):
        from harness.machine.toxiproxy.given import require_answer

        require_answer(toxiproxy)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by xdist in the main process, before a worker starts."""
    life.give(node.config, node.workerinput)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """After Ctrl-C the worlds of workers end at once: xdist waits for tests that run."""
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        life.end(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    life.end(config)
    runner = config.stash.get(RUNNER, None)
    if runner is not None:
        del config.stash[RUNNER]
        runner.__exit__(None, None, None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Names the scenarios that needed more than one play because something disturbed the others."""
    from harness.pytest_plugin.reporting import PROPERTY
    from harness.reports.parts.facts import played_again

    rows = [
        json.loads(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and report.when == "setup"
    ]
    for row in rows:
        if row["disturbed"]:
            terminalreporter.write_line(played_again(row["id"], row["disturbed"]))


def required(config: pytest.Config) -> frozenset[str]:
    """The kinds of need whose absence is an error; raises UsageError for an unknown one."""
    words = config.getoption("--rdzv-require")
    if not words:
        return frozenset()
    from harness.scenario.needs import required as named

    return named(words.split(","), "--rdzv-require (or RDZV_REQUIRE)")


def runner_of(config: pytest.Config) -> Runner:
    """The one runner of this process, started when the first scenario needs it.

    One world at a time: it is xdist that plays several side by side.
    """
    from harness.campaign.pool import start_process
    from harness.campaign.runner import Runner
    from harness.cli.again import command_line

    runner: Runner | None = config.stash.get(RUNNER, None)
    if runner is None:
        start = partial(start_process, life_fd=life.life_fd(config))
        runner = Runner(options_of(config), command_line, start)
        runner.__enter__()
        config.stash[RUNNER] = runner
    return runner


def options_of(config: pytest.Config) -> RunOptions:
    """How this session plays its scenarios."""
    from harness.play.options import RunOptions

    return RunOptions(
        subject=config.getoption("--rdzv-subject"),
        python=config.getoption("--rdzv-python"),
        toxiproxy=config.getoption("--rdzv-toxiproxy"),
        world=config.getoption("--rdzv-world"),
        require=required(config),
        jobs=1,
        runs_dir=config.rootpath / ".rdzv" / "runs",
        keep=500,
    )


# -- files ---------------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Pipes, devices and links to nowhere that have the name of a scenario are collected too; pytest passes over them.

    To read one is an error that names it: a claim that is not read must not count as kept.
    """
    report = yield
    if report.passed and isinstance(collector, pytest.Directory):
        report.result.extend(ScenarioFile.from_parent(collector, path=path) for path in _not_regular(collector.path))
    return report


def _not_regular(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            named = [entry for entry in entries if entry.name.endswith(SUFFIX)]
            return sorted(Path(entry.path) for entry in named if not entry.is_file() and not entry.is_dir())
    except OSError:
        return []


class ScenarioFile(pytest.File):
    """One file: an item for each cell of its matrix."""

    def collect(self) -> Iterator[pytest.Item]:
        from harness.loader import load
        from harness.values.errors import ScenarioError
        from harness.values.printable import printable

        if life.is_over(self.config):
            return
        try:
            cells = load(self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        for scenario in cells:
            for tag in scenario.tags:
                self.config.addinivalue_line("markers", f"{tag}: a tag of rdzv scenarios")
            yield ScenarioItem.from_parent(self, name=printable(scenario.id), scenario=scenario)


class ScenarioItem(pytest.Item):
    """One cell, played in its set-up, so that an error of the harness is an error and not a failure."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.result: Result | None = None
        for mark in (MARK, *scenario.tags):
            self.add_marker(getattr(pytest.mark, mark))

    def setup(self) -> None:
        from harness.pytest_plugin.reporting import EXTRAS, PROPERTY, extras
        from harness.reports.parts.rows import row
        from harness.reports.parts.safe import one_line
        from harness.values.errors import HarnessError
        from harness.values.printable import printable_lines
        from harness.values.refusals import describe
        from harness.values.verdict import ERROR, SKIPPED

        life.leave_if_over(self.session)
        try:
            result = self.result = runner_of(self.config).play(self.scenario)
        except HarnessError as error:
            life.leave_if_over(self.session)
            pytest.fail(printable_lines(str(error)), pytrace=False)
        except OSError as error:
            pytest.fail(printable_lines(describe(error)), pytrace=False)
        life.leave_if_over(self.session)
        self.user_properties.append((PROPERTY, json.dumps(row(result))))
        if more := extras(self.config.getoption("--rdzv-report"), result):
            self.user_properties.append((EXTRAS, json.dumps(more)))
        if result.status == SKIPPED:
            pytest.skip(one_line(result.judgement.because))
        if result.status == ERROR:
            raise RunFailed(result)

    def runtest(self) -> None:
        from harness.reports.parts.safe import one_line
        from harness.values.verdict import KNOWN, PASSED

        assert self.result is not None
        if self.result.status == KNOWN:
            refs = ", ".join(self.result.judgement.known_refs)
            pytest.xfail(one_line(f"known failure ({refs}): {self.result.judgement.because}"))
        if self.result.status != PASSED:
            raise RunFailed(self.result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, RunFailed):
            from harness.reports.console import describe

            return describe(excinfo.value.result)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, self._line() - 1, self.name

    def _line(self) -> int:
        broken = self.result.judgement.broken if self.result is not None else ()
        return next((verdict.line for verdict in broken if verdict.line), 1)


# -- tests in Python -----------------------------------------------------------------------------------------------


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A function that takes the keys of a scenario file and returns the judged run.

    `run = world(world={"size": 2, "timeout": "2s"}, workload=[{"do": "rendezvous"}])`; then `run.verdict.status`,
    `run.verdict.because` and `run.history`. `schema` and `title` may be left out; a matrix is not for tests in Python.
    """
    from harness.pytest_plugin.python_scenarios import play_keys

    def play(**keys: Any) -> Any:
        life.leave_if_over(request.session)
        try:
            return play_keys(keys, request.node.name, runner_of(request.config))
        finally:
            life.leave_if_over(request.session)

    return play
