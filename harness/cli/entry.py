"""From the words on the command line to an exit code; bad input is a message, never a traceback."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, BROKEN_PIPE, INTERRUPTED, SOME_ERROR, USAGE
from harness.cli.known_values import COMPLETION
from harness.values.errors import HarnessError, ScenarioError, UsageError
from harness.values.refusals import cannot, describe, is_refusal

TRACEBACK = "RDZV_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. `arguments` are those of the process unless given."""
    if COMPLETION in os.environ:
        from harness.cli import completing
        from harness.cli.app import app

        return completing.answer(app, os.environ[COMPLETION])
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _interrupts():
            code = _dispatch(words)
    except KeyboardInterrupt:
        streams.say("interrupted")
        code = INTERRUPTED
    except Exception as error:
        # What standard output refuses is an error of the command that prints, too.
        code = SOME_ERROR if isinstance(error, OSError) and streams.flush() is not None else _report(error)
    refusal = streams.flush()
    return code if refusal is None else _report_lost(refusal)


def _report_lost(refusal: OSError) -> int:
    """Standard output cannot be written."""
    if isinstance(refusal, BrokenPipeError):
        return BROKEN_PIPE  # the reader has gone, `head` for instance
    streams.say(f"error: {cannot('write to standard output', refusal, 'redirect it to a file that can be written')}")
    return SOME_ERROR


class _Interrupt(KeyboardInterrupt):
    """Python notes a plain KeyboardInterrupt that passes an `exec`, and ends by a signal although it was caught."""


@contextmanager
def _interrupts() -> Iterator[None]:
    """Ctrl-C ends a command, and so does SIGTERM, which CI services send first. An ignored Ctrl-C stays so."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Interrupt

    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    numbers = [signal.SIGTERM] if ignored else [signal.SIGTERM, signal.SIGINT]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _dispatch(words: list[str]) -> int:
    from harness.cli.app import app

    own, command = split_command(words or ["--help"])
    try:
        code = app(args=own, prog_name="rdzv-harness", standalone_mode=False, obj=command)
    except SystemExit as leaving:  # how the parser reports a broken pipe; it exits for no other reason in this mode
        raise BrokenPipeError from leaving
    return code if isinstance(code, int) else AS_EXPECTED


def split_command(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Our own words, and those behind the first `--`, which belong to `--subject command`."""
    if "--" not in words:
        return list(words), ()
    place = words.index("--")
    return list(words[:place]), tuple(words[place + 1 :])


def _report(error: Exception) -> int:
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
