"""Scenarios for sessions of pytest that use the plug-in, and how these sessions are run."""

from __future__ import annotations

import pytest

# A session in this process forgets what it has imported first, so these are imported before it.
import harness.campaign.pool
import harness.campaign.runner
import harness.cli.again
import harness.cli.running
import harness.pytest_plugin.annotations
import harness.pytest_plugin.checking
import harness.pytest_plugin.python_scenarios
import harness.pytest_plugin.reporting
import harness.reports.console  # noqa: F401

HEAD = "schema: rdzv-scenario/v1\ntitle: A claim\n"
WORLD = "world: {size: 2, timeout: 2s, route: direct}\nworkload:\n  - {do: rendezvous}\n"
PASSES = HEAD + WORLD + "expect:\n  - {step: rendezvous, is: ok, within: 2s}\n"
FAILS = HEAD + WORLD + "expect:\n  - {step: rendezvous, is: failed}\n"
VACUOUS = PASSES + "faults:\n  - {id: late, inject: kill, ranks: 1, after: 60s}\n"
KNOWN = FAILS + (
    "known:\n  - subject: echo\n    breaks: [rendezvous]\n    instead: [{step: rendezvous, is: ok}]\n"
    "    because: echo joins\n    refs: [F99]\n"
)
SKIPPED = PASSES.replace("world:", "needs: {torch: '>=99'}\nworld:")
MATRIX = HEAD + "matrix:\n  world.timeout: [1s, 2s]\n" + WORLD + "expect:\n  - {step: rendezvous, is: ok}\n"

ALONE = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")
"""Without the plug-ins of others: a session of Hypothesis's imports it, which takes longer than most of these tests."""
ECHO = (*ALONE, "--rdzv-subject", "echo")
"""The subject that needs no torch."""


def write(pytester: pytest.Pytester, **files: str) -> None:
    """Write scenario files, by their names."""
    for name, text in files.items():
        (pytester.path / f"{name}.rdzv.yaml").write_text(text)


def session(pytester: pytest.Pytester, *arguments: str, **files: str) -> pytest.RunResult:
    """Run pytest over these scenarios in this process."""
    write(pytester, **files)
    return pytester.runpytest_inprocess(*ECHO, *arguments)


def session_apart(pytester: pytest.Pytester, *arguments: str, **files: str) -> pytest.RunResult:
    """Run pytest over these scenarios in a process of its own, as users do."""
    write(pytester, **files)
    return pytester.runpytest_subprocess(*ECHO, *arguments)
