"""Defaults of options from a pyproject.toml: which file, what it may say, and what reaches the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli import exploring, main, running, toml_places
from harness.cli.app import app
from harness.play.options import RunOptions

WHOLE = """
[tool.rdzv-harness]
runs-dir = "runs"
isolation = "host"

[tool.rdzv-harness.run]
isolation = "private"
jobs = 3
quiet = true
require = ["torch"]
report = ["json=out/r.json", "junit", "html=/abs/r.html"]
k = "late"
"""


class Asked:
    """What `run` and `explore` were asked for."""

    def __init__(self) -> None:
        self.request: Any = None
        self.options = RunOptions()

    def __call__(self, request: Any, options: RunOptions) -> int:
        self.request, self.options = request, options
        return 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(running, "run", asked)
    monkeypatch.setattr(exploring, "explore", asked)
    return asked


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with such a file, which is the working folder."""
    (tmp_path / "pyproject.toml").write_text(WHOLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_gives_defaults_and_a_command_its_own(project: Path, asked: Asked) -> None:
    """What stands in the command's table counts more; a command without the option is not concerned."""
    assert main(["run"]) == 0
    options = asked.options
    assert (options.runs_dir, options.isolation, options.jobs, options.require) == (
        Path("runs"),
        "private",
        3,
        {"torch"},
    )
    assert (asked.request.quiet, asked.request.names) == (True, "late")
    assert main(["explore"]) == 0
    assert (asked.options.runs_dir, asked.options.isolation) == (Path("runs"), "host")
    assert asked.options.jobs != 3
    assert main(["list", "words"]) == 0


def test_the_command_line_counts_more(project: Path, asked: Asked) -> None:
    """An option that may be repeated is replaced, not added to."""
    assert main(["run", "--jobs", "5", "--isolation", "auto", "--require", "world"]) == 0
    assert (asked.options.jobs, asked.options.isolation, asked.options.require) == (5, "auto", {"world"})


def test_relative_paths_begin_at_the_folder_of_the_file(
    project: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest file above the working folder is read; absolute paths, and reports without one, stay."""
    (project / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(project / "a" / "b")
    assert main(["run"]) == 0
    assert asked.options.runs_dir == project / "runs"
    paths = [choice.path for choice in asked.request.reports]
    assert paths == [project / "out" / "r.json", None, Path("/abs/r.html")]
    (project / "a" / "pyproject.toml").write_text("[project]\nname = 'nearer'\n")
    assert main(["run"]) == 0
    assert asked.options.runs_dir == RunOptions().runs_dir


def test_an_interpreter_is_a_path_only_with_a_folder(project: Path, asked: Asked, tmp_path: Path) -> None:
    """A bare name is looked for on PATH."""
    other = tmp_path / "elsewhere" / "x.toml"
    other.parent.mkdir()
    other.write_text("[tool.rdzv-harness]\npython = 'venv/bin/python'\n")
    assert main(["--config", str(other), "run"]) == 0
    assert asked.options.python == str(other.parent / "venv/bin/python")
    other.write_text("[tool.rdzv-harness]\npython = 'no-such-python'\n")
    assert main(["--config", str(other), "run"]) == 0
    assert asked.options.python == "no-such-python"


def test_no_file_is_read_if_none_is_wanted(project: Path, asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """Also a damaged one; both options at once are refused."""
    (project / "pyproject.toml").write_text("[tool.rdzv-harness\n")
    assert main(["--no-config", "run"]) == 0
    assert asked.options.isolation == "auto"
    assert main(["run"]) == 2
    assert "--no-config" in capsys.readouterr().err
    assert main(["--no-config", "--config", "x", "run"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_lines_that_play_again_read_no_file_where_there_was_one(
    project: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where one was declined; without any the line stays short."""
    for words, alone in (([], True), (["--no-config"], True)):
        main([*words, "run"])
        assert asked.request.alone is alone
        main([*words, "explore"])
        assert asked.request.alone is alone
    (project / "pyproject.toml").write_text("[project]\nname = 'rdzv-harness'\n")
    main(["run"])
    assert asked.request.alone is False


def test_all_mistakes_are_reported_at_once_each_in_its_place(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is allowed; near misses are suggested."""
    (project / "pyproject.toml").write_text(
        '[project]\nname = "jobs"\n\n[tool.rdzv-harness]\nisolatoin = "host"\nrun.jobs = 0\nversion = true\n'
        "docker = { build = { rebuild = 1 }, stat = {} }\n[tool.rdzv-harness.explore]\n"
        'require-canary = "yes"\nlane = [\n  "clean",\n  3,\n]\nruns_dir = "x"\nworld = "namespace"\nseed = true\n'
    )
    assert main(["list", "words"]) == 2
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if "pyproject.toml:" in line]
    assert [line.partition("pyproject.toml:")[2] for line in lines] == [
        "5:1: there is no option 'isolatoin'",
        "6:5: jobs = 0: it is from 1 to 1000",
        "7:1: there is no option 'version' in a file",
        "8:22: rebuild = 1: write true or false",
        "8:37: there is no command 'stat'",
        "10:1: require-canary = 'yes': write true or false",
        '11:1: lane = [\'clean\', 3]: write ["...", "..."]',
        "15:1: there is no option 'runs_dir'",
        "16:1: world = 'namespace': there is no world 'namespace'; did you mean 'namespaces'?",
        "17:1: seed = true: write a whole number",
    ]
    assert "did you mean 'isolation'?" in said.err
    assert "did you mean 'runs-dir'?" in said.err
    assert "did you mean 'start'?" in said.err
    assert said.err.endswith("10 problems\n")
    assert said.out == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("isolation = 'hots'", "did you mean 'host'?"),
        ("run.shard = '4/3'", "the first part is 1/3, the last 3/3"),
        ("run.tags = 'a and'", "tags = 'a and': "),
        ("jobs = 1.5", "write a whole number"),
        ("subject = 3", 'write a text, as "..."'),
    ],
)
def test_values_are_checked_before_a_command_runs(
    project: Path, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command would check them."""
    (project / "pyproject.toml").write_text(f"[tool.rdzv-harness]\n{value}\n")
    assert main(["list", "words"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[tool.rdzv-harness]\njobs = \n", "pyproject.toml:2:8: no TOML: Invalid value"),
        (b"[tool.rdzv-harness]\njobs = [1", "pyproject.toml:2:1: no TOML: "),
        (b"[tool]\nrdzv-harness = 3\n", "pyproject.toml:2:1: a table is needed here"),
        (b"[tool.rdzv-harness]\nk = '\xff'\n", "pyproject.toml:2: not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_of_usage(
    project: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its place."""
    (project / "pyproject.toml").write_bytes(content)
    assert main(["list", "words"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"[project", b"[project]\nname = '\xff'\n", b"[project]\nname = 'rdzv-harness'\n"]
)
def test_a_file_that_says_nothing_of_the_harness_is_not_its_affair(project: Path, content: bytes) -> None:
    """Even if it is damaged."""
    (project / "pyproject.toml").write_bytes(content)
    assert main(["list", "words"]) == 0


def test_a_named_file_must_be_there_and_have_the_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else what was asked for would be ignored."""
    assert main(["--config", "gone.toml", "list"]) == 2
    assert "gone.toml" in capsys.readouterr().err
    (project / "empty.toml").write_text("")
    assert main(["--config", "empty.toml", "list"]) == 2
    assert "has no table [tool.rdzv-harness]" in capsys.readouterr().err
    assert main(["--config", ".", "list"]) == 2
    assert "it is a folder" in capsys.readouterr().err


def test_each_option_of_each_command_may_be_set(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of value is known for all of them."""
    from harness.cli import defaults

    options = list(defaults._options(typer.main.get_command(app)))
    assert {option.kind for _, option in options} == {bool, int, str, Path}
    kinds = {(names[0], option.key): (option.kind, option.many) for names, option in options}
    assert kinds["run", "jobs"] == (int, False)
    assert kinds["run", "require"] == (str, True)
    assert kinds["run", "history"] == (Path, False)
    assert kinds["run", "k"] == (str, False)
    assert ("findings", "findings") in kinds


def test_a_file_can_make_no_run_endless(project: Path, asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """A CI job that reads the file would watch for ever; the line says where the option stands instead."""
    (project / "pyproject.toml").write_text("[tool.rdzv-harness.run]\nwatch = true\n")
    assert main(["run"]) == 2
    said = capsys.readouterr().err
    assert "pyproject.toml:2:1: there is no option 'watch' in a file" in said
    assert "take it out, and give it on the command line" in said


def test_places_are_those_of_the_statement() -> None:
    """Strings of several lines, comments and quoted keys do not lead astray."""
    text = '# a.b\n[x]\ns = """\nb = 1\n"""\n\n# b\n"b" = [\n  1,\n]\n[a]\nb = 2\n'
    wanted = [("x", "b"), ("a", "b"), ("a",), ("x", "s")]
    assert toml_places.find(text, wanted) == {
        ("x", "b"): (8, 2),
        ("a", "b"): (12, 1),
        ("a",): (11, 2),
        ("x", "s"): (3, 1),
    }


def test_a_value_is_for_the_commands_that_take_it_so(project: Path, asked: Asked) -> None:
    """`run` takes one interpreter, and `record run` several: one value is no mistake of the other command."""
    (project / "pyproject.toml").write_text('[tool.rdzv-harness]\npython = "x/python"\nsubject = ["static"]\n')
    assert main(["run"]) == 0
    assert asked.options.python == str(project / "x/python")
    assert asked.options.subject == "static"
