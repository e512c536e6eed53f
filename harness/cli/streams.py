"""Standard input, output and error that may be closed, full, or without a reader."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Any

from harness.values.printable import printable_lines

_SUBSTITUTES = "rdzv-signs"
# The signs of time lines and of `doctor`, for a terminal without them.
_IN_ASCII = {"✓": "+", "✗": "x", "†": "D", "∞": "H", "○": "o", "▶": ">", "…": "...", "─": "-"}
_STREAMS = ("stdin", "stdout", "stderr")


class _Output(io.FileIO):
    """Standard output that remembers its first refusal: the error may have been taken for one of another file."""

    refusal: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            self.refusal = self.refusal or error
            raise


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a stream cannot show: signs stay apart, and others are `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_IN_ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(_SUBSTITUTES, _substitute)


def prepare() -> None:
    """Make all three usable: one that is closed is opened, one that cannot show a character gets a substitute.

    A closed one would give its number to the next file that is opened. A closed standard output refuses every write,
    so that a command whose output is lost does not end with 0.
    """
    for number, name in enumerate(_STREAMS):
        if getattr(sys, name) is None and not _is_open(number):
            # The lowest free number is this one.
            os.open(os.devnull, os.O_RDWR if name == "stderr" else os.O_RDONLY)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))
    if sys.stdout is sys.__stdout__ or sys.__stdout__ is None:
        sys.stdout = _remembering(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_SUBSTITUTES)


def _remembering(stream: Any) -> Any:
    """The same stream through an `_Output`."""
    try:
        stream.flush()
        raw = _Output(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # it has no descriptor
        return stream
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, line_buffering=raw.isatty())


def say(text: str) -> None:
    """Print to standard error; words of files and of the command line move no cursor.

    Where it cannot be written, nothing can be said.
    """
    with suppress(OSError, ValueError):
        print(printable_lines(text), file=sys.stderr)
    _flush(sys.stderr)


def flush() -> OSError | None:
    """Write what is still held; returns why standard output could not be written, now or before.

    After a refusal nothing is written any more, so that the interpreter's own last flush does not complain.
    """
    _flush(sys.stderr)
    late = _flush(sys.stdout)
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return getattr(raw, "refusal", None) or late


def _flush(stream: Any) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
