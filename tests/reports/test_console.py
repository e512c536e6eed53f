"""The console report, as the exact text that a person or a log gets."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import happenings
from rich.console import Console

from harness.judge.result import Result
from harness.reports.console import (
    ALIKE_ROWS_SHOWN,
    LINE_START,
    PASSED_ROWS_SHOWN,
    RED_RUNS_SHOWN,
    ConsoleReport,
    describe,
    share,
    terminal,
)
from harness.reports.parts import red
from harness.values.history import History
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, Judgement

CELL = (("world.timeout", "3s"),)


def printed(results: Sequence[Result], interrupted: bool = False, quiet: bool = False, width: int = 110) -> str:
    """What the report prints where there is no terminal; 4.2 s pass."""
    out = io.StringIO()
    times = iter([0, 4_200_000_000])
    report = ConsoleReport(Console(file=out, width=width), quiet=quiet, now_ns=lambda: next(times))
    for result in results:
        report.started(result.scenario, result.attempt)
        report.finished(result)
    report.closed(results, interrupted)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def known(**keys: object) -> Result:
    judgement = Judgement(KNOWN, "as known", known_refs=("F07", "pytorch/pytorch#73320"))
    return happenings.result(judgement, scenario=happenings.scenario(cell=CELL), seconds=3.1, **keys)


def skipped() -> Result:
    judgement = Judgement(SKIPPED, "world: containers; not yet")
    path = Path("scenarios/latency/a-host.rdzv.yaml")
    return happenings.result(judgement, History(), scenario=happenings.scenario(path), run_dir=None, seconds=0.0)


GREEN = """\
passed     9.20 s  timeouts/a-muted-link-costs-one-timeout
known      3.10 s  timeouts/a-muted-link-costs-one-timeout[timeout=3s]   F07, pytorch/pytorch#73320
                   rank 1 waits in get("ready"): the fault mute (blackhole) was in place on the link of \
rank 1 from +0.01 s on (likely)
skipped    0.00 s  latency/a-host   world: containers; not yet

subject   static
torch     2.15.0
proxy     toxiproxy-server 2.12.0 (found on PATH)
isolation private namespaces

status   seconds  scenario                                             why
passed      9.20  timeouts/a-muted-link-costs-one-timeout
known       3.10  timeouts/a-muted-link-costs-one-timeout[timeout=3s]  F07, pytorch/pytorch#73320
skipped     0.00  latency/a-host                                       world: containers; not yet

