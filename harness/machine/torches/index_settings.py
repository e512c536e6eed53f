"""Where packages come from: uv's own settings, or pip's where uv has none, so that a mirror is named once."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE")
_KEYS = ("index-url", "extra-index-url", "find-links", "no-index", "cert")
_NO = ("", "0", "no", "off", "false")


@dataclass(frozen=True)
class IndexSettings:
    """What `uv pip` is given beyond its own settings.

    Attributes:
        words: options of the command line.
        variables: of the environment.
    """

    words: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = None


def settings_for_uv(environment: Mapping[str, str], files: Sequence[Path] | None = None) -> IndexSettings:
    """Nothing if uv has index settings of its own; else those of pip, from its variables and configuration files.

    Args:
        files: uv's configuration files, where they may be; None: the usual places.
    """
    places = _files_of_uv(environment) if files is None else files
    if any(environment.get(name) for name in _OF_UV) or any(path.is_file() for path in places):
        return IndexSettings()
    pip = _of_pip(environment)
    words = [*_each("--default-index", pip.get("index-url", "")), *_each("--index", pip.get("extra-index-url", ""))]
    if "--index" in words:
        words += ["--index-strategy", "unsafe-best-match"]  # as pip: the best version of all indexes
    words += _each("--find-links", pip.get("find-links", ""))
    if pip.get("no-index", "").lower() not in _NO:
        words.append("--no-index")
    cert = pip.get("cert", "")
    known = {} if not cert or environment.get("SSL_CERT_FILE") else {"SSL_CERT_FILE": cert}
    return IndexSettings(tuple(words), known)


def _each(option: str, values: str) -> Iterator[str]:
    for value in values.split():
        yield from (option, value)


def _files_of_uv(environment: Mapping[str, str]) -> list[Path]:
    return [_configuration(environment) / "uv" / "uv.toml", Path("/etc/xdg/uv/uv.toml"), Path("/etc/uv/uv.toml")]


def _configuration(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "/") / ".config")


def _of_pip(environment: Mapping[str, str]) -> dict[str, str]:
    """The values of pip's settings; a later file counts more, and its variables most."""
    values: dict[str, str] = {}
    for path in _files_of_pip(environment):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself says what is wrong with it
        for section in ("global", "install"):
            if parser.has_section(section):
                values.update((key, value) for key, value in parser.items(section) if key in _KEYS and value)
    for key in _KEYS:
        value = environment.get(f"PIP_{key.upper().replace('-', '_')}")
        if value:
            values[key] = value
    return values


def _files_of_pip(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("PIP_CONFIG_FILE")
    home = Path(environment.get("HOME") or "/")
    return [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        _configuration(environment) / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(named)] if named else []),
    ]
