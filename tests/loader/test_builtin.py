"""The scenarios that ship with the package, by their names: on each command line, in messages, and as a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.cli import main
from harness.cli.again import command_line
from harness.cli.exit_codes import NOTHING_SELECTED
from harness.cli.reproducing import scenario_file
from harness.cli.selecting import load_all, select
from harness.loader import builtin, discover, load
from harness.play.options import RunOptions
from harness.reports.parts.claims_table import Column, markdown
from harness.values.errors import UsageError

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]
ONE = "builtin:timeouts/a-late-worker-is-waited-for"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds a scenario because it runs in the checkout."""
    monkeypatch.chdir(tmp_path)


def test_all_scenarios_of_the_checkout_ship() -> None:
    """From one source: the folder of the package is `scenarios/`."""
    files = {path.relative_to(ROOT / "scenarios") for path in (ROOT / "scenarios").rglob("*.rdzv.yaml")}
    assert {builtin.file_of(name).relative_to(builtin.FOLDER) for name in builtin.shipped()} == files
    assert (ROOT / "harness" / "builtin_scenarios").resolve() == ROOT / "scenarios"


@pytest.mark.parametrize("word", ["builtin:", "builtin:/"])
def test_the_bare_name_is_all(word: str) -> None:
    """Also with a slash behind it."""
    assert discover([Path(word)]) == list(builtin.shipped())


@pytest.mark.parametrize(
    "word",
    [ONE, f"{ONE}.rdzv.yaml", ONE.replace(":", ":/"), "builtin:a-late-worker-is-waited-for"],
)
def test_one_is_found_by_its_name(word: str) -> None:
    """With or without its folder and its suffix; what is found has the one name that messages show."""
    assert [str(name) for name in discover([Path(word)])] == [ONE]


def test_a_folder_is_its_scenarios() -> None:
    """All of them, and of no folder whose name only begins so."""
    found = discover([Path("builtin:timeouts/")])
    assert found == [name for name in builtin.shipped() if str(name).startswith("builtin:timeouts/")]
    assert len(found) == len(list((ROOT / "scenarios" / "timeouts").glob("*.rdzv.yaml"))) > 10


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("builtin:timeout", "did you mean builtin:timeouts?"),
        ("builtin:timeouts/a-late-worker-is-waitd-for", f"did you mean {ONE}?"),
        ("builtin:a-late-worker-is-waitd-for", f"did you mean {ONE}?"),
        ("builtin:../timeouts", "did you mean builtin:timeouts?"),
        ("builtin:xyzzy", "the folders are dropped_masters, "),
        ("builtin:\x1b[2J", "\\x1b[2J: no built-in scenario"),
    ],
)
def test_a_name_that_there_is_not_suggests_one(word: str, hint: str) -> None:
    """Or names the folders, and the command that lists all; every wrong path of a line is told at once."""
    with pytest.raises(UsageError) as refused:
        discover([Path("no/such.rdzv.yaml"), Path(word)])
    first, second = str(refused.value).splitlines()
    assert first.startswith("no/such.rdzv.yaml does not exist")
    assert hint in second
    assert second.endswith("`rdzv-harness list scenarios` names all")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("scenarios", "did you mean builtin:?"),
        ("timeouts", "did you mean builtin:timeouts?"),
        ("scenarios/timeouts", "did you mean builtin:timeouts?"),
        (f"{ONE.replace('builtin:', 'scenarios/')}.rdzv.yaml", f"did you mean {ONE}?"),
        ("other", "name scenario files or folders of them"),
    ],
)
def test_a_path_of_a_checkout_suggests_what_the_package_has(path: str, hint: str) -> None:
    """Pages show such paths, and a package user has no such folder."""
    with pytest.raises(UsageError) as refused:
        discover([Path(path)])
    assert str(refused.value) == f"{path} does not exist; {hint}"


def test_a_scenario_that_is_named_twice_is_found_once() -> None:
    """By its name and by its file, under the first of both."""
    file = builtin.file_of(ONE)
    assert discover([Path(ONE), file]) == [Path(ONE)]
    assert discover([file, Path(ONE)]) == [file]


