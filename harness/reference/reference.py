"""The reference page of the format, from the models: `python -m harness.reference.reference > docs/format.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from harness.loader.keys.members import is_ours
from harness.loader.keys.models import SCHEMA
from harness.reference.pages import Page, Row, member_pages, sections, topics
from harness.reference.templates import EXAMPLE

_FAMILIES = {
    "step": ("Steps", "What may stand behind `do`. Arguments lie beside it, with the keys of every step."),
    "fault": (
        "Faults",
        "What may stand behind `inject`. Attributes lie beside it, with the keys of every fault.",
    ),
    "check": ("Checks", "What may stand behind `check` in a claim. Parameters lie beside it."),
    "world": ("Worlds", "What may stand behind `world.kind`."),
    "subject": ("Subjects", "Chosen on the command line, never in the file: a claim holds for all of them."),
}


def reference() -> str:
    """The page as Markdown, the same on every machine: members of other packages are left out."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield "# The scenario format, v1"
    yield ""
    yield f"One claim, one file, whose name is the claim and ends in `.rdzv.yaml`. `schema` is `{SCHEMA}`."
    yield "This page is generated from the models that read the files; `rdzv-harness explain WORD` prints its parts,"
    yield "and `rdzv-harness schema` the JSON Schema for editors."
    yield ""
    yield from ("```yaml", EXAMPLE.strip(), "```", "")
    yield "## Keys"
    yield ""
    for page in sections():
        yield from _page(page, "###")
    for page in topics():
        yield from _page(page, "##")
    pages = member_pages()
    for family in _FAMILIES:
        yield from _family(family, [page for page in pages[family] if is_ours(family, page.name)])


def _family(family: str, pages: Sequence[Page]) -> Iterator[str]:
    title, about = _FAMILIES[family]
    yield from (f"## {title}", "", about, "")
    for page in pages:
        yield from (f"### `{page.name}`", "", page.summary, "")
        yield from _body(page)


def _page(page: Page, level: str) -> Iterator[str]:
    yield from (f"{level} {page.heading[:1].upper()}{page.heading[1:]}", "")
    if page.summary:
        yield from (page.summary, "")
    yield from _body(page)


def _body(page: Page) -> Iterator[str]:
    if page.rows:
        yield from _table(page.rows)
        yield ""
    if page.rows and page.beside and " every " not in page.beside and page.beside != "`id`":
        yield from (f"Beside these: {page.beside}.", "")
    if page.example and page.example.startswith("rdzv-harness"):
        yield from ("```sh", page.example, "```", "")
    elif page.example:
        yield from ("```yaml", page.example if ": {" in page.example[:9] else f"- {page.example}", "```", "")
    if page.details:
        yield from (page.details, "")


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| key | type | default | meaning | example |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows:
        example = f"`{row.example}`" if row.example else ""
        cells = (f"`{row.key}`", row.kind, row.default, row.meaning, example)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