3 cells: 1 passed, 1 known, 0 failed, 0 vacuous, 0 error, 1 skipped in 4.2 s
"""


def test_a_green_run_is_a_line_each_then_a_table() -> None:
    """Where it ran is said once; every status is counted; under a known failure stands who waited for whom."""
    assert printed([happenings.result(), known(), skipped()]) == GREEN


def test_a_red_run_ends_with_proof_and_the_count() -> None:
    """The block of the red one follows the table, with its title; the summary is said once, as the last line."""
    bad = happenings.result(happenings.red_judgement(), command="rdzv-harness run x")
    lines = printed([bad, known()]).splitlines()
    assert lines[0] == "failed     9.20 s  timeouts/a-muted-link-costs-one-timeout   no_hang is broken"
    summary = "2 cells: 0 passed, 1 known, 1 failed, 0 vacuous, 0 error, 0 skipped in 4.2 s"
    block = red.text(bad).splitlines()
    begin = lines.index(block[0])
    assert [line.split()[0] for line in lines[begin - 4 : begin - 2]] == ["known", "failed"]
    assert lines[begin:] == [*block, "", "calls that no claim names: 2", summary]
    for said in (summary, f"  title      {bad.scenario.title}", "calls that no claim names: 2"):
        assert lines.count(said) == 1


def test_a_quiet_run_tells_what_is_red_only() -> None:
    """No line while it runs, no row of what went well."""
    text = printed([happenings.result(), known()], quiet=True)
    assert text.splitlines()[-1] == "2 cells: 1 passed, 1 known, 0 failed, 0 vacuous, 0 error, 0 skipped in 4.2 s"
    assert "a-muted-link" not in text


def test_a_quiet_run_tells_why_cells_were_skipped() -> None:
    """A line for each reason, and the count in the last line: a run that skipped everything must not look green."""
    lines = printed([happenings.result(), skipped()], quiet=True).splitlines()
    assert "1 skipped: world: containers; not yet" in lines
    assert lines[-1] == "2 cells: 1 passed, 0 known, 0 failed, 0 vacuous, 0 error, 1 skipped in 4.2 s"


def test_the_count_of_what_was_skipped_is_the_last_line() -> None:
    """Whatever else there is to say."""
    disturbed = happenings.result(Judgement(PASSED, "", unnamed_calls=3), disturbed=("late (/runs/1)",))
    assert printed([disturbed, skipped()]).splitlines()[-1].endswith(" 1 skipped in 4.2 s")


def test_a_cell_that_was_played_again_is_named_although_it_passed() -> None:
    """With the part that stood still, and the run directory of the play that said nothing."""
    why = "the zygote stood still for 4.12 s, from 0 s on (/runs/1)"
    text = printed(
        [happenings.result(Judgement(PASSED, ""), disturbed=(why,)), happenings.result(Judgement(PASSED, ""))]
    )
    (line,) = (line for line in text.splitlines() if "played again" in line)
    assert line.endswith(why)


def test_an_interrupted_run_says_so() -> None:
    """What was not played must not look as if it had passed."""
    text = printed([happenings.result()], interrupted=True)
    assert text.splitlines()[-1].endswith("in 4.2 s; interrupted, the rest was not played")


def test_an_interrupted_run_without_results_says_so() -> None:
    """Nothing at all is a report too."""
    assert printed([], interrupted=True).splitlines()[-1] == (
        "0 cells: 0 passed, 0 known, 0 failed, 0 vacuous, 0 error, 0 skipped; interrupted, the rest was not played"
    )


LONG = "the call " + " ".join(f"number-{number}" for number in range(40)) + " hung"


def rows_of(text: str) -> list[str]:
    """The lines of the table, its head first."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("status "))
    return lines[begin : lines.index("", begin)]


def column(rows: Sequence[str], name: str) -> list[str]:
    """What stands in one column, from its head to the next column's."""
    begin = rows[0].index(name)
    others = [rows[0].index(other) for other in ("status", "scenario", "why")]
    end = min((other for other in others if other > begin), default=None)
    return [row[begin:end].strip() for row in rows[1:]]


def test_a_screen_of_80_columns_shows_a_reason_whole_and_each_column_in_its_place() -> None:
    """A long name and a long reason are folded, each below itself; nothing is cut, no line is wider than the screen."""
    lacking = replace(skipped(), judgement=replace(skipped().judgement, because=LONG))
    rows = rows_of(printed([lacking, known(), happenings.result(happenings.red_judgement())], width=80))
    assert max(map(len, rows)) <= 80
    assert [status.split()[0] for status in column(rows, "status") if status] == ["known", "skipped", "failed"]
    names = "".join(column(rows, "scenario"))
    assert "timeouts/a-muted-link-costs-one-timeout[timeout=3s]latency/a-host" in names
    assert LONG in " ".join(column(rows, "why"))


def test_the_row_of_a_red_result_names_what_broke_and_its_block_says_why() -> None:
    """The sentence is said once; of a result without a claim that broke, the row says where it is."""
    reds = [
        happenings.result(replace(happenings.red_judgement(), because=LONG)),
        happenings.result(Judgement(ERROR, "no controller"), scenario=happenings.scenario(cell=CELL)),
    ]
    text = printed(reds, quiet=True, width=80)
    assert text.count(LONG) == text.count("no controller") == 1
    assert [why for why in column(rows_of(text), "why") if why] == ["see below", "in-time, no_hang"]


def test_a_red_result_without_a_block_has_its_whole_reason_in_its_row() -> None:
    """Only the first few red runs of a cell have blocks; the row is of the worst one."""
    judgements = [*[Judgement(VACUOUS, "x")] * RED_RUNS_SHOWN, replace(happenings.red_judgement(), because=LONG)]
    runs = [happenings.result(judgement, attempt=number) for number, judgement in enumerate(judgements, 1)]
    assert LONG in " ".join(column(rows_of(printed(runs, quiet=True, width=80)), "why"))