def test_a_file_of_that_name_is_written_with_its_folder(tmp_path: Path) -> None:
    """The prefix is taken, and no file of the working folder goes before it."""
    own = shutil.copy(builtin.file_of(ONE), tmp_path / "builtin:mine.rdzv.yaml")
    assert discover([own]) == [own]
    with pytest.raises(UsageError, match="no built-in scenario"):
        discover([Path("builtin:mine.rdzv.yaml")])


def test_results_have_the_name_that_plays_them_again() -> None:
    """The line that is printed with a red result selects the same cell, from any folder."""
    _, cell = load_all([Path("builtin:only-the-add-whose-reply-is-cut-fails")])
    line = command_line(RunOptions(), cell, 7)
    name = "builtin:wire/only-the-add-whose-reply-is-cut-fails"
    assert line.startswith(f"rdzv-harness run {name} -k '{cell.id}' --seed 7")
    assert select(load_all([Path(name)]), None, cell.id) == [cell]


def test_without_a_path_all_are_meant(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """For `run` as for `validate`."""
    monkeypatch.setattr(builtin, "shipped", lambda: (Path(ONE),))
    assert [cell.path for cell in load_all([])] == [Path(ONE)]
    assert main(["validate"]) == 0
    assert capsys.readouterr().out == f"{ONE}: ok, 1 cell\n"
    assert main(["run", "-k", "nothing-has-this-name"]) == NOTHING_SELECTED
    assert "nothing selected" in capsys.readouterr().err


def test_a_script_is_made_of_exactly_one() -> None:
    """`reproduce` takes a name, and refuses a folder."""
    assert scenario_file("builtin:a-late-worker-is-waited-for") == Path(ONE)
    with pytest.raises(UsageError, match=r"^builtin:timeouts is \d+ scenarios; name one of them, such as builtin:"):
        scenario_file("builtin:timeouts")


def test_a_table_of_claims_links_to_no_file_that_is_not_there() -> None:
    """The name is no path in the repository that shows the table."""
    row = {"id": "x", "path": ONE, "title": "A claim", "known_refs": []}
    columns = [Column(status, [{**row, "status": status}]) for status in ("failed", "passed")]
    assert "| A claim | broken (not known) | kept |" in markdown(columns)


def test_the_list_has_name_title_world_and_tags(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Of each scenario, and how to go on."""
    some = [Path(ONE), *builtin.names("builtin:port_conflicts")]
    monkeypatch.setattr(builtin, "shipped", lambda: tuple(some))
    assert main(["list", "scenarios"]) == 0
    listed, _, advice = capsys.readouterr().out.partition("\n\n")
    lines = listed.split("\n")
    assert lines[::2] == [str(name) for name in some]
    (cell,) = load(Path(ONE))
    about = f"{cell.world.kind}, {cell.world.size} ranks; {', '.join(cell.tags)}"
    assert lines[lines.index(ONE) + 1] == f"    {cell.title} ({about})"
    assert "new YOURS --from NAME" in advice


def test_a_copy_is_the_scenario_under_another_name(tmp_path: Path, capsys: Captured) -> None:
    """With a line for editors and a line that says where it comes from; it loads, and says the same."""
    assert main(["new", "my-claim", "--from", "a-late-worker-is-waited-for", "--dir", "own"]) == 0
    path = Path("own/my-claim.rdzv.yaml")
    head, origin, *rest = path.read_text().splitlines(keepends=True)
    assert head.startswith("# yaml-language-server: $schema=https://")
    assert origin.startswith(f"# From {ONE} of rdzv-harness ")
    assert "".join(rest) == builtin.file_of(ONE).read_text()
    assert [cell.title for cell in load(path)] == [cell.title for cell in load(Path(ONE))]
    assert "rdzv-harness run own/my-claim.rdzv.yaml" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["builtin:timeouts", "timeout", ""])
def test_only_one_scenario_is_copied(source: str, tmp_path: Path, capsys: Captured) -> None:
    """A folder or an unknown name is refused, and nothing is written."""
    assert main(["new", "my-claim", "--from", source]) == 2
    assert "builtin:timeouts" in capsys.readouterr().err or source == ""
    assert list(tmp_path.iterdir()) == []
