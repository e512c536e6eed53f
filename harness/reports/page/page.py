"""The page: one HTML file with the index, the runs, the style and the scripts, which loads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.reports.page.embed import packed, script_json

_HERE = Path(__file__).parent
_ASSETS = _HERE / "assets"
_TEMPLATE = "page.html.j2"
_PLAIN_STYLES = _ASSETS / "page.css"
_COMMENT = re.compile(r"^ *(/\*\*.*?\*/|//[^\n]*)\n", re.DOTALL | re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)


def render(index: Mapping[str, Any], blocks: Mapping[int, str]) -> str:
    """The text of the file.

    Args:
        index: see `harness.reports.page.index`.
        blocks: the packed block of each row that has a picture, by the row's number.
    """
    # The marked texts are escaped for the elements in which they stand: see `embed`. All others are escaped by jinja2.
    return (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            index=index,
            css=Markup(plain_styles()),
            app=app(),
            index_json=Markup(script_json(index)),
            blocks=sorted(blocks.items()),
        )
    )


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def app() -> str:
    """The scripts, by the names under which they import each other, and the styles that only they need; packed."""
    styles = "\n".join(path.read_text("utf-8") for path in sorted(_ASSETS.glob("*.css")) if path != _PLAIN_STYLES)
    return packed({"modules": {name: bare(text) for name, text in modules().items()}, "styles": styles})


def bare(text: str) -> str:
    """A script without the comments above its parts and without indentation: a fifth of what every page would hold."""
    return _INDENT.sub("", _COMMENT.sub("", text))


@cache
def modules() -> dict[str, str]:
    """The text of each script, by its name."""
    return {path.stem: path.read_text("utf-8") for path in sorted(_ASSETS.glob("*.js"))}


@cache
def plain_styles() -> str:
    """The styles of the page without scripts, with the colours that the others name."""
    return _PLAIN_STYLES.read_text("utf-8")
