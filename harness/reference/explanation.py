"""`explain`: what a kind or a part of the format means, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from harness.loader.keys.members import not_loaded
from harness.reference.failures import failures, is_number, number_of
from harness.reference.glossary import terms
from harness.reference.pages import Page, Row, every_page
from harness.reference.words import failure_page, term_page
from harness.values.errors import UsageError
from harness.values.suggest import nearest

_WIDTH = 100


def explain(kind: str) -> str:
    """Everything about a word.

    It may be a fault, step, check, world or subject, a part of the format (`world`, `moment`, `verdict`), a failure of
    the catalogue (`F02`), or a word of the glossary. Raises UsageError for an unknown word, with the nearest known one,
    or with what is wrong with the package of a member that could not be loaded.
    """
    word = kind.strip().removeprefix("world.")
    if is_number(word):
        return _printed([failure_page(number_of(word))])
    pages = [*map(term_page, terms()), *every_page()]
    found = [page for page in pages if any(map(page.is_about, _spellings(word)))]
    if not found:
        for problem in not_loaded():
            if problem.kind == word:
                raise UsageError(str(problem))
        raise UsageError(f"there is nothing to explain about {kind!r}; {_hint(word, pages)}")
    return _printed(found)


def _spellings(word: str) -> tuple[str, ...]:
    """As it is, and as kinds and as words of the glossary are written."""
    lowered = word.lower()
    return word, lowered.replace("-", "_"), lowered.replace("-", " ").replace("_", " ")


def _hint(word: str, pages: Sequence[Page]) -> str:
    near = nearest(word, dict.fromkeys(name for page in pages for name in (page.name, *page.others)))
    if near:
        return f"did you mean {near!r}?"
    first, *_, last = failures()
    lists = "`rdzv-harness list` names every kind, `rdzv-harness list words` every word"
    return f"{lists}, and the failures are {first} to {last}"


def _printed(pages: Sequence[Page]) -> str:
    return "\n\n\n".join("\n".join(_lines(page)) for page in pages) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield page.heading
    if page.summary:
        yield from _filled(page.summary, "  ")
    if page.origin:
        yield f"  comes with: {page.origin}"
    if page.needs:
        yield f"  needs: {page.needs} (else the cell is skipped)"
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
