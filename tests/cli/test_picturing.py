"""`html`, and `show` as a page or a trace."""

from __future__ import annotations

import json
import shutil
import webbrowser
from pathlib import Path

import happened_reports
import pytest

from harness.archive import create_run
from harness.cli import looking, picturing
from harness.cli.exit_codes import AS_EXPECTED, USAGE
from harness.loader import load_text
from harness.values.errors import UsageError

TEXT = """\
schema: rdzv-scenario/v1
title: All join
world: {size: 2, timeout: 1s}
workload: [{id: join, do: rendezvous}]
expect: [{step: join, is: ok}]
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run that was cut short when it had just begun."""
    (scenario,) = load_text(TEXT, Path("scenarios/joins/all-join.rdzv.yaml"))
    made = create_run(tmp_path / "runs", scenario, {"path": str(scenario.path), "cell": [], "subject": "static"})
    begin = {"time_ns": 5_000, "type": "ok", "f": "begin", "process": "controller", "value": {"size": 2}}
    (made / "ops" / "controller.jsonl").write_text(json.dumps(begin) + "\n")
    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was to open."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: found.append(url) or True)
    return found


def index_of(path: Path) -> dict[str, object]:
    text = path.read_text("utf-8")
    found = text.split('id="index">', 1)[1].split("</script>", 1)[0]
    return dict(json.loads(found))


def test_runs_folders_of_runs_and_reports_are_shown_in_one_page(run_dir: Path, tmp_path: Path) -> None:
    """A row of a report whose run is still there has its picture; of others the page says why there is none."""
    gone = happened_reports.row("gone", run_dir=str(tmp_path / "nowhere"))
    there = happened_reports.row("there", run_dir=str(run_dir))
    report = tmp_path / "report.json"
    report.write_text(json.dumps(happened_reports.document([gone, there], interrupted=True)))
    output = tmp_path / "new" / "page.html"
    assert picturing.html([run_dir, run_dir.parent, report], output, None, is_opened=False) == AS_EXPECTED
    found = index_of(output)
    assert found["interrupted"] is True
    rows = found["rows"]
    assert isinstance(rows, list)
    assert [(row["id"], row["block"]) for row in rows] == [
        ("all-join", True), ("all-join", True), ("gone", False), ("there", True)
    ]  # fmt: skip
    assert "there is no directory" in rows[2]["missing"]


def test_what_cannot_be_shown_is_named_and_the_rest_is_written(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every problem in a line with what to do; the exit code says that something was wrong."""
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(happened_reports.document([happened_reports.row("a", attempt="first")])))
    (tmp_path / "empty").mkdir()
    output = tmp_path / "page.html"
    paths = [run_dir, broken, tmp_path / "empty", tmp_path / "no"]
    assert picturing.html(paths, output, None, is_opened=False) == USAGE
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "broken.json: result 1: not a result of this format (attempt:" in said[0]
    assert "empty has no runs; give run directories" in said[1]
    assert len(index_of(output)["rows"]) == 1  # type: ignore[arg-type]


def test_a_page_of_nothing_is_not_written(tmp_path: Path) -> None:
    """There is only the error."""
    assert picturing.html([tmp_path / "no"], tmp_path / "page.html", None, is_opened=False) == USAGE
    assert not (tmp_path / "page.html").exists()


def test_the_page_is_checked_before_anything_is_read(tmp_path: Path, run_dir: Path) -> None:
    """A folder in its place is refused, and so is a history that is not one."""
    with pytest.raises(UsageError, match="cannot write a report"):
        picturing.html([run_dir], tmp_path, None, is_opened=False)
    (tmp_path / "nights.jsonl").write_text("no\n")
    with pytest.raises(UsageError, match=r"nights\.jsonl:1"):
        picturing.html([run_dir], tmp_path / "page.html", tmp_path / "nights.jsonl", is_opened=False)


def test_one_run_is_opened_from_its_own_directory(run_dir: Path, opened: list[str]) -> None:
    """So the page goes when the run goes."""
    assert looking.show(run_dir, looking.Wish(is_opened=True)) == AS_EXPECTED
    assert opened == [(run_dir / "page.html").as_uri()]
    assert len(index_of(run_dir / "page.html")["rows"]) == 1  # type: ignore[arg-type]
    shutil.rmtree(run_dir)


def test_without_a_browser_the_page_is_named(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine without a screen it can be copied from there."""
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert picturing.html([run_dir], tmp_path / "page.html", None, is_opened=True) == AS_EXPECTED
    captured = capsys.readouterr()
    assert captured.out.strip() == str(tmp_path / "page.html")
    assert "no browser can be started here" in captured.err


def test_a_run_is_printed_as_a_trace(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document on standard output."""
    assert looking.show(run_dir, looking.Wish(form="perfetto")) == AS_EXPECTED
    assert json.loads(capsys.readouterr().out)["otherData"]["scenario"] == "all-join"


def test_another_form_is_refused(run_dir: Path) -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match="--format svg: there is text and perfetto"):
        looking.show(run_dir, looking.Wish(form="svg"))
