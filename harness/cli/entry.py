"""From the words on the command line to an exit code; bad input is a message, never a traceback."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from harness.cli.exit_codes import AS_EXPECTED, BROKEN_PIPE, INTERRUPTED, SOME_ERROR, USAGE
from harness.values.errors import HarnessError, ScenarioError, UsageError

TRACEBACK = "RDZV_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. `arguments` are those of the process unless given."""
    _print_everything()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _interrupts():
            return _dispatch(words)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, `head` for instance; the interpreter's own last flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except Exception as error:
        return _report(error)


def _print_everything() -> None:
    """A terminal that cannot show a character gets a substitute, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


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
    sys.stdout.flush()
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
        print(f"{error}\n\n{count} problem{'s' if count != 1 else ''}", file=sys.stderr)
        return USAGE
    if isinstance(error, UsageError):
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    if isinstance(error, HarnessError):
        print(f"error: {error}", file=sys.stderr)
        return SOME_ERROR
    return _report_of_parser(error) or _report_unexpected(error)


def _report_of_parser(error: Exception) -> int | None:
    """The command line parser's own errors; None for any other error."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return INTERRUPTED if type(error).__name__ == "Abort" else None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "rdzv-harness"
    print(f"error: {format_message()}\nsee `{command} --help`", file=sys.stderr)
    return USAGE


def _report_unexpected(error: Exception) -> int:
    first = (str(error).strip().splitlines() or [""])[0]
    description = f"{type(error).__name__}: {first}" if first else type(error).__name__
    print(f"error: {description}; this is a bug of rdzv-harness, {TRACEBACK}=1 shows where", file=sys.stderr)
    return SOME_ERROR
