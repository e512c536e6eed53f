"""The errors that are raised across rooms; each message ends with what to do."""

from __future__ import annotations


class HarnessError(Exception):
    """Something that the harness itself could not do: it says nothing about the subject. The cell is an `error`."""


class UsageError(HarnessError):
    """The command line or the environment asks for something impossible; exit code 2."""


class ScenarioError(HarnessError):
    """A scenario file cannot be read; carries every problem found. Exit code 2.

    `problems` are finished texts (`file:line:column: ...`, the line, a caret, what to write instead).
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n\n".join(problems))
        self.problems = problems


class Unsupported(HarnessError):
    """Something that this machine, world or harness cannot offer; the cell is `skipped` with this reason."""

    def __init__(self, need: str, reason: str) -> None:
        super().__init__(f"{need}: {reason}")
        self.need = need
        self.reason = reason


class ProxyLost(HarnessError):
    """The proxy server answered 5xx or not at all; it must be replaced before the next scenario."""


class HelperLost(HarnessError):
    """A process beside the ranks, a name server for example, was killed or ended on its own: the play is an `error`."""


class NothingToHit(HarnessError):
    """A fault found no living process or no link: it touched nothing, and the cell is `vacuous`, not `error`."""
