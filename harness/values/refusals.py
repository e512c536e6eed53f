"""What the operating system refuses, such as a write to a full disk, in words that end with what to do."""

from __future__ import annotations

import errno
import re
from typing import Dict

from harness.values.errors import HarnessError, UsageError

_MEMORY = "free some memory, raise the limit (`ulimit -v`), or give fewer --jobs"
_PROCESSES = "raise the limit of processes (`ulimit -u`, or the container's), or give fewer --jobs"
_ANOTHER_PATH = "choose another path"

_ADVICE: Dict[int, str] = {
    errno.ENOSPC: "free some space or files on that disk, or choose a folder on another disk",
    errno.EDQUOT: "free some of this user's quota, or choose a folder on another disk",
    errno.EFBIG: "raise the limit of file sizes (`ulimit -f unlimited`)",
    errno.EMFILE: "raise the limit of open files (`ulimit -n 1024`)",
    errno.ENFILE: "end programs that hold files open, or raise the machine's limit (`sysctl fs.file-max`)",
    errno.EAGAIN: _PROCESSES,
    errno.ENOMEM: _MEMORY,
    errno.EIO: "check the disk; the kernel's log (`dmesg`) says more",
    errno.ESTALE: "mount that file system again, or choose a folder on another disk",
}
"""What this machine has too little of, whatever the path is."""

_ADVICE_ON_PATHS: Dict[int, str] = {
    errno.EROFS: "choose a folder on a file system that can be written",
    errno.EACCES: "choose a path that this user may use, or change its permissions",
    errno.EPERM: "choose a path that this user may use, or change its permissions",
    errno.ENOENT: "make its folder again if something has removed it, or choose another path",
    errno.ENOTDIR: _ANOTHER_PATH,
    errno.EEXIST: _ANOTHER_PATH,
    errno.EISDIR: _ANOTHER_PATH,
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: _ANOTHER_PATH,
    errno.ENODEV: _ANOTHER_PATH,
    errno.ENXIO: _ANOTHER_PATH,
    errno.EINVAL: _ANOTHER_PATH,
    errno.EBADF: "choose another place",
}
"""What is wrong with the path that was given."""

_IN_OTHER_WORDS: Dict[str, str] = {
    "MemoryError": _MEMORY,
    "failed to map segment": _MEMORY,
    "annot allocate memory": _MEMORY,
    "can't start new thread": _PROCESSES,
    "failed to create new OS thread": _PROCESSES,
    "pthread_create failed": _PROCESSES,
}
"""The same where no number comes with it: exceptions of Python, and messages of other programs."""

_NUMBER = re.compile(r"\[Errno (\d+)\]|shared object file: Error (\d+)")


def cannot(what: str, error: BaseException, advice: str = "") -> HarnessError:
    """The error to raise where the operating system refused something: `cannot <what>: <reason>; <what to do>`.

    Args:
        advice: what to do if the path is wrong, in place of general words.
    """
    return HarnessError(_sentence(what, error, advice))


def cannot_begin(what: str, error: OSError, advice: str = "") -> HarnessError:
    """As `cannot`, before anything was played: a UsageError if the path is wrong."""
    text = _sentence(what, error, advice)
    return UsageError(text) if error.errno in _ADVICE_ON_PATHS else HarnessError(text)


def is_refusal(error: BaseException) -> bool:
    """Whether it comes from the machine and not from a defect: an OSError, or too little memory."""
    return isinstance(error, (OSError, MemoryError)) or advice_in(_text(error)) != ""


def is_of_machine(error: BaseException) -> bool:
    """Whether this machine has too little of something, whatever program asks for it."""
    return isinstance(error, OSError) and error.errno in _ADVICE


def describe(error: BaseException) -> str:
    """The reason with what to do, and the path if the error names one."""
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename is not None else ""
    advice = advice_on(error)
    return f"{where}{_reason(error)}{f'; {advice}' if advice else ''}"


def advice_on(error: BaseException) -> str:
    """What to do about it; empty if nothing is known."""
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and number is not None:
        return _ADVICE.get(number) or _ADVICE_ON_PATHS.get(number, "")
    return advice_in(_text(error))


def advice_in(text: str) -> str:
    """What to do about the last error that a text names, another program's message say; empty if nothing is known."""
    for numbers in reversed(_NUMBER.findall(text)):
        advice = _ADVICE.get(int("".join(numbers)))
        if advice:
            return advice
    return next((advice for words, advice in _IN_OTHER_WORDS.items() if words in text), "")


def with_advice(text: str) -> str:
    """The message of another program, with what to do if it names something that this machine has too little of."""
    advice = advice_in(text)
    return f"{text}; {advice}" if advice and advice not in text else text


def _sentence(what: str, error: BaseException, advice: str) -> str:
    number = getattr(error, "errno", None)
    do = advice if advice and number in _ADVICE_ON_PATHS else advice_on(error)
    return f"cannot {what} ({_reason(error)}); {do or 'try again'}"


def _reason(error: BaseException) -> str:
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else _text(error)


def _text(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
