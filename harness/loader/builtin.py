"""The scenarios that ship with the harness, by their names: all, a folder of them, or one."""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePath

from harness.scenario.builtin import PREFIX, is_builtin
from harness.values.errors import UsageError
from harness.values.printable import printable
from harness.values.suggest import nearest

__all__ = ["ALL", "FOLDER", "counterpart", "file_of", "is_builtin", "names", "one", "shipped"]

SUFFIX = ".rdzv.yaml"
# A link to scenarios/ in a checkout, a folder in an installed package.
FOLDER = (Path(__file__).parents[1] / "builtin_scenarios").resolve()
ALL = Path(PREFIX)
"""The name of all."""


@cache
def shipped() -> tuple[Path, ...]:
    """The name of each, `builtin:FOLDER/NAME`, sorted."""
    files = sorted(FOLDER.rglob(f"*{SUFFIX}"))
    return tuple(Path(PREFIX + file.relative_to(FOLDER).as_posix().removesuffix(SUFFIX)) for file in files)


def names(path: PurePath | str) -> list[Path]:
    """The scenarios that a name means, also without its folder or with a suffix.

    Raises UsageError with what it may have meant if there is none.
    """
    word = str(path).removeprefix(PREFIX).strip("/").removesuffix(SUFFIX)
    if not word:
        return list(shipped())
    found = [name for name in shipped() if _inner(name) == word or _inner(name).startswith(f"{word}/")]
    found = found or [name for name in shipped() if name.name == word]
    if not found:
        raise UsageError(_unknown(word))
    return found


def one(path: PurePath | str) -> Path:
    """The only scenario that a name means; raises UsageError for none, or several."""
    found = names(path)
    if len(found) > 1:
        raise UsageError(f"{printable(str(path))} is {len(found)} scenarios; name one of them, such as {found[0]}")
    return found[0]


def file_of(path: PurePath | str) -> Path:
    """Where a scenario is stored; raises UsageError for none, or several."""
    return FOLDER / f"{_inner(one(path))}{SUFFIX}"


def counterpart(path: PurePath) -> str:
    """The built-in name of what a path that does not exist has in a checkout; empty if there is none."""
    word = str(path).removesuffix(SUFFIX)
    if word == "scenarios":
        return PREFIX
    word = word.removeprefix("scenarios/")
    known = {name.parent for name in shipped()} | set(shipped())
    return PREFIX + word if Path(PREFIX + word) in known else ""


def _inner(name: Path) -> str:
    """`FOLDER/NAME`."""
    return str(name).removeprefix(PREFIX)


def _unknown(word: str) -> str:
    folders = list(dict.fromkeys(_inner(name).rpartition("/")[0] for name in shipped()))
    bare = {name.name: _inner(name) for name in shipped()}
    close = nearest(word, [*folders, *bare.values()]) or bare.get(nearest(word.rpartition("/")[2], bare), "")
    hint = f"did you mean {PREFIX}{close}?" if close else f"the folders are {', '.join(folders)}."
    where = "`rdzv-harness list scenarios` names all"
    return f"{printable(PREFIX + word)}: no built-in scenario or folder of that name; {hint} {where}"
