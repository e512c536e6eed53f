"""What `explain` prints about a failure of the catalogue and about a word of the glossary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.reference.addresses import DOCS
from harness.reference.failures import STOCK, STRICT, Failure, Shown, failures, shown
from harness.reference.glossary import Term
from harness.reference.pages import Page


def term_page(term: Term) -> Page:
    """A word of the glossary; where more is said is an address, since installed packages have no docs."""
    more = "".join(f"\n\nmore: {title}, {_address(page)}" for page, title in term.see.items())
    return Page(term.name, term.name, term.means, details=more.strip(), others=term.others)


def failure_page(number: str) -> Page:
    """A failure: what users see, what helps, how both rendezvous handle it, and the scenarios that show it."""
    failure = failures()[number]
    details = "\n\n".join(_paragraphs(failure, shown([number])[number]))
    return Page(number, f"{number}: {failure.failure}", f"{failure.see}.", details=details)


def _paragraphs(failure: Failure, found: Shown) -> Iterator[str]:
    yield f"what helps: {failure.helps}."
    why = failure.note or "; ".join(found.because)
    words = [f"{STOCK}: {failure.stock or found.of(STOCK)}", f"{STRICT}: {failure.strict or found.of(STRICT)}"]
    yield "; ".join(words) + (f" ({why})" if why else "")
    if found.upstream:
        yield f"upstream: {', '.join(sorted(found.upstream))}"
    if found.titles:
        yield "scenarios that show it; `rdzv-harness run NAME` plays one:"
        yield "\n".join(f"- {name}\n    {_outcome(name, found)}: {title}" for name, title in found.titles.items())


def _outcome(name: Path, found: Shown) -> str:
    broken = [subject for subject in (STOCK, STRICT) if name in found.broken[subject]]
    torch = found.versions.get(name)
    return f"broken by {' and '.join(broken)}{f' with torch {torch}' if torch else ''}" if broken else "kept by both"


def _address(page: str) -> str:
    """`format.md#verdict` on the site."""
    path, hash_sign, anchor = page.partition("#")
    return f"{DOCS}/{path.removesuffix('.md')}/{hash_sign}{anchor}"
