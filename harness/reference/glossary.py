"""The words of the project and what they mean, from `glossary.yaml`: for `explain` and for the page of the docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.loader import load_keys

FILE = Path(__file__).with_name("glossary.yaml")
PAGE = "glossary.md"


@dataclass(frozen=True)
class Term:
    """One word.

    Attributes:
        others: further words that mean the same or belong to it.
        see: where more is said, by its path below `docs/`, with its title.
    """

    name: str
    means: str
    others: tuple[str, ...]
    see: Mapping[str, str]


@cache
def terms() -> tuple[Term, ...]:
    """All words, in alphabetical order."""
    listed = load_keys(FILE.read_text(encoding="utf-8"), FILE)
    found = (
        Term(name, entry["means"], tuple(entry.get("others", ())), entry.get("see", {}))
        for name, entry in listed.items()
    )
    return tuple(sorted(found, key=lambda term: term.name))


def glossary() -> Iterator[str]:
    """The lines of the page."""
    yield from ("# Glossary", "")
    yield f"This page is generated from `harness/reference/{FILE.name}`; `rdzv-harness explain WORD` prints one entry."
    yield from ("", "| word | meaning |", "| --- | --- |")
    for term in terms():
        also = f" ({', '.join(term.others)})" if term.others else ""
        more = "".join(f" [{title}]({page})." for page, title in term.see.items())
        yield f"| **{term.name}**{also} | {term.means}{more} |"