def test_repetitions_are_one_row_with_an_interval() -> None:
    """20 runs of a cell say how sure one may be."""
    runs = [happenings.result(attempt=number) for number in range(1, 20)]
    runs.append(happenings.result(happenings.red_judgement(), attempt=20))
    text = printed(runs, width=140)
    assert "19 of 20 passed (95 % interval 76.4 % to 99.1 %): in-time, no_hang" in " ".join(text.split())
    assert "20 runs: 19 passed, 0 known, 1 failed" in text


def test_repetitions_tell_k_of_n_for_each_cell_even_in_quiet() -> None:
    """It is what `--repeat` is for, also of what went well and of what is known."""
    cells = [happenings.scenario(cell=(("faults.cut", f"{number}B"),)) for number in range(ALIKE_ROWS_SHOWN + 2)]
    runs = [happenings.result(scenario=cell, attempt=attempt) for attempt in (1, 2) for cell in cells]
    text = printed([*runs, known(), known(attempt=2)], quiet=True, width=140)
    assert text.count("2 of 2 passed (95 % interval 34.2 % to 100.0 %)") == len(cells)
    assert text.count("2 of 2 known failures") == 1


def test_a_run_that_never_came_to_anything_prints_no_table() -> None:
    """The error that follows says why."""
    assert printed([]) == ""


def test_many_red_runs_of_one_cell_are_cut_and_counted() -> None:
    """The first few are shown; the rest are counted."""
    runs = [happenings.result(Judgement(FAILED, "x"), attempt=number) for number in range(1, 9)]
    text = printed(runs)
    assert text.count("FAILED  ") == RED_RUNS_SHOWN
    assert f"… {8 - RED_RUNS_SHOWN} more red runs of timeouts/a-muted-link-costs-one-timeout" in text


def test_known_failures_of_repetitions_are_called_so() -> None:
    """`20 of 20 passed` would be a lie for a known failure; skipped runs do not count."""
    assert share([known(), known()]).startswith("2 of 2 known failures")
    assert share([known(), happenings.result()]).startswith("2 of 2 as expected")
    assert share([skipped(), skipped()]).startswith("0 of 0 passed (95 % interval 0.0 % to 100.0 %)")


def test_hundreds_of_passed_cells_are_a_row_for_each_folder() -> None:
    """The table stays readable; what did not pass keeps its own row."""
    cells = [happenings.scenario(Path(f"s/a/{number}.rdzv.yaml")) for number in range(PASSED_ROWS_SHOWN + 1)]
    results = [happenings.result(scenario=cell, seconds=1.0) for cell in cells]
    text = printed([*results, known()])
    table = text[text.index("status ") :]
    assert (
        f"\npassed    {PASSED_ROWS_SHOWN + 1}.00  s/a/                                                 21 passed\n"
        in table
    )
    assert table.count("\nknown ") == 1
    assert "a/17" not in table


def test_many_cells_of_one_file_that_ended_alike_share_a_row() -> None:
    """A matrix that is known to fail is one line of the table, not forty."""
    judgement = Judgement(KNOWN, "as known", known_refs=("F02",))
    cells = [happenings.scenario(cell=(("faults.cut", f"{number}B"),)) for number in range(ALIKE_ROWS_SHOWN + 1)]
    table = printed([happenings.result(judgement, scenario=cell, seconds=1.0) for cell in cells]).split("status ")[1]
    assert "known      4.00  timeouts/a-muted-link-costs-one-timeout (4 cells)  F02\n" in table
    assert table.count("known ") == 1


def test_many_cells_skipped_for_one_reason_are_told_in_one_line() -> None:
    """Once and whole, with what to do, in place of as many rows; also when each was to be played often."""
    because = (
        "engine: no Docker engine on this machine; " + "install one and start it, " * 5 + "and see docker/README.md"
    )
    cells = [happenings.scenario(cell=(("faults.cut", f"{number}B"),)) for number in range(ALIKE_ROWS_SHOWN + 1)]
    verdict = replace(skipped().judgement, because=because)
    for attempts in (1, 2):
        text = printed(
            [replace(skipped(), scenario=cell, judgement=verdict, attempt=attempt + 1)
             for cell in cells for attempt in range(attempts)]
        )  # fmt: skip
        lines, _, summary = text.partition(f"\n{ALIKE_ROWS_SHOWN + 1} skipped: {because}\n")
        assert "seconds  scenario" not in lines
        assert summary.startswith(f"{len(cells) * attempts} ")


