"""The options of the plug-in: on the command line, in pytest's configuration file, and as one frozen value."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

DEFAULT_KEEP = 500
MOST_RUNS = 1_000_000
MOST_JOBS = 1000
LARGEST_SEED = (1 << 53) - 1
"""As of the options of `rdzv-harness run`."""

ISOLATIONS = ("auto", "private", "host")
SERVERS = ("auto", "embedded", "real")

_SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()


@dataclass(frozen=True)
class Option:
    """One option: `--rdzv-NAME` on the command line, `rdzv_NAME` in the configuration file.

    Attributes:
        kind: `text`, `flag`, or `list` for an option that may be repeated.
    """

    name: str
    metavar: str
    help: str
    kind: str = "text"

    @property
    def flag(self) -> str:
        return f"--rdzv-{self.name.replace('_', '-')}"

    @property
    def key(self) -> str:
        return f"rdzv_{self.name}"


OPTIONS = (
    Option("subject", "NAME", "static (the default), another registered backend, or echo"),
    Option("python", "PATH", "the ranks' interpreter, or torch:2.9.1; default: the one that runs pytest"),
    Option("toxiproxy", "WHICH", "auto (the default), embedded, real, or the URL of a running server on loopback"),
    Option("isolation", "KIND", "private namespaces, the host, or auto (the default): private where possible"),
    Option("world", "KIND", "processes, namespaces or containers for all; default: as the files say"),
    Option("require", "KINDS", "needs (torch,engine,...) whose absence is an error, not a skip; or RDZV_REQUIRE"),
    Option("fail_on_skip", "", "a scenario that is skipped fails", "flag"),
    Option("seed", "N", "seed of everything random; default: drawn, one for the session"),
    Option("jobs", "N", "at most N worlds side by side; default: one for each worker of xdist"),
    Option("keep", "N", f"how many run directories stay; default: {DEFAULT_KEEP}"),
    Option("runs_dir", "DIR", "where run directories go; default: .rdzv/runs in pytest's root directory"),
    Option("report", "[KIND=]FILE", "write all verdicts to a file: JSON, or another kind; may be repeated", "list"),
)


@dataclass(frozen=True)
class Settings:
    """How a session plays its scenarios; fields as of `harness.play.options.RunOptions` unless said here.

    Attributes:
        jobs: worlds side by side over all workers of xdist; None is one for each worker.
        reports: words of `--rdzv-report`.
        words: the options that were given on the command line and decide how a scenario is played.
    """

    subject: str = "static"
    python: str = sys.executable
    toxiproxy: str = "auto"
    isolation: str = "auto"
    world: str | None = None
    require: frozenset[str] = frozenset()
    fail_on_skip: bool = False
    seed: int | None = None
    jobs: int | None = None
    keep: int = DEFAULT_KEEP
    runs_dir: Path = Path(".rdzv/runs")
    reports: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Given:
    """A text that was given for an option, where, and the folder that a relative path in it begins at."""

    text: str
    where: str
    folder: Path


def add_to(parser: pytest.Parser) -> None:
    """Add all options, on the command line and for the configuration file."""
    group = parser.getgroup("rdzv-harness", "scenarios of the static TCP rendezvous")
    for option in OPTIONS:
        how: dict[str, Any] = {"metavar": option.metavar}
        if option.kind == "flag":
            how = {"action": "store_true"}
        elif option.kind == "list":
            how["action"] = "append"
        group.addoption(option.flag, default=None, help=option.help, **how)
        kinds = {"text": "string", "flag": "bool", "list": "linelist"}
        parser.addini(option.key, f"as {option.flag}: {option.help}", cast(Any, kinds[option.kind]), default=None)


def settings_of(config: pytest.Config) -> Settings:
    """The settings of a session; raises pytest.UsageError with every option that is wrong, a line each."""
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = _read(config)
    return config.stash[_SETTINGS]


def in_our_words(text: str) -> str:
    """A message of the harness with the options as pytest has them: `--python` is `--rdzv-python`."""
    names = "|".join(option.flag.removeprefix("--rdzv-") for option in OPTIONS)
    return re.sub(rf"(?<![\w-])--(?=(?:{names})\b(?!-))", "--rdzv-", text)


def _read(config: pytest.Config) -> Settings:
    problems = list(_unknown_keys(config))
    values: dict[str, Any] = {"runs_dir": config.rootpath / ".rdzv" / "runs"}
    for option in OPTIONS:
        try:
            given = _given(config, option)
        except (TypeError, ValueError) as error:
            problems.append(f"{_file(config)}: {option.key}: {error}")
            continue
        for one in given:
            try:
                _take(values, option, one)
            except ValueError as error:
                problems.append(f"{one.where}: {error}")
    if problems:
        raise pytest.UsageError(*problems)
    return Settings(**values, words=tuple(_words(config)))


def _take(values: dict[str, Any], option: Option, given: _Given) -> None:
    """Add the value of a text; raises ValueError with what is allowed."""
    if option.kind == "list":
        values["reports"] = (*values.get("reports", ()), given.text)
    elif option.kind == "flag":
        values[option.name] = True
    else:
        values[option.name] = _PARSERS.get(option.name, _as_it_is)(given)


def _given(config: pytest.Config, option: Option) -> list[_Given]:
    """What was given: on the command line, else in RDZV_REQUIRE, else in the file."""
    chosen = config.getoption(option.flag)
    here = Path.cwd()
    if chosen:
        return [
            _Given(str(one), _on_line(option, one), here) for one in (chosen if option.kind == "list" else [chosen])
        ]
    if chosen is not None and option.kind == "text":
        return [_Given("", f"{option.flag} ''", here)]
    environment = os.environ.get("RDZV_REQUIRE", "") if option.name == "require" else ""
    if environment:
        return [_Given(environment, f"{option.flag} (or RDZV_REQUIRE) {environment}", here)]
    in_file = config.getini(option.key)
    texts = in_file if option.kind == "list" else [in_file] if in_file else []
    folder = config.inipath.parent if config.inipath else here
    return [_Given(str(text), f"{_file(config)}: {option.key} = {text}", folder) for text in texts or ()]


def _on_line(option: Option, text: str) -> str:
    where = f"{option.flag} (or RDZV_REQUIRE)" if option.name == "require" else option.flag
    return f"{where} {text}"


def _file(config: pytest.Config) -> str:
    return config.inipath.name if config.inipath else "the configuration file"


def _unknown_keys(config: pytest.Config) -> Iterator[str]:
    """Keys of the file that look like ours: pytest itself only warns of them."""
    known = [option.key for option in OPTIONS]
    # `inicfg` is deprecated from pytest 9 on, and nothing public says which keys a file has.
    keys: Mapping[str, Any] = getattr(config, "_inicfg", {}) or vars(config).get("inicfg", {})
    for key in keys:
        if key.startswith("rdzv") and key not in known:
            yield f"{_file(config)}: {key}: there is no such option; {_hint(key, known)}"


def _words(config: pytest.Config) -> Iterator[str]:
    """The command line that decides how a scenario is played, for the command that plays one again."""
    for option in OPTIONS:
        chosen = config.getoption(option.flag)
        if option.name not in ("seed", "jobs", "keep", "runs_dir", "report", "fail_on_skip") and chosen:
            yield from (option.flag, str(chosen))


def command_line(settings: Settings, node: str, seed: int) -> str:
    """The words that play a test in Python again with a seed."""
    return shlex.join(["pytest", node, *settings.words, "--rdzv-seed", str(seed)])


# -- values ------------------------------------------------------------------------------------------------------------


def _as_it_is(given: _Given) -> str:
    if not given.text:
        raise ValueError("give it a value, or leave it out")
    return given.text


def _whole(lowest: int, highest: int) -> Callable[[_Given], int]:
    def parse(given: _Given) -> int:
        text = given.text
        if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
            return int(text)
        raise ValueError(f"write a whole number from {lowest} to {highest}")

    return parse


def _isolation(given: _Given) -> str:
    if given.text not in ISOLATIONS:
        raise ValueError(f"there is no such isolation; {_hint(given.text, ISOLATIONS)}")
    return given.text


def _toxiproxy(given: _Given) -> str:
    if given.text in SERVERS:
        return given.text
    from harness.machine.toxiproxy.given import parse_url
    from harness.values.errors import UsageError

    try:
        if not re.search(r"[:./\d]", given.text):
            raise ValueError(f"there is no such server; {_hint(given.text, SERVERS)}, or a URL: http://127.0.0.1:8474")
        parse_url(given.text)
    except UsageError as error:
        raise ValueError(str(error).removeprefix(f"--toxiproxy {given.text}: ")) from None
    return given.text


def _world(given: _Given) -> str:
    from harness.worlds.base import WORLDS

    if given.text not in WORLDS:
        raise ValueError(WORLDS.why_not(given.text))
    return given.text


def _require(given: _Given) -> frozenset[str]:
    from harness.scenario.needs import required
    from harness.values.errors import UsageError

    try:
        return required(given.text.split(","), "")
    except UsageError as error:
        raise ValueError(str(error).partition(": ")[2]) from None


def _subject(given: _Given) -> str:
    if given.text == "command":
        raise ValueError("pytest has no command for it; use `rdzv-harness run PATH --subject command -- ARGV`")
    return _as_it_is(given)


def _python(given: _Given) -> str:
    if os.sep in _as_it_is(given):
        return os.path.abspath(given.folder / given.text)
    from harness.cli.selecting import interpreter
    from harness.values.errors import UsageError

    try:
        return interpreter(given.text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _folder(given: _Given) -> Path:
    return Path(os.path.abspath(given.folder / _as_it_is(given)))


def _hint(word: str, known: tuple[str, ...] | list[str]) -> str:
    from harness.values.suggest import nearest

    near = nearest(word, known)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"


_PARSERS: Mapping[str, Callable[[_Given], Any]] = {
    "subject": _subject,
    "python": _python,
    "toxiproxy": _toxiproxy,
    "isolation": _isolation,
    "world": _world,
    "require": _require,
    "seed": _whole(0, LARGEST_SEED),
    "jobs": _whole(1, MOST_JOBS),
    "keep": _whole(0, MOST_RUNS),
    "runs_dir": _folder,
}
