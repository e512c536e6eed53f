"""From a judged result to what pytest shows: passed, skipped, an expected failure, or a failure with one line why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.judge.result import Result
    from harness.scenario.scenario import Scenario


IS_ERROR = "rdzv_is_error"
"""The attribute of an exception and of a report that says so; the report brings it from a worker of xdist."""


class RunFailed(Exception):
    """A scenario that failed, was vacuous, or met an error; carries its result."""

    def __init__(self, result: Result) -> None:
        from harness.reports.parts.safe import one_line

        super().__init__(one_line(result.judgement.because))
        self.result = result
        vars(self)[IS_ERROR] = result.status == "error"


def settle(result: Result, fail_on_skip: bool) -> None:
    """Skip, expect the failure, or fail as the result says; returns if it passed.

    Args:
        fail_on_skip: what is skipped fails.
    """
    __tracebackhide__ = True
    from harness.reports.parts.safe import one_line
    from harness.values.verdict import KNOWN, PASSED, SKIPPED

    because = one_line(result.judgement.because)
    if result.status == SKIPPED and fail_on_skip:
        pytest.fail(f"skipped, which --rdzv-fail-on-skip forbids: {because}", pytrace=False)
    if result.status == SKIPPED:
        raise pytest.skip.Exception(because, _use_item_location=True)
    if result.status == KNOWN:
        refs = ", ".join(result.judgement.known_refs)
        pytest.xfail(one_line(f"known failure ({refs}): {result.judgement.because}"))
    if result.status != PASSED:
        raise RunFailed(result)


def shown(failure: RunFailed) -> Any:
    """What pytest prints of a failed scenario; its short summary line is the reason, at the line of the claim."""
    from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

    from harness.reports.console import describe

    result = failure.result
    entry = ReprEntryNative([describe(result) + "\n"])
    crash = ReprFileLocation(str(result.scenario.path), line_of(result), str(failure))
    return ReprExceptionInfo(ReprTraceback([entry], None, "native"), crash)


def error(text: str) -> BaseException:
    """What to raise where the harness could not play: a failure without a traceback, which is shown as an error."""
    made: BaseException = pytest.fail.Exception(text, pytrace=False)
    vars(made)[IS_ERROR] = True
    return made


def sharpen(report: pytest.TestReport, raised: BaseException) -> None:
    """Give the report of a failed world its reason as the one line, and mark an error of the harness as an error."""
    is_error = getattr(raised, IS_ERROR, False)
    if is_error:
        vars(report)[IS_ERROR] = True
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and (is_error or isinstance(raised, RunFailed)):
        crash.message = str(raised)


def line_of(result: Result) -> int:
    """The line of the file that a reader wants: of the first broken claim, else of the title."""
    broken = (verdict.line for verdict in result.judgement.broken if verdict.line)
    return next(broken, title_line(result.scenario))


def title_line(scenario: Scenario) -> int:
    """The line of the title in the file, from 1; 1 if it stands elsewhere."""
    lines = enumerate(scenario.text.splitlines(), 1)
    return next((number for number, line in lines if line.startswith("title:")), 1)
