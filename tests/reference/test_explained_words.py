"""`explain` knows the failures of the catalogue and the words of the glossary, and helps who mistypes one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.loader import builtin
from harness.reference import explain
from harness.reference.failures import HARMS, failures, number_of, shown
from harness.reference.glossary import terms
from harness.reference.pages import every_page
from harness.reference.words import term_page
from harness.values.errors import UsageError
from harness.values.verdict import STATUSES

DOCS = Path(__file__).parents[2] / "docs"


def test_a_failure_is_explained_with_the_scenarios_that_show_it() -> None:
    """What users see, what helps, how each rendezvous handles it, and names that `run` takes."""
    text = explain("F02")
    assert text.startswith("F02: A silent peer is waited for without a deadline\n  The timeout was 30 s")
    for part in ("what helps: ", "static: breaks it; static-strict: removed", "pytorch/pytorch#33434"):
        assert part in text
    named = re.findall(r"builtin:\S+", text)
    assert len(named) == len(shown(["F02"])["F02"].titles) > 20
    assert set(map(Path, named)) <= set(builtin.shipped())


def test_a_failure_that_static_strict_cannot_remove_says_why() -> None:
    """The reason is that of the scenario's own `known` entry."""
    assert "static-strict: remains (torch's client has one lock)" in explain("F17")
    assert "broken by static and static-strict: A blocked get does not block the set" in explain("F17")


def test_a_scenario_that_is_broken_because_of_another_failure_says_so() -> None:
    """A scenario may be about several failures, and is not kept because this one is not the reason."""
    assert "kept by both: Workers find a master that starts late within 2 s of its start" in explain("F13")
    assert "broken by static with torch <2.9 because of F39: An echo or an HTTP server on the master's port" in explain(
        "F13"
    )


@pytest.mark.parametrize("word", ["f54", " F54 "])
def test_a_number_is_read_as_people_write_it(word: str) -> None:
    """In small letters, and without the zero."""
    assert explain(word).startswith("F54: A world size of 0 crashes")
    assert number_of("f2") == "F02"


def test_a_failure_that_both_hold_lists_what_was_played() -> None:
    """What was repaired in torch since is played all the same."""
    text = explain("F53")
    assert "static: holds; static-strict: holds\n" in text
    assert "builtin:port_conflicts/an-endpoint-without-a-valid-port-is-refused" in text
    assert "kept by both: An endpoint whose port is out of range" in text


@pytest.mark.parametrize("number", list(failures()))
def test_every_failure_says_what_users_see_and_what_helps(number: str) -> None:
    """Sentences without their end, which the pages add."""
    failure = failures()[number]
    assert failure.harm in HARMS
    for sentence in (failure.failure, failure.see, failure.helps):
        assert len(sentence) > 10
        assert not sentence.endswith(".")
        assert sentence == sentence.strip()


def test_the_page_of_failures_defines_each_harm_in_its_order() -> None:
    """With the words that `explain` and `doctor --torch` print."""
    page = (DOCS / "failures.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \*(\w+)\*: it (.*)$", page, re.MULTILINE) == list(HARMS.items())


def test_every_verdict_and_every_outcome_is_a_word_of_the_glossary() -> None:
    """A reader meets them on the screen first."""
    words = {word for term in terms() for word in (term.name, *term.others)}
    assert {*STATUSES, "ok", "hung", "died", "failed", "skipped"} <= words


def test_each_word_of_the_glossary_is_explained_once() -> None:
    """By its name, and by each word that belongs to it, which no other word has."""
    pages = [term_page(term) for term in terms()]
    for page, term in zip(pages, terms(), strict=True):
        assert page.summary == term.means
        for word in (term.name, *term.others):
            assert [one.name for one in pages if one.is_about(word)] == [term.name]


@pytest.mark.parametrize("word", ["run directory", "run-directory", "Run_Directory", "invariant", "STANDING-INVARIANT"])
def test_a_word_is_found_as_people_write_it(word: str) -> None:
    """With hyphens for spaces, in capitals, or by a word that belongs to it."""
    assert explain(word).startswith(("run directory\n", "standing invariant\n"))


def test_the_glossary_leads_to_pages_that_are_there() -> None:
    """Each with an anchor that the page has."""
    for term in terms():
        for page in term.see:
            path, _, anchor = page.partition("#")
            text = (DOCS / path).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in anchors, (term.name, page)


def test_an_invariant_is_explained_with_the_verdict() -> None:
    """`no_hang` is what a red report names."""
    assert explain("no_hang").startswith("invariant no_hang\n  Every call ends within its guard.")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("vacous", "vacuous"),
        ("skiped", "skipped"),
        ("no_hangs", "no_hang"),
        ("latancy", "latency"),
        ("nemisis", "nemesis"),
    ],
)
def test_a_mistyped_word_is_suggested(word: str, near: str) -> None:
    """Among kinds, parts of the format and words alike."""
    with pytest.raises(UsageError, match=f"did you mean '{near}'"):
        explain(word)


@pytest.mark.parametrize("word", ["F00", "F99", "zzzz", "", "F999"])
def test_an_unknown_word_says_what_there_is(word: str) -> None:
    """Not a list of a hundred kinds."""
    with pytest.raises(UsageError, match=r"the failures are F01 to F62|did you mean 'F[0-9][0-9]'") as raised:
        explain(word)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("name", ["rendezvous", "world", "known"])
def test_no_word_of_the_glossary_hides_a_kind(name: str) -> None:
    """Where a kind or a part of the format has the same name, both are printed."""
    [beside, *_] = [page for page in every_page() if page.is_about(name)]
    first, *others = explain(name).split("\n\n\n")
    assert beside.heading not in first.splitlines()
    assert beside.heading in "\n".join(others).splitlines()
