"""Which build of torch in a record a version means, and which are its neighbours there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from harness.record.words import in_order
from harness.values.errors import UsageError
from harness.values.printable import printable
from harness.values.suggest import nearest

LONGEST = 60
"""Characters of a version."""
HOW = "write it as 2.9.1, or 2.9 for the newest patch of it that the record has"
_DECORATED = re.compile(r"torch *(?:[:=@]|==) *(?P<version>[\w.+!-]+)")


@dataclass(frozen=True)
class Named:
    """What a record has of a version of torch.

    Attributes:
        asked: the version.
        torch: the build that the record has of it; empty if it has none.
        because: why it is this build, or what else is known of the version; empty if there is nothing to say.
        before, after: if it has none: the nearest builds of other releases; empty where there is none.
    """

    asked: str
    torch: str = ""
    because: str = ""
    before: str = ""
    after: str = ""

    @property
    def torches(self) -> Sequence[str]:
        """The build, or the neighbours."""
        return [one for one in (self.torch, self.before, self.after) if one]


def named(torches: Collection[str], asked: str) -> Named:
    """Find a version in a record.

    A release without a build is any build of it, and so is a build that the record has not: builds differ in their
    libraries, not in their source. A package that was rebuilt (`.post1`) is of the same source too. What was built from
    a checkout (`2.10.0a0+git1234`) is of that commit alone. `2.9` is the newest patch.

    Args:
        torches: the builds of the record.
        asked: as torch writes it, or as people do.

    Raises UsageError for what is no version, with the nearest that the record has.
    """
    asked = asked.strip()
    if asked in torches:
        return Named(asked, asked)
    wanted, versions = parsed(asked, torches), _readable(torches)
    if _is_short(wanted):
        patches = [torch for torch in versions if _is_patch(versions[torch], wanted)]
        if patches:
            return Named(asked, patches[-1], f"it is the newest patch of {asked} that the record has")
    same = [torch for torch, version in versions.items() if _source(version) == _source(wanted)]
    if same:
        return _of_builds(asked, wanted, versions, same)
    before = [torch for torch, version in versions.items() if version < wanted]
    after = [torch for torch, version in versions.items() if version > wanted]
    because = f"it was built before the release of {wanted.base_version}" if wanted.is_prerelease else ""
    return Named(asked, "", because, before[-1] if before else "", after[0] if after else "")


def parsed(asked: str, torches: Collection[str]) -> Version:
    """A version that somebody wrote; raises UsageError as `named` does."""
    version = _version(asked) if len(asked) <= LONGEST else None
    if version is not None:
        return version
    shown = printable(asked if len(asked) <= LONGEST else f"{asked[:LONGEST]}...")
    near = _near(asked, torches)
    hint = f"did you mean {near}? " if near else ""
    raise UsageError(f"torch '{shown}': this is no version; {hint}{HOW}; it has {', '.join(in_order(torches))}")


def _near(asked: str, torches: Collection[str]) -> str:
    decorated = _DECORATED.fullmatch(asked)
    if decorated and _version(decorated["version"]):
        return decorated["version"]
    return nearest(asked, [*(torch.split("+")[0] for torch in torches), *torches])


def _of_builds(asked: str, wanted: Version, versions: Mapping[str, Version], same: Sequence[str]) -> Named:
    """One of several builds of a release: the one that was asked for, else the last by its name."""
    exact = [torch for torch in same if versions[torch] == wanted]
    chosen = (exact or same)[-1]
    others = [torch for torch in same if torch != chosen]
    because = f"the record also has {', '.join(others)}" if others else ""
    if not exact and (wanted.local or wanted.is_postrelease):
        because = f"the record has {chosen}, another build of the same release"
    return Named(asked, chosen, because)


def _readable(torches: Collection[str]) -> dict[str, Version]:
    """The builds that are versions, oldest first."""
    found = {torch: version for torch in torches if (version := _version(torch)) is not None}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _is_short(version: Version) -> bool:
    is_plain = not (version.is_prerelease or version.is_postrelease or version.local)
    return is_plain and len(version.release) < 3


def _is_patch(version: Version, short: Version) -> bool:
    return version.release[: len(short.release)] == short.release and not version.is_prerelease


def _source(version: Version) -> tuple[object, ...]:
    """What is the same of two builds of one source."""
    numbers = list(version.release)
    while numbers and numbers[-1] == 0:
        numbers.pop()
    commit = version.local if version.pre and version.pre[0] == "a" else None
    return version.epoch, tuple(numbers), version.pre, version.dev, commit
