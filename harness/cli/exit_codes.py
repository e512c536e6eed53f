"""What the exit code says, so that a CI job can distinguish a broken subject from a broken harness."""

from __future__ import annotations

from collections.abc import Iterable

from harness.values.verdict import ERROR, FAILED, SKIPPED, VACUOUS

AS_EXPECTED = 0
SOME_FAILED = 1
USAGE = 2
SOME_ERROR = 3
SOME_VACUOUS = 4
NOTHING_SELECTED = 5
INTERRUPTED = 130
BROKEN_PIPE = 141

# The first that occurs decides.
_BY_STATUS = ((ERROR, SOME_ERROR), (FAILED, SOME_FAILED), (VACUOUS, SOME_VACUOUS))

TABLE = (
    "Exit codes: 0 all as expected (passed, known failure, skipped), 1 failed (of run and validate with "
    "--fail-on-skip also skipped; of compare with --fail-on-regression a regression), 2 usage or unreadable scenario, "
    "3 error of harness or machine, 4 vacuous, 5 nothing selected, 130 interrupted; when mixed 3, then 1, then 4. "
    "Of explore: 0 nothing new, 1 something new that nothing explains, 3 also if a required canary is not found."
)


def exit_code(statuses: Iterable[str], fail_on_skip: bool = False) -> int:
    """The exit code of a run whose results have these statuses.

    Args:
        fail_on_skip: whether a result that was skipped counts as one that failed.
    """
    found = {FAILED if fail_on_skip and status == SKIPPED else status for status in statuses}
    return next((code for status, code in _BY_STATUS if status in found), AS_EXPECTED)
