"""`explain`: what a kind or a part of the format means, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from harness.loader.tree.problems import suggestion
from harness.reference.pages import Page, Row, every_page
from harness.values.errors import UsageError

_WIDTH = 100


def explain(kind: str) -> str:
    """Everything about a fault, step, check, world or subject, or a part of the format (`world`, `moment`, `verdict`).

    Raises UsageError, with the nearest word, for any other word.
    """
    word = kind.strip().removeprefix("world.")
    pages = every_page()
    found = [page for page in pages if page.is_about(word) or page.is_about(word.replace("-", "_"))]
    if not found:
        known = list(dict.fromkeys(name for page in pages for name in (page.name, *page.others)))
        hint = suggestion(kind, known, "there is")
        raise UsageError(f"there is nothing to explain about {kind!r}; {hint}")
    return "\n\n\n".join("\n".join(_lines(page)) for page in found) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield page.heading
    if page.summary:
        yield from _filled(page.summary, "  ")
    if page.rows:
        yield ""
        yield from _table(page.rows)
    if page.beside:
        yield ""
        yield from _filled(f"beside these: {page.beside}" if page.rows else f"beside it: {page.beside}", "  ")
    if page.example:
        yield ""
        yield f"  example: {page.example}"
    if page.details:
        yield ""
        yield from _paragraphs(page.details)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    key_width = max(len(row.key) for row in rows)
    for row in rows:
        said = f"{row.kind}; {row.default if row.default == 'required' else f'default: {row.default}'}"
        yield f"  {row.key:{key_width}}  {said}"
        example = f"; example: {row.example}" if row.example else ""
        yield from _filled(row.meaning + example, " " * (key_width + 4))


def _filled(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paragraphs(text: str) -> Iterator[str]:
    """Prose: lists and indented blocks as they stand, paragraphs filled."""
    for number, block in enumerate(text.strip("\n").split("\n\n")):
        if number:
            yield ""
        lines = block.split("\n")
        if any(line.startswith((" ", "- ", "1. ")) for line in lines):
            yield from (f"  {line}".rstrip() for line in lines)
        else:
            yield from _filled(block, "  ")
