"""The reports for CI services: annotations that GitHub's runner reads, and a summary in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import happenings
import pytest
from hostile_runs import FIELDS, MANY_LINES
from hostile_texts import LONG, TEXTS, shown
from markdown_it import MarkdownIt

from harness.judge.result import Result
from harness.reports.github import GitHubReport, commands
from harness.reports.parts.rows import row
from harness.reports.summary import MOST_CHARACTERS, SummaryReport
from harness.values.verdict import ERROR, KNOWN, SKIPPED, Judgement

PLAIN = "plain"
SHOWN_BY_GITHUB = 1_000_000


def github(results: Sequence[Result]) -> str:
    return GitHubReport(None).text(list(map(row, results)), interrupted=False)


def summary(results: Sequence[Result], interrupted: bool = False) -> str:
    return SummaryReport(None).text(list(map(row, results)), interrupted)


def red(**keys: object) -> Result:
    return happenings.result(happenings.red_judgement(), **keys)


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """What GitHub's runner makes of a line of a log (ActionCommand.TryParseV2 of actions/runner)."""
    assert line.startswith("::")
    said, _, data = line[2:].partition("::")
    name, _, properties = said.partition(" ")
    found = dict(one.split("=", 1) for one in properties.split(",") if one)

    def unescaped(text: str, *more: tuple[str, str]) -> str:
        for written, meant in (("%0D", "\r"), ("%0A", "\n"), *more, ("%25", "%")):
            text = text.replace(written, meant)
        return text

    both = ("%3A", ":"), ("%2C", ",")
    return name, {key: unescaped(value, *both) for key, value in found.items()}, unescaped(data)


def test_a_red_claim_is_an_error_at_its_line() -> None:
    """Its message says why, and how to play it again."""
    (line,) = commands([row(red(command="rdzv-harness run x --seed 7"))], "")
    name, properties, message = read_command(line)
    assert (name, properties["file"], properties["line"]) == ("error", str(happenings.PATH), "10")
    assert properties["title"] == "failed: a-muted-link-costs-one-timeout"
    assert message.split("\n") == [happenings.red_judgement().because, "again: rdzv-harness run x --seed 7"]


def test_what_no_claim_is_to_blame_for_stands_at_the_first_line() -> None:
    """An error of the harness has no line."""
    (line,) = commands([row(happenings.result(Judgement(ERROR, "no namespaces")))], "")
    assert read_command(line)[1]["line"] == "1"


def test_cells_that_are_red_in_one_line_are_one_annotation() -> None:
    """GitHub shows ten of a step, so a matrix must not use them up."""
    cells = [red(scenario=happenings.scenario(cell=(("cut", str(number)),))) for number in range(12)]
    (line,) = commands([row(cell) for cell in cells], "")
    assert read_command(line)[2].count("one-timeout[cut=") == 11


def test_a_path_is_counted_from_the_root_of_the_repository(tmp_path: Path) -> None:
    """Also if the run's folder is another; a path outside stays."""
    inside = red(scenario=happenings.scenario(path=tmp_path / "sub" / "a.rdzv.yaml"))
    (line,) = commands([row(inside)], str(tmp_path))
    assert read_command(line)[1]["file"] == "sub/a.rdzv.yaml"
    (line,) = commands([row(inside)], str(tmp_path / "other"))
    assert read_command(line)[1]["file"] == str(tmp_path / "sub" / "a.rdzv.yaml")


def test_what_was_skipped_is_one_warning() -> None:
    """With each reason once; what passed and what is known is not annotated."""
    skipped = [happenings.result(Judgement(SKIPPED, reason)) for reason in ("no torch", "no engine", "no torch")]
    (line,) = commands([row(one) for one in (*skipped, happenings.result(Judgement(KNOWN, "F01")))], "")
    name, properties, message = read_command(line)
    assert (name, properties["title"]) == ("warning", "3 of 4 cells were skipped")
    assert (properties["file"], message) == (str(happenings.PATH), "no torch\nno engine")
    assert github([happenings.result()]) == ""


@pytest.mark.parametrize("field", FIELDS)
def test_no_text_is_a_command_or_a_property(field: str, tmp_path: Path) -> None:
    """A line is one command with three properties, whatever the text; what it says is shown as on a terminal."""
    plain = github([FIELDS[field](PLAIN, tmp_path / "plain")]).splitlines()
    for number, text in enumerate(TEXTS.values()):
        lines = github([FIELDS[field](text, tmp_path / str(number))]).split("\n")[:-1]
        assert len(lines) == len(plain), ascii(text)
        for line, other in zip(lines, plain, strict=True):
            name, properties, message = read_command(line)
            assert (name, list(properties)) == (read_command(other)[0], ["file", "line", "title"])
            shown("\n".join([message, *properties.values()]))


def test_the_summary_counts_and_shows_what_is_red() -> None:
    """As the console shows it, with where it ran and why cells were skipped."""
    text = summary([red(), happenings.result(), happenings.result(Judgement(SKIPPED, "no *engine*"))])
    assert text.startswith("### rdzv-harness: 1 of 3 cells red\n\n| passed | known | failed |")
    assert "\n| 1 | 0 | 1 | 0 | 0 | 1 |\n" in text
    assert "\n- torch: 2.15.0\n" in text
    assert "\n- skipped: no \\*engine\\*\n" in text
    proof = "\n".join(row(red())["proof"])
    assert f"\n#### A muted link costs its rank one timeout at most\n\n```text\n{proof}\n```\n" in text


def test_the_summary_of_a_run_that_was_stopped_says_so() -> None:
    """Counts of a part are not taken for those of the whole."""
    assert "interrupted" in summary([happenings.result()], interrupted=True)
    assert "interrupted" not in summary([happenings.result()])


@pytest.mark.parametrize("field", FIELDS)
def test_markdown_of_a_summary_is_only_ours(field: str, tmp_path: Path) -> None:
    """No HTML, no link, no style of a text; the blocks are as many as for any other."""
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    plain = markdown.parse(summary([FIELDS[field](PLAIN, tmp_path / "plain")]))
    for number, text in enumerate(TEXTS.values()):
        written = summary([FIELDS[field](text, tmp_path / str(number))])
        lines = shown(written)
        tokens = markdown.parse(written)
        assert [token.type for token in tokens] == [token.type for token in plain], written
        parts = {part.type for token in tokens for part in token.children or ()}
        assert parts <= {"text", "text_special"}, written
        assert field in MANY_LINES or len(lines) > 5


def test_a_fence_in_a_text_ends_no_block() -> None:
    """The block's own fence is longer than any run of backticks in it."""
    hostile = replace(happenings.red_judgement(), because="```\n# heading ````` <b>")
    tokens = MarkdownIt("commonmark").enable("table").parse(summary([happenings.result(hostile)]))
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h3", "h4"]
    assert tokens[-1].type == "fence"


def test_a_summary_fits_where_github_takes_it() -> None:
    """What does not fit is counted."""
    found = [row(FIELDS["title"](LONG, Path())), *[row(red())] * 3000]
    written = SummaryReport(None).text(found, interrupted=False)
    assert len(written.encode()) < SHOWN_BY_GITHUB
    left_out = re.search(r"^(\d+) more are red", written, re.MULTILINE)
    assert left_out is not None
    assert written.count("#### ") + int(left_out[1]) == len(found)
    assert len(written) > MOST_CHARACTERS // 2
