"""What `explain` prints about a failure of the catalogue and about a word of the glossary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.reference.addresses import DOCS
from harness.reference.failures import HARMS, STOCK, STRICT, Failure, Shown, failures, is_number, shown
from harness.reference.glossary import Term
from harness.reference.pages import Page
from harness.scenario.scenario import Known


def term_page(term: Term) -> Page:
    """A word of the glossary; where more is said is an address, since installed packages have no docs."""
    more = "".join(f"\n\nmore: {title}, {_address(page)}" for page, title in term.see.items())
    return Page(term.name, term.name, term.means, details=more.strip(), others=term.others)


def failure_page(number: str) -> Page:
    """A failure: what users see, what helps, how both rendezvous handle it, and the scenarios that show it."""
    failure = failures()[number]
    details = "\n\n".join(_paragraphs(number, failure, shown([number])[number]))
    return Page(number, f"{number}: {failure.failure}", f"{failure.see}.", details=details)


def _paragraphs(number: str, failure: Failure, found: Shown) -> Iterator[str]:
    yield f"what it does to a job: {failure.harm}, it {HARMS[failure.harm]}"
    yield f"what helps: {failure.helps}."
    why = "; ".join(found.because)
    words = [f"{STOCK}: {found.of(STOCK)}", f"{STRICT}: {found.of(STRICT)}"]
    yield "; ".join(words) + (f" ({why})" if why else "")
    if found.upstream:
        yield f"upstream: {', '.join(sorted(found.upstream))}"
    if found.titles:
        yield "scenarios that show it; `rdzv-harness run NAME` plays one:"
        yield "\n".join(
            f"- {name}\n    {_outcome(number, found.known[name])}: {title}" for name, title in found.titles.items()
        )


def _outcome(number: str, known: Sequence[Known]) -> str:
    """Which of the two break a scenario, with which versions of torch, and because of what if not of this failure."""
    broken = dict.fromkeys(_broken(number, entry) for entry in known if entry.subject in (STOCK, STRICT))
    return f"broken by {' and '.join(broken)}" if broken else "kept by both"


def _broken(number: str, entry: Known) -> str:
    versions = f" with torch {entry.torch}" if entry.torch else ""
    others = [ref for ref in entry.refs if is_number(ref)]
    return f"{entry.subject}{versions}" + (f" because of {', '.join(others)}" if number not in others else "")


def _address(page: str) -> str:
    """`format.md#verdict` on the site."""
    path, hash_sign, anchor = page.partition("#")
    return f"{DOCS}/{path.removesuffix('.md')}/{hash_sign}{anchor}"
