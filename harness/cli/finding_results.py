"""The findings of a folder as results, so that every report can show them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.archive import read_run
from harness.archive.results import result_of
from harness.cli import streams
from harness.explore.finding import StoredFinding
from harness.explore.findings import MINIMAL, RUN, Findings
from harness.judge.judge import judge
from harness.judge.result import Result
from harness.values.errors import HarnessError


def results(folder: Path, subject: str) -> list[Result]:
    """One run of each finding of this subject, as it was judged; one that is damaged is named and left out."""
    return list(_results(Findings(folder), subject))


def _results(findings: Findings, subject: str) -> Iterator[Result]:
    for name in findings.names():
        try:
            finding = findings.read(name)
            if finding.subject == subject:
                yield _result(findings.path(name), name, finding)
        except HarnessError as error:
            streams.say(f"error: {error}")


def _result(path: Path, name: str, finding: StoredFinding) -> Result:
    archived = read_run(path / RUN)
    judgement = archived.judgement or judge(archived.scenario, archived.history, archived.steady, archived.steady_echo)
    known = f"explained by {finding.explained_by}" if finding.explained_by else "new"
    title = f"{finding.cause}: {finding.failed} of {finding.of} plays failed so, {known}, seen {finding.seen} times"
    scenario = replace(archived.scenario, path=path / MINIMAL, title=title)
    command = shlex.join(["rdzv-harness", "explore", "--replay", name, "--subject", finding.subject])
    return replace(result_of(archived, judgement), scenario=scenario, command=command)
