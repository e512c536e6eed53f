"""The plug-in as a foreign test suite meets it: ids, verdicts as outcomes, the failing line, no cost when unused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fake_controllers import FakeControllers
from plugin_sessions import ALONE, ECHO, FAILS, KNOWN, MATRIX, PASSES, SKIPPED, VACUOUS, session, session_apart, write

pytest_plugins = ["pytester"]


def test_a_verdict_becomes_the_outcome_of_an_item(pytester: pytest.Pytester) -> None:
    """Failed and vacuous are failures, known an expected failure, skipped a skip. Pytest is a process of its own."""
    result = session_apart(pytester, "-rA", passes=PASSES, fails=FAILS, vacuous=VACUOUS, known=KNOWN, skipped=SKIPPED)
    result.assert_outcomes(passed=1, failed=2, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines_random(
        [
            "PASSED passes.rdzv.yaml::passes",
            "FAILED fails.rdzv.yaml::fails - *",
            "FAILED vacuous.rdzv.yaml::vacuous - *",
            "XFAIL known.rdzv.yaml::known - *",
            "SKIPPED * skipped.rdzv.yaml:2: torch: needs torch >=99*",
        ]
    )


def test_what_is_no_regular_file_is_an_error_of_the_collection(pytester: pytest.Pytester) -> None:
    """Named, and never read or passed over; the sound file beside it hides none."""
    os.mkfifo(pytester.path / "pipe.rdzv.yaml")
    (pytester.path / "endless.rdzv.yaml").symlink_to("/dev/zero")
    (pytester.path / "nowhere.rdzv.yaml").symlink_to("absent")
    result = session(pytester, "--collect-only", "-q", a=PASSES)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*pipe.rdzv.yaml: this is a FIFO*"])
    result.stdout.fnmatch_lines(["*endless.rdzv.yaml: this is a device*"])
    result.stdout.fnmatch_lines(["*nowhere.rdzv.yaml: cannot be read: No such file*"])
    alone = session(pytester, "--collect-only", "-q", "pipe.rdzv.yaml")
    alone.assert_outcomes(errors=1)


def test_the_name_of_an_item_is_safe_to_print(pytester: pytest.Pytester) -> None:
    """Also if the label of a cell is an escape sequence."""
    label = MATRIX.replace("world.timeout: [1s, 2s]", 'world.run_id: ["\\e[31m"]')
    result = session(pytester, "--collect-only", "-q", a=label)
    result.stdout.fnmatch_lines(["a.rdzv.yaml::a*run_id=*x1b*"])
    assert "\x1b" not in result.stdout.str()


def test_an_interpreter_that_does_not_work_is_one_usage_error(pytester: pytest.Pytester) -> None:
    """Said once with the plug-in's own option, not by each item; was an error of each item."""
    result = session(pytester, "--rdzv-python", "/bin/false", a=PASSES, b=PASSES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: /bin/false is not a Python that works *; give --rdzv-python another"])
    assert result.stderr.str().count("/bin/false") == 1


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "workers"])
def test_an_interpreter_that_does_not_work_is_one_usage_error_of_tests_in_python_too(
    pytester: pytest.Pytester, words: tuple[str, ...]
) -> None:
    """Before any test runs; with workers of xdist it was said by each test."""
    pytester.makepyfile(
        "import pathlib\n\n\n"
        + "".join(f"def test_{one}(world):\n    pathlib.Path('has-run').touch()\n    world()\n\n\n" for one in "abcd")
    )
    result = pytester.runpytest_subprocess(*ECHO, "--rdzv-python", "/bin/false", *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: /bin/false is not a Python that works *; give --rdzv-python another"])
    assert (result.stdout.str() + result.stderr.str()).count("/bin/false is not") == 1
    assert not (pytester.path / "has-run").exists()


def test_a_fixture_of_the_same_name_is_not_ours(pytester: pytest.Pytester) -> None:
    """A suite that has its own `world` needs no interpreter with torch."""
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def world():
            return "mine"

        def test_of_mine(world):
            assert world == "mine"
    """)
    session(pytester, "--rdzv-python", "/bin/false").assert_outcomes(passed=1)


def test_the_summary_line_is_the_reason_and_the_call_is_the_play(
    pytester: pytest.Pytester, controllers: FakeControllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file and of a test in Python, which shows no frame of the harness and fails unless it asks not to.

    GitHub gets a line at the claim in the file, and at the test; a red run that its test expects is none.
    """
    keys = '{"size": 2, "timeout": "2s", "route": "direct"}, workload=[{"do": "rendezvous"}]'
    keys += ', expect=[{"step": "rendezvous", "is": "failed"}]'
    pytester.makepyfile(
        test_w=f"def test_red(world):\n    world(world={keys})\n\n\n"
        f"def test_free(world):\n    assert world(world={keys}, check=False).run_dir\n"
    )
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    report = "--rdzv-report=r.json"
    result = session(pytester, "--durations=0", "-vv", "--rdzv-seed=7", "--junitxml=j.xml", report, claim=FAILS)
    result.assert_outcomes(failed=2, passed=1)
    text = result.stdout.str()
    result.stdout.re_match_lines(
        [
            r"::error file=claim.rdzv.yaml,line=7,title=failed%3A claim::rendezvous: rank .*",
            r"::error file=test_w.py,line=1,title=failed%3A test_red::rendezvous: rank .*",
            r".* call +claim.rdzv.yaml::claim",
            r"FAILED claim.rdzv.yaml::claim - rendezvous: rank .* expected failed.*",
            r"FAILED test_w.py::test_red - rendezvous: rank .* expected failed.*",
        ]
    )
    assert text.count("::error ") == 2
    assert "pytest_plugin/" not in text
    assert "again      pytest test_w.py::test_red --rdzv-subject echo --rdzv-seed 7" in text
    assert len(json.loads((pytester.path / "r.json").read_text())["results"]) == 3
    assert '<property name="rdzv_seed" value="7" />' in (pytester.path / "j.xml").read_text()


def test_what_plays_an_item_is_started_in_its_set_up(pytester: pytest.Pytester, controllers: FakeControllers) -> None:
    """So the duration of its call is that of the play."""
    write(pytester, a=PASSES)
    found: list[int] = []

    class Watch:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_call(self) -> None:
            found.append(len(controllers.started))

    assert pytester.inline_run(*ECHO, plugins=[Watch()]).ret == pytest.ExitCode.OK
    assert found == [1]


def test_options_stand_in_the_configuration_file_too(pytester: pytest.Pytester) -> None:
    """All that is wrong is said at once, with near misses, wherever it was written."""
    pytester.makeini("[pytest]\nrdzv_subjct = echo\nrdzv_seed = -3\n")
    result = session(pytester, "--rdzv-isolation", "privte", "--rdzv-jobs", "0", a=PASSES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines_random(
        [
            "ERROR: tox.ini: rdzv_subjct: there is no such option; did you mean 'rdzv_subject'[?]",
            "ERROR: tox.ini: rdzv_seed = -3: write a whole number from 0 to *",
            "ERROR: --rdzv-isolation privte: there is no such isolation; did you mean 'private'[?]",
            "ERROR: --rdzv-jobs 0: write a whole number from 1 to 1000",
        ]
    )


def test_a_skip_can_be_a_failure(pytester: pytest.Pytester, controllers: FakeControllers) -> None:
    """With an option, or a line of the configuration file."""
    pytester.makeini("[pytest]\nrdzv_fail_on_skip = true\n")
    session(pytester, a=SKIPPED).assert_outcomes(failed=1)


def test_a_failure_shows_the_failing_line_and_the_command_that_plays_it_again(
    pytester: pytest.Pytester, controllers: FakeControllers
) -> None:
    """The reader sees the claim, what happened, and what to type."""
    result = session(pytester, claim=FAILS)
    result.stdout.fnmatch_lines(["*claim.rdzv.yaml:7*", "*expected*", "*rdzv-harness run *claim.rdzv.yaml*"])


def test_each_cell_is_an_item_with_a_readable_id(pytester: pytest.Pytester) -> None:
    """`-k` finds a cell by what it is about."""
    result = session(pytester, "--collect-only", "-q", m=MATRIX)
    result.stdout.fnmatch_lines(["m.rdzv.yaml::m[[]timeout=1s[]]", "m.rdzv.yaml::m[[]timeout=2s[]]"])


def test_scenarios_are_marked(pytester: pytest.Pytester, controllers: FakeControllers) -> None:
    """`-m rdzv` selects scenario files among other tests."""
    pytester.makepyfile(test_other="def test_other(): pass")
    session(pytester, "--strict-markers", "-m", "rdzv", a=PASSES).assert_outcomes(passed=1, deselected=1)


def test_scenarios_can_be_left_out_where_there_are_none(pytester: pytest.Pytester) -> None:
    """`-m "not rdzv"`, whatever is collected."""
    pytester.makepyfile("def test_of_ours(): pass")
    result = pytester.runpytest_inprocess(*ALONE, "--strict-markers", "-m", "not rdzv")
    result.assert_outcomes(passed=1)


def test_tags_are_markers(pytester: pytest.Pytester, controllers: FakeControllers) -> None:
    """`-m` selects by tag, also under --strict-markers."""
    tagged = PASSES.replace("title: A claim", "title: A claim\ntags: [slow-links]")
    result = session(pytester, "--strict-markers", "-m", "slow-links", a=tagged, b=PASSES)
    result.assert_outcomes(passed=1, deselected=1)


def test_a_file_that_cannot_be_read_is_reported_with_its_lines(pytester: pytest.Pytester) -> None:
    """Bad input is a collection error with `file:line:column`, never a traceback of ours."""
    result = session(pytester, a=PASSES.replace("step: rendezvous", "stepp: rendezvous"))
    result.stdout.fnmatch_lines(["*a.rdzv.yaml:7:*", "*did you mean*step*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_workers_of_xdist_each_play_in_worlds_of_their_own(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """`-n 2` plays the same files, and each report has them all; a bare file is JSON."""
    report, junit = tmp_path / "report.json", tmp_path / "new" / "report.xml"
    page, nights = tmp_path / "page.html", tmp_path / "nights.jsonl"
    words = [str(report), f"junit={junit}", f"html={page}", f"history={nights}"]
    result = session_apart(
        pytester, "-n", "2", *(f"--rdzv-report={word}" for word in words), a=PASSES, b=PASSES, c=FAILS
    )
    result.assert_outcomes(passed=2, failed=1)
    statuses = sorted(row["status"] for row in json.loads(report.read_text())["results"])
    assert statuses == ["failed", "passed", "passed"]
    (suite,) = ElementTree.parse(junit).getroot()
    assert [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None] == ["c"]
    assert suite.get("tests") == "3"
    assert "rdzv-harness run" in junit.read_text()
    assert all(f'id="run-{number}">H4sI' in page.read_text() for number in range(3))
    assert "H4sI" not in report.read_text()
    assert len(nights.read_text().splitlines()) == 1


@pytest.mark.nightly
def test_a_scenario_that_was_played_again_is_named_in_the_summary(pytester: pytest.Pytester) -> None:
    """Although it passed, and whichever worker of xdist played it."""
    pytester.makeconftest("""
        from dataclasses import replace
        from harness.campaign.runner import Runner

        def disturbed(self, scenario, play=Runner.play):
            return replace(play(self, scenario), disturbed=("the zygote stood still for 4.12 s",))

        Runner.play = disturbed
    """)
    result = session_apart(pytester, "-n", "2", a=PASSES)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["played again: a: the zygote stood still for 4.12 s"])


def test_reports_that_cannot_be_written_are_a_usage_error(pytester: pytest.Pytester) -> None:
    """All of them at once, before anything is played."""
    (pytester.path / "file").write_text("x")
    words = ["timeline=t.txt", "junit=-", "jsno=r.json", "file/r.json"]
    result = session(pytester, *(f"--rdzv-report={word}" for word in words), a=PASSES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: --rdzv-report timeline: it needs the histories *; it can write github, history, html, json, *",
            "*--rdzv-report junit: standard output is pytest's; give a file",
            "*--rdzv-report jsno: there is no report 'jsno'; did you mean 'json'?",
            "*--rdzv-report json: cannot write a report to file/r.json (*); give a file that you may write",
        ]
    )


def test_a_report_that_fails_at_the_end_is_an_error(pytester: pytest.Pytester, controllers: FakeControllers) -> None:
    """A file is in its folder's place: a line on standard error and an exit code, and the other report is written."""
    pytester.makeconftest("def pytest_collection_finish(): open('gone', 'w').close()")
    result = session(pytester, "--rdzv-report", "gone/r.json", "--rdzv-report", "json=r.json", a=SKIPPED)
    result.stderr.fnmatch_lines(["*cannot write the report *gone/r.json (*); give a file that you may write"])
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert [row["status"] for row in json.loads((pytester.path / "r.json").read_text())["results"]] == ["skipped"]


def test_the_fixture_plays_keys_and_returns_verdict_and_history(
    pytester: pytest.Pytester, controllers: FakeControllers
) -> None:
    """A test in Python takes the keys of a file."""
    pytester.makepyfile(
        """
        def test_join(world):
            run = world(world={"size": 2, "timeout": "2s", "route": "direct"}, workload=[{"do": "rendezvous"}],
                        expect=[{"step": "rendezvous", "is": "ok"}])
            assert run.verdict.status == "passed", run.verdict.because
            assert [call.outcome for call in run.history.rendezvous_calls] == ["ok", "ok"]
        """
    )
    session(pytester).assert_outcomes(passed=1)


def test_what_the_fixture_cannot_play_here_skips_its_test(
    pytester: pytest.Pytester, controllers: FakeControllers
) -> None:
    """At the line of the test. `check=False` returns the run, and --rdzv-fail-on-skip fails a check."""
    keys = 'needs={"torch": ">=99"}, world={"size": 2}, workload=[{"do": "rendezvous"}], '
    keys += 'expect=[{"step": "rendezvous"}]'
    pytester.makepyfile(
        test_w=f"def test_new(world):\n    world({keys})\n    assert False\n\n\n"
        f"def test_free(world):\n    assert world({keys}, check=False).verdict.status == 'skipped'\n"
    )
    result = session(pytester, "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] test_w.py:1: torch: needs torch >=99*"])
    forbidden = session(pytester, "--rdzv-fail-on-skip")
    forbidden.assert_outcomes(passed=1, failed=1)
    forbidden.stdout.fnmatch_lines(["skipped, which --rdzv-fail-on-skip forbids: torch: needs *"])
    assert all(not controller.orders for controller in controllers.started)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            ["--rdzv-require", "engien"],
            "--rdzv-require (or RDZV_REQUIRE) engien: there is no such need; did you mean 'engine'?*",
        ),
        (["--rdzv-subject", "command"], "--rdzv-subject command: pytest has no command for it*"),
        (["--rdzv-subject", "c10d", "--rdzv-python", "/bin/false"], "/bin/false is not a Python that works*"),
        (
            ["--rdzv-toxiproxy", "http://127.0.0.1:1"],
            "--rdzv-toxiproxy http://127.0.0.1:1: no Toxiproxy answers there*or leave --rdzv-toxiproxy out",
        ),
    ],
)
def test_the_impossible_is_a_usage_error(pytester: pytest.Pytester, option: list[str], message: str) -> None:
    """Once, and before anything is played."""
    result = session(pytester, *option, a=PASSES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_a_need_in_the_environment_is_looked_at_too(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt need in RDZV_REQUIRE would let a job skip its tests without an error."""
    monkeypatch.setenv("RDZV_REQUIRE", "engine,gpu")
    assert session(pytester, a=PASSES).ret == pytest.ExitCode.USAGE_ERROR


def test_unused_the_plug_in_imports_nothing_of_the_harness_but_itself(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign suite that never uses it does not pay for it."""
    monkeypatch.delenv("RDZV_REQUIRE", raising=False)
    pytester.makepyfile(
        """
        import sys

        def test_foreign():
            ours = sorted(name for name in sys.modules if name.split(".")[0] == "harness")
            rooms = {"arguments", "collected", "items", "life", "options", "outcomes", "playing", "plugin"}
            rooms |= {"rows", "slots"}
            assert set(ours) == {"harness", "harness.pytest_plugin", *(f"harness.pytest_plugin.{one}" for one in rooms)}
            heavy = {"torch", "pydantic", "ruamel.yaml", "toxiproxy", "requests", "docker", "rich", "typer", "psutil"}
            assert heavy & set(sys.modules) == set()
        """
    )
    result = pytester.runpytest_subprocess(*ALONE)
    result.assert_outcomes(passed=1)


def test_the_parent_never_imports_torch() -> None:
    """Torch costs a second and threads: only ranks and their zygote have it."""
    code = (
        "import sys, harness.cli, harness.campaign.runner, harness.loader, harness.pytest_plugin.plugin;"
        "import harness.judge.judge;"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_runs_folder_that_cannot_be_used_is_an_error_of_the_item(
    pytester: pytest.Pytester, controllers: FakeControllers
) -> None:
    """A file is in its place: the same sentence as of the command, and no internal error."""
    (pytester.path / ".rdzv").touch()
    result = session(pytester, a=PASSES)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["cannot write to *.rdzv/runs (Not a directory); choose another --rdzv-runs-dir"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
