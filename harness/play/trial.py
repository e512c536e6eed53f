"""A process of its own that tries what this machine can do, where a controller would be: in private namespaces.

It reads a question a line and answers each; it ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.faults.base import FAULTS
from harness.machine.process import boot
from harness.scenario.scenario import Fault
from harness.values.errors import HarnessError, Unsupported
from harness.worlds.base import WORLDS, Isolation

Question = Mapping[str, Any]
"""`{"world": KIND}`, or `{"fault": KIND, "attributes": {...}}`."""

_ROOT = str(Path(__file__).resolve().parents[2])


def of_world(kind: str) -> Question:
    """Whether there can be such a world here."""
    return {"world": kind}


def of_fault(fault: Fault) -> Question:
    """Whether such a fault can be injected here."""
    return {"fault": fault.kind, "attributes": dict(fault.attributes)}


class Trials:
    """The process, which starts with the first question; each question is asked once."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, str] | None] = {}
        self._held = contextlib.ExitStack()
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the process."""
        self._held.close()
        self._process = None

    def lacking(self, question: Question) -> tuple[str, str] | None:
        """(need, reason) of what is missing, None if nothing is; raises HarnessError if it cannot be tried."""
        line = json.dumps(question, sort_keys=True)
        if line not in self._answers:
            self._answers[line] = self._asked(line)
        return self._answers[line]

    def _asked(self, line: str) -> tuple[str, str] | None:
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        if not answer:
            raise HarnessError("what this machine can do could not be tried; see `rdzv-harness doctor`")
        found = json.loads(answer)
        return None if found is None else (str(found[0]), str(found[1]))

    def _started(self) -> subprocess.Popen[str]:
        paths = [_ROOT, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        life, ours = os.pipe()
        with os.fdopen(life), contextlib.ExitStack() as made:
            made.callback(os.close, ours)
            self._process = self._held.enter_context(
                subprocess.Popen(
                    boot.argv(sys.executable, life, "auto", [sys.executable, "-m", "harness.play.trial"]),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    pass_fds=[life],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                )
            )
            self._held.push(made.pop_all())  # closed first: boot ends what is below it, whatever it does
        return self._process


def main() -> None:
    """Answer every question: `[need, reason]`, or null."""
    isolation = Isolation.from_environment()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), isolation)), flush=True)


def answer(question: Question, isolation: Isolation) -> tuple[str, str] | None:
    """(need, reason) of what is missing; None if nothing is. What else goes wrong shows when it is played."""
    if "world" in question:
        world = WORLDS[question["world"]]
        reason = world.missing_under(isolation)
        return (next(iter(world.declaration.needs), "world"), reason) if reason else None
    try:
        FAULTS[question["fault"]](Fault(question["fault"], question["fault"], (), question["attributes"])).try_here()
    except Unsupported as missing:
        return missing.need, missing.reason
    except HarnessError:
        return None
    return None


if __name__ == "__main__":
    main()
