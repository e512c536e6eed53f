"""Words, brackets, failures on each torch, and ranges of `known` entries: all derived from plays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from record_parts import TEXT, TORCHES, error, five, record, results, scenario

from harness.record.bounds import CONFIRMED, CONTRADICTED, OPEN, bounds
from harness.record.catalogue import row_of_cell, row_of_failure
from harness.record.document import Play, Results
from harness.record.identity import cell_name, digest
from harness.record.record import Record
from harness.record.words import (
    BROKEN,
    DIFFERENTLY,
    FLAKY,
    KEPT,
    NOT_APPLICABLE,
    UNTESTED,
    Word,
    changes,
    in_order,
    together,
    word_of,
)

GOOD, BAD, NONE = Word(KEPT, 0, 5), Word(BROKEN, 5, 5), Word(UNTESTED)


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ([(), ()], "kept"),
        ([("in-time",), ("in-time",)], "broken"),
        ([("named",), ("named",)], "broken differently"),
        ([("in-time",), ()], "flaky 1 of 2"),
        ([], "untested"),
    ],
)
def test_a_word_says_how_plays_stand_to_what_is_known(broken: list[tuple[str, ...]], word: str) -> None:
    """By the claims that are broken, and how often."""
    plays = [Play(status="failed" if one else "passed", broken=one) for one in broken]
    assert str(word_of(plays, [["in-time"]])) == word


def test_plays_that_say_nothing_do_not_count() -> None:
    """Neither as kept nor as broken."""
    empty = [Play(status="error", because="late"), Play(status="vacuous")]
    assert word_of(empty, []).word == UNTESTED
    assert word_of([*empty, Play(status="passed")], []) == Word(KEPT, 0, 1)


def test_a_scenario_that_needs_another_torch_is_not_applicable() -> None:
    """That follows from its `needs`; it is not played."""
    cell = scenario(TEXT.replace("refs: [F02]", 'refs: [F02]\nneeds: {torch: ">=2.8"}', 1))
    words = row_of_cell(record({"2.7.1": 0, "2.8.0": 0}, cell), "static", cell).words
    assert [word.word for word in words.values()] == [NOT_APPLICABLE, KEPT]


def test_several_cells_are_broken_if_one_is() -> None:
    """Then flaky, then kept; untested only if nothing was played."""
    assert together([GOOD, BAD, NONE]).word == BROKEN
    assert together([GOOD, Word(FLAKY, 1, 5)]) == Word(FLAKY, 1, 10)
    assert together([GOOD, Word(DIFFERENTLY, 5, 5)]).word == DIFFERENTLY
    assert together([GOOD, NONE]).word == KEPT
    assert together([NONE, Word(NOT_APPLICABLE)]).word == UNTESTED
    assert together([Word(NOT_APPLICABLE)]).word == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        ([GOOD, GOOD], []),
        ([BAD, BAD], ["introduced in <=1"]),
        ([BAD, GOOD], ["introduced in <=1", "fixed in (1, 2]"]),
        ([GOOD, BAD], ["introduced in (1, 2]"]),
        ([GOOD, NONE, NONE, BAD], ["introduced in (1, 4], untested: 2, 3"]),
        ([NONE, BAD], ["introduced in <=2"]),
        ([GOOD, BAD, GOOD, BAD], ["introduced in (1, 2]", "fixed in (2, 3]", "introduced in (3, 4]"]),
        ([NONE, NONE], []),
        ([GOOD, Word(FLAKY, 2, 5), BAD], ["introduced in (1, 2]"]),
    ],
)
def test_brackets_are_between_neighbours_that_were_played(words: list[Word], sentences: list[str]) -> None:
    """A failure may come and go; untested releases in between are named, and an open edge is `<=`."""
    assert [str(change) for change in changes([(str(at), word) for at, word in enumerate(words, 1)])] == sentences


def test_releases_are_in_their_order() -> None:
    """2.10 is behind 2.9, whatever their builds are."""
    assert in_order(["2.10.0", "2.9.1+cpu", "2.9.0+cu128"]) == ["2.9.0+cu128", "2.9.1+cpu", "2.10.0"]


def test_a_failure_has_a_word_for_each_torch() -> None:
    """Of the cells whose known entries name it."""
    row = row_of_failure(record(dict(zip(TORCHES, [5, 5, 2, 0, 0], strict=True))), "static", "F12")
    assert [str(word) for word in row.words.values()] == ["broken", "broken", "flaky 2 of 5", "kept", "kept"]
    found = row.changes({torch: torch.split("+")[0] for torch in TORCHES})
    assert [str(change) for change in found] == ["introduced in <=2.6.0", "fixed in (2.8.0, 2.9.0]"]


def test_results_of_another_text_are_ignored_and_named() -> None:
    """A scenario that has changed is untested until it is played again."""
    changed = scenario(TEXT.replace("timeout: 2s", "timeout: 9s"))
    old = Record([five("2.6.0", 5)], [changed])
    assert old.word("static", "2.6.0", changed).word == UNTESTED
    (sentence,) = old.out_of_date()
    assert sentence.endswith("their scenarios have changed since: timeouts/a-join-ends-in-time")
    assert Record([five("2.6.0", 5)], [scenario()]).out_of_date() == []


def test_two_builds_of_a_release_have_their_whole_names() -> None:
    """Otherwise the release is enough."""
    found = record({"2.6.0+cpu": 0, "2.6.0+cu124": 0, "2.7.0+cu126": 0})
    assert list(found.labels.values()) == ["2.6.0+cpu", "2.6.0+cu124", "2.7.0"]


@pytest.mark.parametrize(
    ("broken", "word", "because"),
    [
        ([5, 5, 5, 0, 0], CONFIRMED, "the end lies in (2.8.0, 2.9.0]"),
        ([5, 5, 0, 0, 0], CONTRADICTED, "torch 2.8.0 does not break in-time"),
        ([5, 5, 5, 5, 0], CONTRADICTED, "torch 2.9.0 breaks in-time"),
    ],
)
def test_a_range_is_confirmed_or_contradicted(broken: list[int], word: str, because: str) -> None:
    """By what was played on both sides of its end."""
    (bound,) = bounds(record(dict(zip(TORCHES, broken, strict=True))))
    assert (bound.word, bound.because) == (word, because)


@pytest.mark.parametrize(
    ("torches", "because"),
    [({"2.6.0": 5}, "only inside"), ({"2.9.0": 0}, "only outside"), ({}, "neither side")],
)
def test_a_range_with_one_side_is_open(torches: dict[str, int], because: str) -> None:
    """It says which side was played."""
    (bound,) = bounds(record(torches))
    assert bound.word == OPEN
    assert because in bound.because


def test_the_record_has_the_gap_of_a_bracket() -> None:
    """`<2.9` on 2.6 and 2.10 alone lies in (2.6.0, 2.10.0]."""
    (bound,) = bounds(record({"2.6.0": 5, "2.10.0": 0}))
    assert bound.because == "the end lies in (2.6.0, 2.10.0]"


def test_an_entry_without_a_range_has_no_bound() -> None:
    """It is about all versions."""
    cell = scenario()
    always = replace(cell, known=tuple(replace(entry, torch="") for entry in cell.known))
    assert list(bounds(record({"2.6.0": 5}, always))) == []


def test_a_range_whose_claims_break_otherwise_is_contradicted() -> None:
    """Plays that break other claims are not those of the entry."""
    found = Record([results("2.6.0", {1: (["named"], error(), 2.0)})], [scenario()])
    assert [bound.word for bound in bounds(found)] == [CONTRADICTED]


def test_the_cells_of_a_record_are_found_by_name_and_digest() -> None:
    """Only plays of today's text are a cell's plays."""
    cell = scenario()
    play = Play(status="passed")
    both = {cell_name(cell): {digest(cell): {"a": play}, "another": {"b": play}}}
    found = Record([Results(torch="2.6.0", subject="static", cells=both)], [cell])
    assert list(found.plays("static", "2.6.0", cell)) == ["a"]
