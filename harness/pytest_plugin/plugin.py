"""`*.rdzv.yaml` files as pytest items, and a fixture for tests in Python; unused, it imports nothing but pytest."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from harness.pytest_plugin import arguments, collected, items, life, outcomes, playing, rows, slots
from harness.pytest_plugin.items import MARK, SUFFIX, ScenarioFile, ScenarioItem
from harness.pytest_plugin.options import add_to, settings_of
from harness.pytest_plugin.outcomes import RunFailed

__all__ = ["MARK", "SUFFIX", "RunFailed", "ScenarioItem", "world"]

FIXTURE = "world"
_CHECKED: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_to(parser)


# -- the session -------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    # Also where there is no scenario: `-m "not rdzv"` needs it.
    config.addinivalue_line("markers", f"{MARK}: a cell of a scenario file")
    settings = settings_of(config)
    arguments.take(config)
    if hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(rows.Gathered(), "rdzv-rows")
    if settings.reports:
        _register_reports(config, settings.reports)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from harness.pytest_plugin.annotations import Annotations

        config.pluginmanager.register(Annotations(), "rdzv-annotations")


def _register_reports(config: pytest.Config, words: tuple[str, ...]) -> None:
    """Raises pytest.UsageError for reports that cannot be written."""
    from harness.pytest_plugin.reporting import ReportWriter, reports
    from harness.values.errors import UsageError

    try:
        config.pluginmanager.register(ReportWriter(reports(words)), "rdzv-report")
    except UsageError as error:
        raise pytest.UsageError(*str(error).splitlines()) from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by xdist in the main process, before a worker starts."""
    life.give(node.config, node.workerinput)
    collected.give(node.config, node.workerinput)
    node.workerinput[playing.SEED] = playing.seed_of(node.config)
    jobs = settings_of(node.config).jobs
    if jobs is not None:
        slots.give(node.config, node.workerinput, jobs)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """What no scenario has here is said once, before tests run, and only where there are tests of ours.

    A worker of xdist tells the main process first: xdist lets that know then that the worker has collected.
    """
    if session.config.option.collectonly or not any(map(_is_ours, session.items)):
        return
    if hasattr(session.config, "workerinput"):
        collected.tell(session.config)
    else:
        _check_machine(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """In the main process, when a worker has collected."""
    if collected.is_told(node.config):
        _check_machine(node.config)


def _is_ours(item: pytest.Item) -> bool:
    """Whether it plays a scenario; a fixture `world` of somebody else is none of ours."""
    info = getattr(item, "_fixtureinfo", None)
    worlds = info.name2fixturedefs.get(FIXTURE, ()) if info is not None else ()
    return isinstance(item, ScenarioItem) or any(one.func.__module__ == __name__ for one in worlds[-1:])


def _check_machine(config: pytest.Config) -> None:
    """Raises pytest.UsageError, once, for what no scenario has here."""
    if config.stash.get(_CHECKED, False):
        return
    config.stash[_CHECKED] = True
    from harness.pytest_plugin.checking import check

    check(playing.options_of(config))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """After Ctrl-C the worlds of workers end at once: xdist waits for tests that run."""
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        life.end(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    life.end(config)
    playing.end(config)
    slots.close(config)
    collected.close(config)


# -- reports of tests --------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    rows.hand_over(item, report)
    if call.excinfo is not None:
        outcomes.sharpen(report, call.excinfo.value)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """An error of the harness says nothing about the subject, so it is no failure, also where it met it in the call."""
    return ("error", "E", "ERROR") if getattr(report, outcomes.IS_ERROR, False) else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Names the scenarios that needed more than one play because something disturbed the others."""
    disturbed = [one.row for one in rows.gathered(config) if one.row["disturbed"]]
    if not disturbed:
        return
    from harness.reports.parts.facts import played_again

    for row in disturbed:
        terminalreporter.write_line(played_again(row["id"], row["disturbed"]))


# -- files -------------------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name.endswith(SUFFIX):
        name = arguments.name_of(parent.config, file_path)
        return ScenarioFile.from_parent(parent, path=file_path, nodeid=name and str(name))
    return None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Run directories keep the scenarios that they played."""
    return True if collection_path == settings_of(config).runs_dir else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Pipes, devices and links to nowhere that have the name of a scenario are collected too; pytest passes over them.

    To read one is an error that names it: a claim that is not read must not count as kept.
    """
    report = yield
    if report.passed and isinstance(collector, pytest.Directory):
        paths = items.not_regular(collector.path)
        report.result.extend(ScenarioFile.from_parent(collector, path=path) for path in paths)
    return report


# -- tests in Python ---------------------------------------------------------------------------------------------------


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A function that takes the keys of a scenario file, plays it, and returns the judged run.

    `run = world(world={"size": 2, "timeout": "2s"}, workload=[{"do": "rendezvous"}])`; then `run.verdict.status`,
    `run.verdict.because` and `run.history`. `schema` and `title` may be left out; a matrix is not for tests in Python.

    What is not passed fails the test with its reason, a known failure is expected, and what cannot be played here is
    skipped. With `check=False` the run is returned whatever its verdict.
    """
    from harness.pytest_plugin.python_scenarios import play_keys

    def play(*, check: bool = True, **keys: Any) -> Any:
        __tracebackhide__ = True
        return play_keys(request.node, keys, check)

    return play
