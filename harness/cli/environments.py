"""The interpreters that a record is played with: each is opened for as long as it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from harness.cli import streams
from harness.cli.selecting import interpreter
from harness.values.errors import UsageError

BETWEEN = ".."
HOW = "write 2.9.1, 2.6..2.15, or 2.6.. for all from there"

Available = Callable[[], Sequence[str]]
"""Every release that the package index has, oldest first."""


@dataclass(frozen=True)
class Given:
    """An interpreter that is there; its name is its release of torch."""

    name: str
    python: str

    @contextmanager
    def open(self) -> Iterator[str]:
        yield self.python


@dataclass(frozen=True)
class Release:
    """A release of torch that is installed when it is opened.

    Attributes:
        limit: bytes that all installed ones may take together; those used the longest ago are removed.
    """

    name: str
    limit: int

    @contextmanager
    def open(self) -> Iterator[str]:
        """Raises NoSuchTorch, NoUv, UvFailed, BrokenTorch."""
        from harness.machine.torches import torches

        with torches.use(self.name, streams.say, self.limit) as environment:
            yield str(environment.interpreter)


def chosen(pythons: Sequence[str], versions: Sequence[str], limit: str) -> list[Given | Release]:
    """What `--torch` and `--python` name, in this order.

    Raises UsageError for none, and for what is no version, no interpreter or no size; the errors of `Available`.
    """
    from harness.cli.torch_commands import limit_of

    most = limit_of(limit)
    found: list[Given | Release] = [Release(name, most) for name in named(versions, available)]
    found += given(pythons)
    if not found:
        raise UsageError(f"no torch to play with; give --torch VERSIONS ({HOW}) or --python PATH")
    return found


def between(pythons: Sequence[str], good: str, bad: str, limit: str) -> list[Given | Release]:
    """The releases from one to another, ends included: interpreters, or if none is given those of the index."""
    if pythons:
        return list(given(pythons))
    first, last = sorted((_version(good), _version(bad)))
    return chosen((), [f"{first}{BETWEEN}{last}"], limit)


def given(pythons: Sequence[str]) -> list[Given]:
    """Interpreters by their paths; raises UsageError with every one that has no torch."""
    from harness.machine.process.interpreter import examine

    found = [examine(Path(interpreter(python))) for python in pythons]
    problems = [info.problem for info in found if info.problem]
    if problems:
        raise UsageError("\n".join(problems))
    return [Given(str(info.torch), str(info.python)) for info in found]


def available() -> Sequence[str]:
    from harness.machine.torches import torches

    streams.say("asking the package index which releases of torch there are")
    return torches.available()


def named(versions: Sequence[str], available: Available) -> list[str]:
    """The releases that words of `--torch` mean, each once, in their order; the index is asked for ranges only.

    Raises UsageError for what is no version, and for a range that has no release.
    """
    found: list[str] = []
    for word in ",".join(versions).split(",") if versions else ():
        low, is_range, high = word.strip().partition(BETWEEN)
        if not is_range:
            found.append(str(_version(low)))
            continue
        lowest, highest = (_version(end) if end else None for end in (low, high))
        fitting = [one for one in available() if _is_between(Version(one), lowest, highest)]
        if not fitting:
            raise UsageError(f"--torch {word}: the package index has no such release; `torch list --available` has all")
        found += fitting
    return list(dict.fromkeys(found))


def _is_between(version: Version, lowest: Version | None, highest: Version | None) -> bool:
    """Ends included: `2.15` has every patch release of it."""
    if lowest is not None and version < lowest:
        return False
    return highest is None or version.release[: len(highest.release)] <= highest.release


def _version(text: str) -> Version:
    try:
        return Version(text.strip())
    except InvalidVersion:
        raise UsageError(f"{text!r} is no version of torch; {HOW}") from None
