"""The commands `findings list`, `show` and `promote`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_findings import CAUSE, draft, new_finding, red_run

from harness.cli.entry import main
from harness.explore.finding import Tried
from harness.explore.findings import FINDING, MINIMAL, Findings
from harness.loader import load
from harness.values.verdict import KNOWN

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Findings(tmp_path / "findings").add(new_finding(tmp_path / "runs"))
    return tmp_path / "findings"


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command, with its exit code, output and errors."""

    def command(*words: str) -> tuple[int, str, str]:
        code = main(["findings", *words, "--findings", str(folder)])
        return code, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    return command


def test_a_line_for_each_finding(run: Run) -> None:
    """Its name, whether it is explained, how often it fails, and with what."""
    code, output, _ = run("list")
    assert code == 0
    assert output.startswith(f"{CAUSE}  new  20 of 20  static, torch 2.15.0+cpu  seen 1 times, last ")


def test_what_is_not_filed_is_listed_too(run: Run, folder: Path, tmp_path: Path) -> None:
    """What was confirmed with how seldom it fails, the rest by number."""
    for cause, failed, of in (("seldom", 8, 20), ("once", 1, 20), ("unfinished", 0, 0)):
        Findings(folder).add(new_finding(tmp_path / "runs", cause=cause, failed=failed, of=of))
    code, output, _ = run("list")
    lines = output.splitlines()
    assert (code, len(lines)) == (0, 3)
    assert lines[1].startswith("seldom  new  8 of 20, too seldom to be filed  static")
    assert lines[2] == f"1 not reproduced and 1 not confirmed yet are in {folder / 'unreproduced'}"


