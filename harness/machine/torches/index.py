"""Asks the package index, through uv, which releases of torch there are, and what one of them needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from harness.machine.process.interpreter import OLDEST_TORCH
from harness.machine.torches.uv import PYTHON, NoFit, Uv, UvFailed
from harness.values.errors import UsageError
from harness.values.suggest import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OLDEST = ".".join(map(str, OLDEST_TORCH))
BESIDE = ("numpy",)
"""What an environment has beside torch and its own requirements: torch warns where numpy is missing. The harness's part
of a rank needs the standard library and torch only, and is found by its path."""

MOST_RELEASES = 500
"""A bound for the walk through all releases; torch has had fewer than 100."""


class NoSuchTorch(UsageError):
    """There is no such release, or it is too old."""


@dataclass(frozen=True)
class Needed:
    """What an environment will have.

    Attributes:
        packages: `name==version` of each, torch among them.
        size: of their wheels, in bytes, as the index says it; 0 if it does not.
    """

    packages: tuple[str, ...]
    size: int


def specifier(version: str) -> SpecifierSet:
    """What a version means: `2.9` is any patch release of 2.9, `2.9.1` is that release, with any build (`+cpu`).

    Raises NoSuchTorch for what is no version, or older than the harness works with.
    """
    try:
        parsed = Version(version)
    except InvalidVersion:
        raise NoSuchTorch(
            f"torch {version}: this is no version; write it as 2.9.1, or 2.9 for its newest patch"
        ) from None
    if parsed.release[:2] < OLDEST_TORCH[: len(parsed.release)]:
        raise NoSuchTorch(f"torch {version}: {OLDEST} is the oldest that works; name a later one")
    is_whole = len(parsed.release) > 2 or parsed.is_prerelease or parsed.local
    return SpecifierSet(f"=={version}" if is_whole else f"=={version}.*")


def newest_of(versions: Sequence[str], asked: str) -> str:
    """The newest of some versions that an asked one means; empty if there is none."""
    wanted = specifier(asked)
    fitting = [one for one in versions if wanted.contains(one, prereleases=True)]
    return max(fitting, key=Version, default="")


def resolve(uv: Uv, asked: str) -> str:
    """The newest release on the index that an asked version means; raises NoSuchTorch with those that are near."""
    try:
        return _newest(uv, specifier(asked))
    except NoFit as none:
        known = available(uv)
        if not known:
            raise NoSuchTorch(f"torch {asked}: the index has no torch for Python {PYTHON} ({none})") from none
        near = nearest(asked, known)
        hint = f"did you mean {near}? " if near else ""
        raise NoSuchTorch(f"torch {asked}: there is no such release; {hint}the index has {', '.join(known)}") from none


def available(uv: Uv) -> tuple[str, ...]:
    """Every release from 2.6 on that the index has for our Python and this machine, oldest first; 0.1 to 0.4 s each."""
    found: list[str] = []
    while len(found) < MOST_RELEASES:
        below = f",<{Version(found[-1]).public}" if found else ""
        try:
            found.append(_newest(uv, SpecifierSet(f">={OLDEST}{below}")))
        except NoFit:
            break
    return tuple(reversed(found))


def needed(uv: Uv, python: Path, version: str, lock: Path, held: Sequence[int] = ()) -> Needed:
    """Choose every package of an environment, and write them to a lock file with their addresses and hashes.

    Args:
        python: the environment's interpreter.
        held: descriptors that uv holds too.

    Raises UvFailed if its requirements cannot be met.
    """
    asked = "".join(f"{one}\n" for one in (f"torch=={version}", *BESIDE))
    words = ["pip", "compile", "--quiet", "--format", "pylock.toml", "--only-binary", ":all:"]
    try:
        uv.run([*words, "--python", str(python), "--output-file", str(lock), "-"], asked, held)
        return _read(lock)
    except NoFit as none:
        raise UvFailed(f"torch {version} cannot be installed under Python {PYTHON}: {none}; name another") from none


def _newest(uv: Uv, wanted: SpecifierSet) -> str:
    words = ["pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    lines = uv.run([*words, "--python-version", PYTHON, "-"], f"torch{wanted}\n").split()
    found = [line.removeprefix("torch==") for line in lines if line.startswith("torch==")]
    if not found:
        raise UvFailed(f"uv named no release of torch ({' '.join(lines)[:200]!r}); try a newer uv")
    return found[0]


def _read(lock: Path) -> Needed:
    try:
        packages: list[dict[str, Any]] = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
        names = tuple(f"{one['name']}=={one['version']}" for one in packages)
        return Needed(names, sum(wheel.get("size", 0) for one in packages for wheel in one.get("wheels", ())[:1]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UvFailed(f"uv wrote a lock file that cannot be read ({error}); try a newer uv") from error
