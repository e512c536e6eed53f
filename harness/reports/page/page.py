"""The page: one HTML file with the index, the runs, the style and the scripts, which loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.reports.page.embed import import_map, script_json, without_comments

_HERE = Path(__file__).parent
_ASSETS = _HERE / "assets"
_TEMPLATE = "page.html.j2"
_FIRST_STYLE = "page.css"


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
            css=Markup(styles()),
            import_map=Markup(import_map(modules())),
            index_json=Markup(script_json(index)),
            blocks=sorted(blocks.items()),
        )
    )


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def modules() -> dict[str, str]:
    """The scripts, by the names under which they import each other."""
    return {path.stem: without_comments(path.read_text("utf-8")) for path in sorted(_ASSETS.glob("*.js"))}


@cache
def styles() -> str:
    """All style sheets; the first has the colours that the others name."""
    ordered = sorted(_ASSETS.glob("*.css"), key=lambda path: (path.name != _FIRST_STYLE, path.name))
    return "".join(without_comments(path.read_text("utf-8")) for path in ordered)
