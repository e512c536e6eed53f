"""What an error prints, and the exit code that it means; bad input is a message, never a traceback."""

from __future__ import annotations

import os
import traceback

from harness.cli import streams
from harness.cli.exit_codes import BROKEN_PIPE, INTERRUPTED, SOME_ERROR, USAGE
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.refusals import describe, is_refusal

TRACEBACK = "RDZV_TRACEBACK"


def report(error: Exception) -> int:
    """Print what went wrong and what to do; returns the exit code."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, ScenarioError):
        count = len(error.problems)
        streams.say(f"{error}\n\n{count} problem{'s' if count != 1 else ''}")
        return USAGE
    if isinstance(error, UsageError):
        streams.say(f"error: {error}")
        return USAGE
    if isinstance(error, HarnessError):
        streams.say(f"error: {error}")
        return SOME_ERROR
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if is_refusal(error):
        streams.say(f"error: {_describe(error)}")
        return SOME_ERROR
    return _report_of_parser(error) or _report_unexpected(error)


def _describe(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is None:
        return "the current folder is gone; change to one that exists"
    return describe(error)


def _report_of_parser(error: Exception) -> int | None:
    """The command line parser's own errors; None for any other error."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return INTERRUPTED if type(error).__name__ == "Abort" else None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "rdzv-harness"
    streams.say(f"error: {format_message()}\nsee `{command} --help`")
    return USAGE


def _report_unexpected(error: Exception) -> int:
    first = (str(error).strip().splitlines() or [""])[0]
    description = f"{type(error).__name__}: {first}" if first else type(error).__name__
    streams.say(f"error: {description}; this is a bug of rdzv-harness, {TRACEBACK}=1 shows where")
    return SOME_ERROR
