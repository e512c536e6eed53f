"""Defaults of options from `[tool.rdzv-harness]` of a pyproject.toml: read, checked, and as the parser takes them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from harness.values.errors import UsageError

NAME = "pyproject.toml"
TABLE = ("tool", "rdzv-harness")
MOST_BYTES = 1 << 20
NOT_SET = {"--help", "--version", "--config", "--no-config", "--watch"}
"""Options that a file cannot set; with `--watch` the runs of a CI job would never end."""
Keys = tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """One option of a command, as a file may set it.

    Attributes:
        key: its name in the file, without the dashes at the front.
        name: of the parameter.
        kind: bool, int, str or Path.
        many: whether it may be repeated; then the file has an array.
        least, most: of a number.
        metavar: what `--help` calls its value.
    """

    key: str
    name: str
    kind: type
    many: bool
    least: float | None
    most: float | None
    metavar: str


@dataclass(frozen=True)
class Wrong:
    """Something in a table that is not understood: its key, what it is, and what to write instead."""

    keys: Keys
    message: str
    hint: str = ""


def of(root: Any, named: Path | None, none: bool) -> dict[str, Any] | None:
    """What the parser takes as its defaults; None if no file has any, and none was declined.

    Args:
        root: the command of which all others are parts.
        named: the file of `--config`; else the nearest one is read.
        none: whether no file is to be read.

    Raises ScenarioError with every problem of the table, UsageError if the file cannot be read.
    """
    if none:
        if named is not None:
            raise UsageError("--config and --no-config exclude each other; give one of them")
        return {}
    try:
        here = Path.cwd()
    except OSError:  # the folder is gone, which the command says if it needs one
        return None
    path = named or nearest_file(here)
    return None if path is None else read(path, root, named is not None, here) or None


def nearest_file(folder: Path) -> Path | None:
    """The pyproject.toml of a folder, or of the closest folder above it that has one."""
    return next((one / NAME for one in (folder, *folder.parents) if os.path.isfile(one / NAME)), None)


def read(path: Path, root: Any, named: bool, here: Path) -> dict[str, Any]:
    """What the parser takes as its defaults: for each command, by the name of the parameter; empty without the table.

    Args:
        root: the command of which all others are parts.
        named: the file was asked for, so it must be there and have the table.
        here: the working folder; paths of a file in it stay relative.

    Raises ScenarioError with every problem of the table, UsageError if the file cannot be read.
    """
    text = _text(path, named)
    if "rdzv-harness" not in text and not named:
        return {}  # whether it is sound is not our affair
    from harness.cli import toml_places

    try:
        tables = toml_places.parse(text)
    except toml_places.NotToml as error:
        _refuse(path, text, [(error.place, f"no TOML: {error}", "mend it, or give --no-config")])
    if not toml_places.has(tables, TABLE):
        if named:
            raise UsageError(f"--config {path}: it has no table [{'.'.join(TABLE)}]; write the defaults there")
        return {}
    folder = Path(os.path.abspath(path)).parent
    found, wrong = collect(tables["tool"]["rdzv-harness"], root, None if folder == here else folder)
    if wrong:
        places = toml_places.find(text, [one.keys for one in wrong])
        _refuse(path, text, [(places.get(one.keys, (1, 1)), one.message, one.hint) for one in wrong])
    return found


def _text(path: Path, named: bool) -> str:
    from harness.machine.regular import NotReadable, read_regular
    from harness.values.refusals import describe

    advice = "name another file with --config, or give --no-config"
    try:
        content = read_regular(path, MOST_BYTES, follow_links=True)
    except NotReadable as error:
        raise UsageError(f"{path}: {error}; {advice}") from error
    except OSError as error:
        raise UsageError(f"{describe(error)}; {advice}") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if not named and b"rdzv-harness" not in content:
            return ""
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8; {advice}") from error


def _refuse(path: Path, text: str, problems: Sequence[tuple[tuple[int, int], str, str]]) -> None:
    from harness.loader.tree.nodes import Position
    from harness.loader.tree.problems import Problems

    found = Problems()
    for place, message, hint in problems:
        found.add(Position(*place), message, hint)
    found.raise_if_any(path, text)


def collect(table: Any, root: Any, folder: Path | None) -> tuple[dict[str, Any], list[Wrong]]:
    """The defaults of every command, and all that is wrong.

    A table is a command's or a group's, another value the default of an option, for each command that has it; the
    command's own table counts more.

    Args:
        folder: where relative paths begin; None leaves them.
    """
    if not isinstance(table, Mapping):
        return {}, [Wrong(TABLE, "a table is needed here", "write [tool.rdzv-harness], and below it jobs = 4")]
    collected: dict[str, Any] = {}
    wrong = list(_fill(collected, table, root, TABLE, folder))
    return collected, list(dict.fromkeys(wrong))


def _fill(
    collected: dict[str, Any], table: Mapping[str, Any], command: Any, at: Keys, folder: Path | None
) -> Iterator[Wrong]:
    commands: Mapping[str, Any] = getattr(command, "commands", {})
    for key, value in table.items():
        if not isinstance(value, Mapping):
            yield from _set(collected, key, value, command, (*at, key), folder)
        elif key not in commands:
            yield _unknown((*at, key), [*commands, *_keys(command)], "command")
    for key, value in table.items():  # after the common ones, over which they count
        if isinstance(value, Mapping) and key in commands:
            yield from _fill(collected.setdefault(key, {}), value, commands[key], (*at, key), folder)


def _set(
    collected: dict[str, Any], key: str, value: Any, command: Any, at: Keys, folder: Path | None
) -> Iterator[Wrong]:
    """Set an option of a command, or of each command of a group that has it.

    Where some commands take it once and others several times, a value is for those that take it so.
    """
    users = [(names, option) for names, option in _options(command) if option.key == key]
    users = [one for one in users if one[1].many == isinstance(value, list)] or users
    if not users:
        yield _unknown(at, [*_keys(command), *getattr(command, "commands", {})], "option")
    for names, option in users:
        problem = _problem(option, value)
        if problem:
            yield Wrong(at, f"{key} = {_shown(value)}: {problem}")
            return
        here = collected
        for name in names:
            here = here.setdefault(name, {})
        here[option.name] = _placed(option, value, folder)


def _keys(command: Any) -> list[str]:
    return sorted({option.key for _, option in _options(command)})


def _options(command: Any) -> Iterator[tuple[Keys, Option]]:
    """The options of a command, or of all commands of a group, each with the names that lead to its command."""
    commands: Mapping[str, Any] = getattr(command, "commands", {})
    for name, one in commands.items():
        yield from (((name, *names), option) for names, option in _options(one))
    if commands:
        return
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    for parameter in command.params:
        if parameter.param_type_name == "option" and not NOT_SET & set(parameter.opts):
            long = next((one for one in parameter.opts if one.startswith("--")), parameter.opts[0])
            yield (), _option(long.lstrip("-"), parameter.name, hints[parameter.name])


def _option(key: str, name: str, hint: Any) -> Option:
    annotation, info = get_args(hint)[:2]
    alternatives = [one for one in get_args(annotation) if one is not type(None)]
    is_list = getattr(annotation, "__origin__", None) is list
    kind = annotation if is_list or not alternatives else alternatives[0]
    many = getattr(kind, "__origin__", None) is list
    return Option(key, name, get_args(kind)[0] if many else kind, many, info.min, info.max, info.metavar or "")


def _problem(option: Option, value: Any) -> str:
    """Why a value does not fit; empty if it does."""
    if option.many:
        return "" if isinstance(value, list) and all(isinstance(one, str) for one in value) else 'write ["...", "..."]'
    if option.kind is bool:
        return "" if isinstance(value, bool) else "write true or false"
    if option.kind is int:
        return _problem_of_number(option, value)
    return _problem_of_text(option, value) if isinstance(value, str) else 'write a text, as "..."'


def _problem_of_number(option: Option, value: Any) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "write a whole number"
    fits = (option.least is None or option.least <= value) and (option.most is None or value <= option.most)
    return "" if fits else f"it is from {option.least} to {option.most}"


def _problem_of_text(option: Option, text: str) -> str:
    """What is known of some options before a command runs."""
    from harness.cli import expression, selecting, shards
    from harness.values.suggest import nearest

    try:
        if option.key in ("tags", "k"):
            expression.parse(text, f"--{option.key}")
        elif option.key == "shard":
            shards.parse(text)
        elif option.key == "python":
            selecting.interpreter(text)
    except UsageError as error:
        return str(error).partition(": ")[2] or str(error)
    if option.key == "isolation" and text not in selecting.ISOLATIONS:
        near = nearest(text, selecting.ISOLATIONS)
        return f"did you mean {near!r}?" if near else f"there is {', '.join(selecting.ISOLATIONS)}"
    if option.key == "world":
        from harness.worlds.base import WORLDS

        return "" if text in WORLDS else WORLDS.why_not(text)
    return ""


def _placed(option: Option, value: Any, folder: Path | None) -> Any:
    """The value with its relative paths below the folder; a bare name of an interpreter is looked for on PATH."""
    if folder is None:
        return value
    if option.kind is Path:
        return value if value == "-" else str(folder / value)
    if option.key == "python" and os.sep in value:
        return str(folder / value)
    if option.metavar == "KIND=PATH":
        return [_report_in(one, folder) for one in value]
    return value


def _report_in(word: str, folder: Path) -> str:
    kind, separator, path = word.partition("=")
    return f"{kind}={folder / path}" if separator and path not in ("", "-") else word


def _unknown(at: Keys, known: Sequence[str], what: str) -> Wrong:
    from harness.loader.tree.problems import suggestion

    word = at[-1].replace("_", "-").lstrip("-")
    if f"--{word}" in NOT_SET:
        return Wrong(at, f"there is no {what} {at[-1]!r} in a file", "take it out, and give it on the command line")
    hint = f"did you mean {word!r}?" if word in known and word != at[-1] else suggestion(at[-1], known)
    return Wrong(at, f"there is no {what} {at[-1]!r}", hint)


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value!r:.60}"
