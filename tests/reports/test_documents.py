"""JUnit XML and JSON, parsed back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import happenings
import pytest

from harness.judge.result import Result
from harness.reports.base import REPORTS
from harness.values.errors import HarnessError, UsageError
from harness.values.history import History
from harness.values.verdict import ERROR, KNOWN, SKIPPED, VACUOUS, Judgement


def results() -> list[Result]:
    """One of each status."""
    judgements = [
        Judgement("passed", "every claim is met"),
        happenings.red_judgement(),
        Judgement(VACUOUS, "mute touched nothing"),
        Judgement(ERROR, "the controller was lost: \x00\x1b[31m<&>\ud800"),
        Judgement(KNOWN, "as known", known_refs=("F07", "pytorch/pytorch#73320")),
    ]
    skipped = happenings.result(Judgement(SKIPPED, "world: not yet"), History(), run_dir=None)
    return [*map(happenings.result, judgements), skipped]


def written(kind: str, path: Path, given: Sequence[Result], interrupted: bool = False) -> str:
    report = REPORTS[kind].to(path)
    for result in given:
        report.started(result.scenario, result.attempt)
        report.finished(result)
    report.closed(given, interrupted)
    return path.read_text(encoding="utf-8")


ORIGIN = {
    "started_at": "2026-12-01T12:00:00.000Z",
    "machine": {"kernel": "6.1.0", "cores": 2, "memory_bytes": 8 * 10**9, "libc": "glibc 2.36", "python": "3.11.7"},
    "ranks": {"torch": "2.15.0", "python": "3.11.7"},
    "play": "0123456789abcdef",
}


def test_rows_of_json_have_time_machine_and_play(tmp_path: Path) -> None:
    """As `run.json` has them; of what was not played nothing is known."""
    given = [happenings.result(origin=ORIGIN), happenings.result(Judgement(SKIPPED, "no"), History(), run_dir=None)]
    played, skipped = json.loads(written("json", tmp_path / "r.json", given))["results"]
    wanted = {name: ORIGIN[name] for name in ("started_at", "machine", "play")}
    assert {name: played[name] for name in wanted} == wanted
    assert {name: skipped[name] for name in wanted} == dict.fromkeys(wanted)


def test_junit_has_a_case_for_each_result(tmp_path: Path) -> None:
    """Statuses become the elements that CI services know; the numbers agree."""
    root = ElementTree.fromstring(written("junit", tmp_path / "j.xml", results()))
    (suite,) = root
    cases = suite.findall("testcase")
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert [[child.tag for child in case if child.tag not in ("properties", "system-out")] for case in cases] == [
        [], ["failure"], ["failure"], ["error"], ["skipped"], ["skipped"],
    ]  # fmt: skip
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "6", "failures": "2", "errors": "1", "skipped": "2", "time": "55.200",
    }  # fmt: skip
    assert cases[4].find("skipped").get("message") == "known failure: F07, pytorch/pytorch#73320"  # type: ignore[union-attr]
    assert cases[0].attrib == {
        "classname": "scenarios.timeouts",
        "name": "a-muted-link-costs-one-timeout",
        "time": "9.200",
    }


def test_junit_names_subject_torch_seed_and_run(tmp_path: Path) -> None:
    """The suite says where all ran, each case its seed and its run directory, and a red one its proof."""
    root = ElementTree.fromstring(written("junit", tmp_path / "j.xml", results()))
    properties = {row.get("name"): row.get("value") for row in root.findall("testsuite/properties/property")}
    outputs = [case.findtext("system-out") or "" for case in root.iter("testcase")]
    assert properties == {
        "subject": "static",
        "torch": "2.15.0",
        "proxy": "toxiproxy-server 2.12.0 (found on PATH)",
        "isolation": "private namespaces",
    }
    assert outputs[0] == "subject: static\ntorch: 2.15.0\nseed: 7\nrun_dir: .rdzv/runs/x\nstatus: passed"
    assert "get hung no answer within its guard" in outputs[1]


# Of the schema that CI services share: what may stand in each element, and what must.
ALLOWED = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"properties", "testcase", "system-out"},
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
        {"name", "tests", "failures", "errors"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, {"name", "value"}),
    "testcase": ({"skipped", "error", "failure", "system-out"}, {"name", "time", "classname"}, {"name"}),
    "skipped": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "failure": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}


def test_junit_keeps_to_the_common_schema(tmp_path: Path) -> None:
    """Every element and attribute stands where readers look for it."""
    for element in ElementTree.fromstring(written("junit", tmp_path / "j.xml", results())).iter():
        children, attributes, required = ALLOWED[element.tag]
        assert {child.tag for child in element} <= children
        assert required <= set(element.attrib) <= attributes


def test_junit_survives_text_that_xml_cannot_hold(tmp_path: Path) -> None:
    """Control characters and lone surrogates are written as escapes."""
    root = ElementTree.fromstring(written("junit", tmp_path / "j.xml", results()))
    message = root.find("testsuite/testcase/error").get("message")  # type: ignore[union-attr]
    assert message == "the controller was lost: \\x00\\x1b[31m<&>\\ud800"


def test_junit_distinguishes_repetitions(tmp_path: Path) -> None:
    """Cases of one name would be merged by readers."""
    runs = [happenings.result(attempt=number) for number in (1, 2)]
    root = ElementTree.fromstring(written("junit", tmp_path / "j.xml", runs))
    assert [case.get("name") for case in root.iter("testcase")] == [
        "a-muted-link-costs-one-timeout run 1",
        "a-muted-link-costs-one-timeout run 2",
    ]


def test_junit_of_a_scenario_beside_us_has_a_class_name_too(tmp_path: Path) -> None:
    """A file without a folder, or with dots in it, still groups."""
    plain = happenings.result(scenario=happenings.scenario(Path("a.rdzv.yaml")))
    dotted = happenings.result(scenario=happenings.scenario(Path("../v1.2/a.rdzv.yaml")))
    root = ElementTree.fromstring(written("junit", tmp_path / "j.xml", [plain, dotted]))
    assert [case.get("classname") for case in root.iter("testcase")] == ["scenarios", "v1_2"]


def test_json_has_everything_a_program_asks_for(tmp_path: Path) -> None:
    """Where, how many, and each result with its verdicts."""
    document = json.loads(written("json", tmp_path / "j.json", results(), interrupted=True))
    assert document["meta"] == {
        "schema": "rdzv-report/v1",
        "harness": "0.1.0",
        "subject": ["static"],
        "torch": ["2.15.0"],
        "python": ["3.11.4"],
        "proxy": ["toxiproxy-server 2.12.0 (found on PATH)"],
        "isolation": ["private namespaces"],
        "counts": {"passed": 1, "known": 1, "failed": 1, "vacuous": 1, "error": 1, "skipped": 1},
        "deadlines": [],
        "interrupted": True,
    }
    row = document["results"][1]
    assert row["verdicts"] == [verdict.to_json() for verdict in happenings.red_judgement().verdicts]
    assert {key: row[key] for key in ("id", "status", "seconds", "attempt", "run_dir", "cell")} == {
        "id": "a-muted-link-costs-one-timeout",
        "status": "failed",
        "seconds": 9.2,
        "attempt": 1,
        "run_dir": ".rdzv/runs/x",
        "cell": {},
    }
    assert document["results"][5]["run_dir"] is None


def test_a_report_without_a_path_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """For pipes: `None` is standard output."""
    REPORTS["json"].to(None).closed([], interrupted=False)
    assert json.loads(capsys.readouterr().out)["results"] == []


@pytest.mark.parametrize("kind", ["console", "json", "junit", "timeline"])
def test_a_path_that_cannot_be_written_is_refused_before_the_run(kind: str, tmp_path: Path) -> None:
    """An hour of results must not be lost to a typing mistake."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "report"):
        with pytest.raises(UsageError, match="cannot write a report to"):
            REPORTS[kind].to(path)


