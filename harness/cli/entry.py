"""From the words on the command line to an exit code; bad input is a message, never a traceback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from harness.cli import streams
from harness.cli.errors import report
from harness.cli.exit_codes import AS_EXPECTED, BROKEN_PIPE, INTERRUPTED, SOME_ERROR
from harness.cli.known_values import COMPLETION
from harness.values.refusals import cannot


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
        code = SOME_ERROR if isinstance(error, OSError) and streams.flush() is not None else report(error)
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
