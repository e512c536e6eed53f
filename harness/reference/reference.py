"""The reference pages of the format, from models and declarations: `python -m harness.reference.reference --write`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.loader.keys.members import is_ours
from harness.loader.keys.models import SCHEMA
from harness.reference.glossary import PAGE as GLOSSARY
from harness.reference.glossary import glossary
from harness.reference.pages import Page, Row, member_pages, sections, topics
from harness.reference.templates import EXAMPLE

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = "python -m harness.reference.reference --write"
FORMAT = "format.md"


@dataclass(frozen=True)
class _Family:
    """A page for the members of a family.

    Attributes:
        family: its name in the catalogue.
        file: the page, below `docs/`.
        about: what the members are for, in a sentence or two.
    """

    family: str
    title: str
    file: str
    about: str


_FAMILIES = (
    _Family(
        "step",
        "Steps",
        "reference/steps.md",
        "What may stand behind `do`. Arguments lie beside it, with the "
        "[keys of every step](../format.md#a-step-of-workload).",
    ),
    _Family(
        "fault",
        "Faults",
        "reference/faults.md",
        "What may stand behind `inject`. Attributes lie beside it, with the "
        "[keys of every fault](../format.md#a-fault-of-faults).",
    ),
    _Family(
        "check",
        "Checks",
        "reference/checks.md",
        "What may stand behind `check` in a [claim](../format.md#a-claim-of-expect). Parameters lie beside it.",
    ),
    _Family(
        "invariant",
        "Standing invariants",
        "reference/invariants.md",
        "These judge every run. [`waive`](../format.md#an-entry-of-waive) is for a fault that makes one meaningless.",
    ),
    _Family("world", "Worlds", "reference/worlds.md", "What may stand behind `world.kind`, or `--world`."),
    _Family("report", "Reports", "reference/reports.md", "What may stand behind `--report`, as `KIND=PATH`."),
    _Family(
        "subject",
        "Subjects",
        "reference/subjects.md",
        "Chosen on the command line, never in the file: a claim holds for all of them.",
    ),
)


def pages() -> dict[str, str]:
    """Each page as Markdown, by its path below `docs/`; the same on every machine."""
    members = member_pages()
    texts = {FORMAT: reference(), GLOSSARY: _text(glossary())}
    for one in _FAMILIES:
        # Members of other packages are left out.
        ours = [page for page in members[one.family] if is_ours(one.family, page.name)]
        texts[one.file] = _text(_family(one, ours))
    return texts


def reference() -> str:
    """The page of the format: the keys of a file, and what they mean."""
    return _text(_format())


def write(docs: Path = DOCS) -> None:
    """Write all pages."""
    for name, text in pages().items():
        (docs / name).parent.mkdir(exist_ok=True)
        (docs / name).write_text(text, encoding="utf-8")


def _text(lines: Iterator[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _format() -> Iterator[str]:
    yield "# The scenario format, v1"
    yield ""
    yield f"One claim, one file, whose name is the claim and ends in `.rdzv.yaml`. `schema` is `{SCHEMA}`."
    yield "This page is generated from the models that read the files; `rdzv-harness explain WORD` prints its parts,"
    yield "and `rdzv-harness schema` the JSON Schema for editors."
    yield ""
    yield from _contents()
    yield from ("```yaml", EXAMPLE.strip(), "```", "")
    yield "## Keys"
    yield ""
    for page in sections():
        yield from _page(page, "###")
    for page in topics():
        yield from _page(page, "##")


def _contents() -> Iterator[str]:
    """The page's parts, and the pages of the families."""
    keys, words = ([_link(page) for page in some] for some in (sections(), topics()))
    families = [f"[{one.title}]({one.file})" for one in _FAMILIES]
    for title, links in (("Keys", keys), ("Meaning", words), ("Members, a page for each family", families)):
        yield f"- {title}: {', '.join(links)}"
    yield ""


def _link(page: Page) -> str:
    title = _title(page)
    anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
    return f"[{title}](#{anchor})"


def _title(page: Page) -> str:
    return f"{page.heading[:1].upper()}{page.heading[1:]}"


def _family(one: _Family, pages: Sequence[Page]) -> Iterator[str]:
    yield from (f"# {one.title}", "", one.about, "")
    yield f"This page is generated from the declarations; `rdzv-harness explain {pages[0].name}` prints a part of it."
    yield ""
    yield from (", ".join(f"[`{page.name}`](#{page.name.lower()})" for page in pages), "")
    for page in pages:
        yield from (f"## `{page.name}`", "", page.summary, "")
        yield from _body(page)


def _page(page: Page, level: str) -> Iterator[str]:
    yield from (f"{level} {_title(page)}", "")
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
        yield from ("<!-- not executed: plays whole folders -->", "```sh", page.example, "```", "")
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
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        sys.stdout.write(reference())