def test_checking_a_path_leaves_no_empty_report(tmp_path: Path) -> None:
    """Nothing is there until the run is over; what was there stays until then."""
    (tmp_path / "old.xml").write_text("old")
    for name in ("new.xml", "old.xml"):
        REPORTS["junit"].to(tmp_path / name)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.xml", "old")]


def after_the_first(monkeypatch: pytest.MonkeyPatch, question: str, path: Path, act: Callable[[], object]) -> None:
    """Somebody acts right after this path was asked for the first time, and was not there."""
    asked, acts = getattr(Path, question), [act]

    def ask(one: Path) -> bool:
        answer: bool = asked(one)
        if one == path and acts:
            acts.pop()()
        return answer

    monkeypatch.setattr(Path, question, ask)


def test_checking_a_path_spares_what_another_run_writes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nights may begin at once, with one file that is new to both."""
    path = tmp_path / "nights.jsonl"
    after_the_first(monkeypatch, "exists", path, lambda: path.write_text("a night"))
    REPORTS["history"].to(path)
    assert path.read_text() == "a night"


def test_a_folder_that_another_run_makes_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no reason to refuse the path."""
    folder = tmp_path / "new"
    after_the_first(monkeypatch, "is_dir", folder, folder.mkdir)
    REPORTS["history"].to(folder / "nights.jsonl")
    assert list(folder.iterdir()) == []


def test_a_report_that_fails_at_the_end_says_what_to_do(tmp_path: Path) -> None:
    """A file has the name of its folder meanwhile."""
    report = REPORTS["json"].to(tmp_path / "gone" / "j.json")
    (tmp_path / "gone").touch()
    with pytest.raises(HarnessError, match=r"cannot write the report .*j\.json \(.*\); give a file that you may write"):
        report.closed([], interrupted=False)
