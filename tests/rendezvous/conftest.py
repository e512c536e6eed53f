"""Runs checks inside an interpreter with torch, module by module, and gives the result of each check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from booting import life_pipe

from harness.machine.process import boot

INSIDE = Path(__file__).with_name("inside")
REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 180


@pytest.fixture(scope="session")
def check_inside(rank_python: str) -> Callable[..., None]:
    """Fails with the traceback of a check; `check_inside(module, name, subject)`."""
    results: dict[tuple[str, str], dict[str, str]] = {}

    def check(module: str, name: str, subject: str = "static-strict") -> None:
        if (module, subject) not in results:
            results[module, subject] = run_inside(rank_python, module, subject)
        result = results[module, subject].get(name, "it did not run")
        if result != "ok":
            pytest.fail(result, pytrace=False)

    return check


def run_inside(python: str, module: str, subject: str) -> dict[str, str]:
    """The result of each check of a module: "ok" or a traceback.

    It runs in a network namespace where the kernel allows: torch's server looks up the name of each client (F11), and
    the machine's resolver may lose the query or be late.
    """
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{INSIDE}", "SUBJECT": subject}
    with life_pipe() as life:
        done = subprocess.run(
            boot.argv(sys.executable, life, boot.AUTO, [python, "-W", "ignore", str(INSIDE / "run_checks.py"), module]),
            env=environment,
            pass_fds=[life],
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    last = done.stdout.strip().splitlines()[-1:] or [""]
    try:
        results: dict[str, str] = json.loads(last[0])
    except ValueError:
        raise AssertionError(f"{module} did not finish:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}") from None
    return results
