"""The HTML report: its index, its file, and what it says without scripts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import happenings
import pytest

from harness.judge.result import Result
from harness.reports.html import BLOCK, HtmlReport
from harness.reports.page.embed import unpacked
from harness.reports.page.index import Written, groups, index, sentence
from harness.reports.page.nights import Night, Nights
from harness.reports.parts.rows import row
from harness.values.history import History
from harness.values.verdict import ERROR, KNOWN, SKIPPED, VACUOUS, Judgement

WRITTEN = Written("2026-12-02T09:00:00Z")


def results() -> list[Result]:
    """One of each status; the skipped one has no history."""
    judgements = [
        Judgement("passed", "every claim is met"),
        happenings.red_judgement(),
        Judgement(VACUOUS, "mute touched nothing"),
        Judgement(ERROR, "the controller was lost"),
        Judgement(KNOWN, "as known", known_refs=("F07",)),
    ]
    skipped = happenings.result(Judgement(SKIPPED, "world: not yet"), History(), run_dir=None)
    return [*map(happenings.result, judgements), skipped]


def rows() -> list[dict[str, Any]]:
    return [row(result) for result in results()]


class _Scripts(HTMLParser):
    """The script elements of a page, by id or type, and everything that would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.loads: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "script":
            self._open = found.get("id") or found.get("type") or "script"
            self.scripts[self._open] = ""
        self.loads += [f"{tag} {name}" for name in ("src", "srcset", "data", "action") if name in found]
        elsewhere = not (found.get("href") or "").startswith("data:")
        self.loads += [f"{tag} {found['href']}"] if tag in ("link", "base") and elsewhere else []

    def handle_endtag(self, tag: str) -> None:
        self._open = "" if tag == "script" else self._open

    def handle_data(self, data: str) -> None:
        if self._open:
            self.scripts[self._open] += data


def page(given: list[Result], path: Path, interrupted: bool = False) -> str:
    report = HtmlReport.to(path)
    for result in given:
        report.finished(result)
    report.closed(given, interrupted)
    return path.read_text("utf-8")


def parsed(text: str) -> _Scripts:
    parser = _Scripts()
    parser.feed(text)
    return parser


def test_one_file_has_the_index_and_each_run_and_loads_nothing(tmp_path: Path) -> None:
    """A run that was not played has no block, and the index says why."""
    scripts = parsed(page(results(), tmp_path / "page.html"))
    found = json.loads(scripts.scripts["index"])
    assert [one["block"] for one in found["rows"]] == [True] * 5 + [False]
    assert found["rows"][5]["missing"] == "nothing was played"
    assert sorted(name for name in scripts.scripts if name.startswith("run-")) == [
        f"run-{number}" for number in range(5)
    ]
    assert unpacked(scripts.scripts["run-1"])["verdicts"][0]["name"] == "in-time"
    assert scripts.loads == []


def test_every_module_that_is_imported_is_there(tmp_path: Path) -> None:
    """Also those that are imported later."""
    text = page(results(), tmp_path / "page.html")
    found = unpacked(parsed(text).scripts["app"])["modules"]
    known = {f"rdzv/{name}" for name in found}
    for name, source in found.items():
        wanted = set(re.findall(r"""from "(rdzv/[\w-]+)"|import\("(rdzv/[\w-]+)"\)""", source))
        assert {one or other for one, other in wanted} <= known, name


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    """What was played is there."""
    found = json.loads(parsed(page(results()[:2], tmp_path / "page.html", interrupted=True)).scripts["index"])
    assert found["interrupted"]
    assert "interrupted" in found["sentence"]
    assert len(found["rows"]) == 2


def test_without_scripts_it_tells_verdict_counts_and_reds(tmp_path: Path) -> None:
    """As text in the file itself: some CI services forbid scripts."""
    given = [replace(result, command="rdzv-harness run it") for result in results()]
    text = page(given, tmp_path / "page.html")
    plain = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.S)
    assert "3 of 6 cells are red: 1 failed, 1 vacuous, 1 error." in plain
    for words in ("no_hang is broken", "mute touched nothing", "the controller was lost", "rdzv-harness run it"):
        assert words in plain


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((), "Nothing was played."),
        (("passed",), "Nothing is red: 1 cell passed."),
        (("passed", "known failure", "skipped"), "Nothing is red: 1 cell passed, 1 failed as known, 1 skipped."),
        (("failed",), "1 of 1 cell is red: 1 failed."),
        (("failed", "failed", "error", "passed"), "3 of 4 cells are red: 2 failed, 1 error."),
    ],
)
def test_the_verdict_is_a_sentence(statuses: tuple[str, ...], said: str) -> None:
    """What a person reads first."""
    assert sentence([{"status": one, "attempt": 1} for one in statuses], interrupted=False) == said


def test_reds_are_grouped_by_their_reason_in_which_numbers_do_not_count() -> None:
    """The most severe first, then the largest group."""
    reds = [("vacuous", "a"), ("failed", "hung after 3.00 s"), ("failed", "late"), ("failed", "hung after 3.06 s")]
    given = [{"status": status, "because": because} for status, because in [("passed", ""), *reds]]
    assert [one["rows"] for one in groups(given)] == [[2, 4], [3], [1]]


def test_each_file_is_a_claim_and_each_subject_with_its_torch_a_column() -> None:
    """A skipped row, whose torch nobody knows, stands in the column of its subject."""
    known = [{**one, "torch": torch} for torch in ("2.6.0", "2.15.0") for one in rows()[:2]]
    found = index([*known, {**rows()[5], "torch": ""}], (), WRITTEN, Nights())["claims"]
    assert found["columns"] == [{"subject": "static", "torch": one} for one in ("2.6.0", "2.15.0")]
    assert [one["cells"] for one in found["lines"]] == [[[0, 1, 4], [2, 3]]]


def test_the_past_is_counted_with_its_interval() -> None:
    """Nights in which a cell was not judged do not count."""
    given = rows()[:2]
    nights = [Night.of([{**given[1], "status": one}], f"2026-12-0{day}T02:00:00Z") for day, one in
              enumerate(("passed", "skipped", "failed", "passed"), 1)]  # fmt: skip
    found = index(given, (), Written(WRITTEN.at, history="nights.jsonl"), Nights.of(nights))
    assert found["rows"][1]["past"] == {"k": 2, "n": 3, "low": 0.2077, "high": 0.9385, "nights": "psfp"}
    assert found["rows"][1]["marker"] == "new"
    assert [one["failed"] for one in found["history"]["nights"]] == [0, 0, 1, 0]


def test_without_a_history_nothing_is_said_of_the_past() -> None:
    """No marker, no interval, no strip of nights."""
    found = index(rows(), (), WRITTEN, Nights())
    assert found["history"] is None
    assert {one["past"] is None for one in found["rows"]} == {True}
    assert {one["marker"] for one in found["rows"]} == {""}


def test_a_block_is_made_when_the_run_ends() -> None:
    """Later its operations may be gone."""
    assert HtmlReport.extras(results()[0])[BLOCK]
    assert HtmlReport.extras(results()[5]) == {}
