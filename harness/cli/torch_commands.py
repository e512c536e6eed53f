"""The commands `torch install`, `list` and `remove`: versions of torch in the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED
from harness.machine.torches import torches
from harness.machine.torches.store import Environment
from harness.values.errors import UsageError
from harness.values.printable import printable
from harness.values.quantity import parse_disk_size


def install(versions: Sequence[str], limit: str) -> int:
    """Install versions and print the interpreter of each; returns the exit code.

    Raises UsageError for a limit or a version that cannot be, HarnessError if one cannot be installed.
    """
    most = limit_of(limit)
    for version in versions:
        environment = torches.install(version, streams.say, most)
        print(printable(str(environment.interpreter)))
    return AS_EXPECTED


def list_versions(available: bool) -> int:
    """Print what is installed, or all releases that the index has; returns the exit code."""
    there = torches.installed()
    if available:
        versions = {one.version for one in there}
        for version in torches.available():
            print(printable(f"{version}  installed" if version in versions else version))
        return AS_EXPECTED
    if not there:
        print(
            "no version is installed; `rdzv-harness torch install 2.9.1` installs one, `torch list --available` has all"
        )
        return AS_EXPECTED
    for line in _table([["version", "size", "last use (UTC)", "python", "in"], *map(_row, there)]):
        print(printable(line))
    print(f"all together {_gb(torches.on_disk())} on disk, with uv's cache; what several share counts once")
    return AS_EXPECTED


def list_json(available: bool) -> int:
    """Print the versions that are installed, or all that the index has, as an array on one line."""
    print(json.dumps(list(torches.available()) if available else [one.version for one in torches.installed()]))
    return AS_EXPECTED


def remove(versions: Sequence[str]) -> int:
    """Remove versions; returns the exit code. Raises UsageError for one that is not installed, or in use."""
    for version in versions:
        print(f"removed torch {torches.remove(version)}")
    return AS_EXPECTED


def limit_of(text: str) -> int:
    """The bytes of `--limit 40GB`; raises UsageError for what is no size."""
    try:
        return parse_disk_size(text)
    except ValueError as error:
        raise UsageError(f"--limit {text}: {error}") from error


def _row(environment: Environment) -> list[str]:
    used = datetime.fromtimestamp(environment.used, timezone.utc)
    size, when = _gb(environment.size), f"{used:%Y-%m-%d %H:%M}"
    return [environment.version, size, when, environment.python, str(environment.path)]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 50_000_000 else f"{size / 1e6:.1f} MB"
