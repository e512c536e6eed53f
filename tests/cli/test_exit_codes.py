"""What the exit code of a run says."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from harness.cli.exit_codes import SOME_FAILED, TABLE, exit_code
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, STATUSES, VACUOUS


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([PASSED, KNOWN, SKIPPED], 0),
        ([SKIPPED], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, ERROR], 3),
        ([PASSED, VACUOUS], 4),
        ([VACUOUS, FAILED], 1),
        ([VACUOUS, FAILED, ERROR], 3),
        ([VACUOUS, ERROR], 3),
    ],
)
def test_the_table(statuses: list[str], code: int) -> None:
    """0 as expected, 1 failed, 3 error, 4 vacuous; when mixed 3, then 1, then 4."""
    assert exit_code(statuses) == code


@pytest.mark.parametrize("option", ["--fail-on-skip", "--fail-on-regression"])
def test_the_help_names_each_option_by_which_a_run_fails(option: str) -> None:
    """Under the code with which it fails."""
    (said,) = re.findall(rf" {SOME_FAILED} (failed.*?), 2 ", TABLE)
    assert option in said


def test_only_what_is_expected_is_zero() -> None:
    """Every mixture that has something red in it is red."""
    for count in range(1, len(STATUSES) + 1):
        for statuses in combinations(STATUSES, count):
            assert (exit_code(statuses) == 0) == (not {FAILED, ERROR, VACUOUS} & set(statuses))
