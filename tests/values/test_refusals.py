"""What the operating system refuses, in words that end with what to do."""

from __future__ import annotations

import errno
import os

import pytest

from harness.values import refusals
from harness.values.errors import HarnessError, UsageError


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "can be written"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EAGAIN, "ulimit -u"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.EFBIG, "ulimit -f"),
        (errno.ENOENT, "removed"),
        (errno.ENOTDIR, "another path"),
    ],
)
def test_each_refusal_says_what_to_do(number: int, advice: str) -> None:
    """The reason in the kernel's words, then what a person can change."""
    error = refusals.cannot("write x", OSError(number, os.strerror(number), "x"))
    assert type(error) is HarnessError
    assert str(error).startswith(f"cannot write x ({os.strerror(number)}); ")
    assert advice in str(error)


def test_only_a_wrong_path_is_a_usage_error() -> None:
    """A disk that is full from the start is no mistake on the command line; there the option's own advice is given."""
    advice = "choose another --runs-dir"
    wrong = refusals.cannot_begin("write x", PermissionError(errno.EACCES, "Permission denied"), advice)
    full = refusals.cannot_begin("write x", OSError(errno.ENOSPC, "No space left on device"), advice)
    assert (type(wrong), str(wrong)) == (UsageError, f"cannot write x (Permission denied); {advice}")
    assert type(full) is HarnessError
    assert "free some space" in str(full)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("OSError: [Errno 24] Too many open files", "ulimit -n"),
        ("boot: [Errno 11] Resource temporarily unavailable; run it again", "ulimit -u"),
        ("python: libm.so.6: cannot open shared object file: Error 24", "ulimit -n"),
        ("ImportError: x.so: failed to map segment from shared object", "ulimit -v"),
        ("RuntimeError: can't start new thread", "ulimit -u"),
        ("MemoryError", "ulimit -v"),
    ],
)
def test_the_last_words_of_another_program_get_advice(text: str, advice: str) -> None:
    """Once, and only if they name something that this machine has too little of."""
    advised = refusals.with_advice(text)
    assert advised.startswith(f"{text}; ")
    assert advice in advised
    assert refusals.with_advice(advised) == advised


def test_other_words_stay_as_they_are() -> None:
    """A missing module is no matter of limits."""
    for text in ("ModuleNotFoundError: No module named 'torch'", "FileNotFoundError: [Errno 2] No such file: 'x'"):
        assert refusals.with_advice(text) == text
    assert not refusals.is_refusal(ValueError("x"))
    assert refusals.is_refusal(MemoryError())