def test_vacuous_and_error_are_red() -> None:
    """Both get a block of their own."""
    text = printed([happenings.result(Judgement(status, "x")) for status in (VACUOUS, ERROR)])
    assert "\nVACUOUS  scenarios/" in text
    assert "\nERROR  scenarios/" in text


def test_a_hostile_reason_cannot_move_the_cursor_or_style_the_table() -> None:
    """Messages come from processes under test: no escape, no markup of rich's gets through."""
    text = printed([happenings.result(Judgement(FAILED, "\x1b[2J [bold]no[/bold] [/nope]"))])
    assert "\x1b" not in text
    assert "\\x1b[2J [bold]no[/bold] [/nope]" in text


def test_a_terminal_shows_what_runs_and_prints_only_red_lines() -> None:
    """The live display names what is running; what passed waits for the table."""
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None, legacy_windows=False)
    report = ConsoleReport(console, total=2)
    report.started(happenings.scenario(), 1)
    report._progress.refresh()  # type: ignore[union-attr]
    report.finished(happenings.result())
    report.finished(happenings.result(Judgement(FAILED, "x")))
    before = out.getvalue()
    report.closed([happenings.result()], interrupted=False)
    assert "timeouts/a-muted-link-costs-one-timeout" in before
    assert "passed " not in before
    assert "failed     9.20 s" in before
    assert "1 cell: 1 passed" in out.getvalue()


def test_a_terminal_of_80_columns_shows_a_live_reason_whole_beside_its_mark() -> None:
    """What does not fit goes on below the name; the line that moves never needs a second one."""
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, color_system=None, legacy_windows=False)
    report = ConsoleReport(console, total=2000)
    report.opened("importing torch")
    for number in range(9):
        report.started(happenings.scenario(cell=(("faults.cut", f"{number}B"),)), 1)
    report.finished(happenings.result(Judgement(FAILED, LONG)))
    report.released()
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in re.split(r"[\r\n]+", out.getvalue())]
    assert max(map(len, lines)) <= 80
    begin = next(number for number, line in enumerate(lines) if line.startswith("failed "))
    rest = list(takewhile(lambda line: line.startswith(" " * LINE_START), lines[begin + 1 :]))
    whole = " ".join(" ".join([lines[begin], *rest]).split())
    assert whole.startswith(f"failed 9.20 s timeouts/a-muted-link-costs-one-timeout {LONG}")


def test_a_terminal_of_80_columns_shows_the_reason_of_a_block_beside_its_label() -> None:
    """A command stays one line, so that it can be copied; a log has each sentence in one line."""
    command = "rdzv-harness run " + "x" * 90
    bad = happenings.result(replace(happenings.red_judgement(), because=LONG), command=command)
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, color_system=None, legacy_windows=False)
    ConsoleReport(console, quiet=True).closed([bad], interrupted=False)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    begin = next(number for number, line in enumerate(lines) if line.startswith("  because "))
    rest = list(takewhile(lambda line: line.startswith(" " * red.TEXT_START), lines[begin + 1 :]))
    assert " ".join(" ".join([lines[begin], *rest]).split()) == f"because {LONG}"
    assert [line for line in lines if len(line) > 80] == [f"  again      {command}"]


def test_a_report_can_go_to_a_file(tmp_path: Path) -> None:
    """`to` with a path writes the same text there."""
    path = tmp_path / "deep/report.txt"
    report = ConsoleReport.to(path)
    report.closed([happenings.result()], interrupted=False)
    assert "1 cell: 1 passed" in path.read_text()


def test_no_colour_is_a_matter_of_the_environment(monkeypatch: object) -> None:
    """A pipe gets text without escapes, as wide as a log shows."""
    console = terminal()
    assert console.is_terminal is False
    assert console.width >= 80


def test_other_tools_get_the_block_as_text() -> None:
    """pytest shows it as the failure's representation."""
    bad = happenings.result(happenings.red_judgement())
    assert describe(bad) == red.text(bad)
    assert PASSED not in describe(bad)
