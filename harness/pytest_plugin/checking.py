"""Whether this machine can play what was asked for: looked at once, before anything is played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.running import check_machine
from harness.cli.selecting import with_torch
from harness.machine.process.interpreter import require, require_backend
from harness.play.options import SUBJECTS, RunOptions
from harness.pytest_plugin.options import in_our_words
from harness.values.errors import UsageError
from harness.values.printable import printable_lines


def check(options: RunOptions) -> None:
    """Raises pytest.UsageError for an interpreter, a subject, a server or a need that no scenario has here."""
    ours = [one for one in SUBJECTS if one != "command"]
    try:
        options = replace(options, python=with_torch(options.python))
        if options.subject not in ours:
            require(Path(options.python))
            require_backend(Path(options.python), options.subject, ours)
            options = replace(options, subject="static")
        check_machine(options)
    except UsageError as error:
        raise pytest.UsageError(*printable_lines(in_our_words(str(error))).splitlines()) from None
