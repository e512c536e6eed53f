"""GitHub's annotations of red scenarios and of files that cannot be read, at their lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from harness.pytest_plugin.rows import gathered
from harness.reports.parts.annotation import annotation, in_repository
from harness.reports.parts.facts import RED
from harness.reports.parts.safe import one_line

_PROBLEM = re.compile(r"^(?P<file>.+\.rdzv\.yaml):(?P<line>\d+):\d+: (?P<message>.+)$", re.MULTILINE)


class Annotations:
    """A plug-in of the main process, registered where GitHub's runner reads the output."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._root = environment.get("GITHUB_WORKSPACE", "")
        self._problems: dict[str, None] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Every worker of xdist reports what it cannot read, so each is taken once."""
        if report.failed:
            for found in _PROBLEM.finditer(str(report.longrepr)):
                file = in_repository(found["file"], self._root)
                line = annotation("error", found["message"], file, int(found["line"]), "not a scenario")
                self._problems.setdefault(line)

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        lines = [*self._problems, *self._reds(config)]
        if lines:
            terminalreporter.ensure_newline()
        for line in lines:
            terminalreporter.write_line(line)

    def _reds(self, config: pytest.Config) -> Iterator[str]:
        for one in gathered(config):
            if one.is_failure and one.row["status"] in RED:
                title = one_line(f"{one.row['status']}: {one.row['id']}")
                file = in_repository(one.row["path"], self._root)
                yield annotation("error", one_line(one.row["because"]), file, one.line, title)