def test_a_folder_without_findings_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was explored, or nothing was found."""
    assert main(["findings", "list", "--findings", str(tmp_path / "none")]) == 0
    assert "no findings in" in capsys.readouterr().out


def test_a_damaged_finding_is_named_and_the_others_are_listed(run: Run, folder: Path, tmp_path: Path) -> None:
    """Exit code 3."""
    Findings(folder).add(new_finding(tmp_path / "runs", cause="another"))
    (folder / CAUSE / FINDING).write_text("{}")
    code, output, errors = run("list")
    assert (code, output.split()[0]) == (3, "another")
    assert "finding.json: format is missing" in errors


def test_show_has_all_that_a_person_asks(run: Run, folder: Path) -> None:
    """What is violated, how sure it is, the scenario, the time line, and the commands to go on with."""
    code, output, _ = run("show", CAUSE)
    assert code == 0
    for text in (
        "violates      agreement",
        "reproduced    20 of 20 failed (95 % interval 83.9 % to 100.0 %)",
        "explained by  nothing yet",
        "  title: What the explorer has drawn",
        "rank 0",
        f"rdzv-harness run {folder / CAUSE / MINIMAL} --subject static",
        f"rdzv-harness judge {folder / CAUSE / 'run'}",
        f"rdzv-harness reproduce {folder / CAUSE / MINIMAL}",
        f"rdzv-harness findings promote {CAUSE} --findings {folder}",
    ):
        assert text in output


def test_show_tells_what_a_finding_does_elsewhere(run: Run, folder: Path) -> None:
    """With other subjects, without its faults, and who else has found it."""
    tried, bare = Tried("static-strict", "2.15.0", 0, 20), Tried("static", "2.15.0", 0, 5)
    Findings(folder).compared(CAUSE, [tried], bare)
    _, output, _ = run("show", CAUSE)
    assert "also tried    static-strict, torch 2.15.0: 0 of 20 failed (95 % interval 0.0 % to 16.1 %)" in output
    assert "no faults     0 of 5 failed (95 % interval 0.0 % to 43.4 %)" in output


def test_what_was_not_reproduced_can_be_shown_and_not_promoted(run: Run, folder: Path, tmp_path: Path) -> None:
    """It lies in a folder of its own; of a name that both have it is the finding that is shown."""
    Findings(folder).add(new_finding(tmp_path / "runs", cause="seldom", failed=2))
    code, output, _ = run("show", "sel")
    assert (code, "reproduced    2 of 20 failed" in output) == (0, True)
    assert f"rdzv-harness run {folder / 'unreproduced' / 'seldom' / MINIMAL}" in output
    code, _, errors = run("promote", "seldom")
    assert code == 2
    assert "there is no finding 'seldom'" in errors


def test_the_beginning_of_a_name_is_enough(run: Run, folder: Path, tmp_path: Path) -> None:
    """As long as only one begins so."""
    assert run("show", CAUSE[:5])[0] == 0
    Findings(folder).add(new_finding(tmp_path / "runs", cause=f"{CAUSE}-too"))
    assert run("show", CAUSE)[0] == 0
    code, _, errors = run("show", CAUSE[:5])
    assert code == 2
    assert f"can be {CAUSE}, {CAUSE}-too; write more of it" in errors


@pytest.mark.parametrize("command", ["show", "promote"])
@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (CAUSE.replace("master", "mastre"), f"did you mean '{CAUSE}'?"),
        ("zzzz", "`rdzv-harness findings list` shows all"),
        ("../../x", "there is no finding '../../x'"),
        ("", "there is no finding ''"),
        ("\x1b[31mred", r"there is no finding '\x1b[31mred'"),
    ],
)
def test_an_unknown_cause_gets_the_nearest(command: str, cause: str, message: str, run: Run) -> None:
    """Exit code 2, and no path is followed out of the folder."""
    code, _, errors = run(command, cause)
    assert code == 2
    assert message in errors


def test_promote_writes_a_scenario_that_loads(run: Run, tmp_path: Path) -> None:
    """Into scenarios/regressions, and never over a file that is there."""
    code, output, _ = run("promote", CAUSE)
    assert code == 0
    file = tmp_path / "scenarios/regressions/the-ranks-that-return-from-a-join-agree-on-their-world.rdzv.yaml"
    assert str(file.relative_to(tmp_path)) in output
    (scenario,) = load(file)
    assert [one.subject for one in scenario.known] == ["static"]
    written = file.read_text()
    code, _, errors = run("promote", CAUSE)
    assert (code, file.read_text()) == (2, written)
    assert "exists already; choose another --name" in errors


def test_promote_takes_a_name_and_a_folder(run: Run, tmp_path: Path) -> None:
    """With or without the suffix."""
    assert run("promote", CAUSE, "--name", "ranks-agree.rdzv.yaml", "--dir", str(tmp_path / "mine"))[0] == 0
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["ranks-agree.rdzv.yaml"]


@pytest.mark.parametrize("name", ["Ranks Agree", "a--b", "ä", ".rdzv.yaml", "a\nb"])
def test_promote_refuses_a_name_that_is_no_claim(name: str, run: Run) -> None:
    """Small letters and hyphens, as `new` has it."""
    code, _, errors = run("promote", CAUSE, "--name", name)
    assert code == 2
    assert "is not a name for a scenario" in errors


def test_promote_refuses_what_does_not_fail_each_time(run: Run, folder: Path, tmp_path: Path) -> None:
    """With the figure, and nothing is written."""
    Findings(folder).add(new_finding(tmp_path / "runs", cause="flaky", failed=18))
    code, _, errors = run("promote", "flaky")
    assert code == 2
    assert "18 of 20 failed" in errors
    assert not (tmp_path / "scenarios").exists()


def test_a_promoted_scenario_plays_as_a_known_failure(folder: Path, tmp_path: Path) -> None:
    """With the subject that failed; here the claim that the join fails, which `echo` breaks each time."""
    minimal = draft(world={"size": 2, "timeout": "4s", "route": "direct"})
    run_dir = red_run(tmp_path / "runs", minimal, "echo", None)
    Findings(folder).add(new_finding(tmp_path / "runs", cause="by-echo", minimal=minimal, run_dir=run_dir))
    assert main(["findings", "promote", "by-echo", "--findings", str(folder), "--dir", str(tmp_path)]) == 0
    report = tmp_path / "report.json"
    words = ["--subject", "echo", "--runs-dir", str(tmp_path / "played"), "--json", str(report)]
    assert main(["run", *map(str, tmp_path.glob("*.rdzv.yaml")), *words]) == 0
    assert [result["status"] for result in json.loads(report.read_text())["results"]] == [KNOWN]
