"""The record of a night: every release of the index is played, and each command of a workflow is one that there is."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from harness.cli.app import app
from harness.cli.entry import main
from harness.machine.torches import torches
from harness.machine.torches.uv import PYTHON

WORKFLOWS = Path(__file__).parents[1] / ".github" / "workflows"
NIGHTLY, RECORD = WORKFLOWS / "nightly.yml", WORKFLOWS / "record.yml"
COMMANDS: Any = typer.main.get_command(app)


def steps_of(path: Path) -> Iterator[dict[str, Any]]:
    for job in YAML(typ="safe").load(path.read_text(encoding="utf-8"))["jobs"].values():
        yield from job["steps"]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of the harness in a shell script, with values for what the runner fills in."""
    filled = re.sub(r"\$\{\{.*?\}\}", "2.9.1", text.replace("\\\n", " "))
    for line in filled.splitlines():
        for command in re.findall(r"rdzv-harness ((?:[^|&;()\"<>]|\"[^\"]*\")+?)(?=[|&;)<>]|\d?>|$)", line):
            yield [word for word in shlex.split(command) if word != "2"]


def parse(words: list[str]) -> str:
    """The name of the command that these words call; raises the parser's own error if there is no such call."""
    here, path = COMMANDS, []
    context = None
    while hasattr(here, "commands"):
        path.append(words[0])
        here, words = here.commands[words[0]], words[1:]
    context = here.make_context(path[-1], list(words), parent=context)
    context.close()
    return " ".join(path)


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    """Of the workflow of the record."""
    found: dict[str, Any] = YAML(typ="safe").load(RECORD.read_text(encoding="utf-8"))["jobs"]
    return found


def place(steps: list[dict[str, Any]], begin: str) -> int:
    """Of the only step that uses an action, or has a name, or runs a command."""
    (found,) = [
        number
        for number, step in enumerate(steps)
        if step.get("uses", "").startswith(begin) or step.get("name") == begin or begin in step.get("run", "")
    ]
    return found


@pytest.mark.parametrize("path", [NIGHTLY, RECORD], ids=lambda path: path.name)
def test_each_command_of_a_workflow_can_be_parsed(path: Path) -> None:
    """With its options and their values, by the parser that the night will use."""
    found = [words for step in steps_of(path) for words in commands(step.get("run", ""))]
    assert found
    assert all(parse(words) for words in found)


def test_a_command_that_there_is_not_is_noticed() -> None:
    """Also behind another one, and with an option of another command."""
    (first, second) = commands('x="$(rdzv-harness torch list --jsn)" | tee a\nrdzv-harness record marge a >>"$B"\n')
    assert (first, second) == (["torch", "list", "--jsn"], ["record", "marge", "a"])
    with pytest.raises(Exception, match="No such option"):
        parse(first)
    with pytest.raises(KeyError):
        parse(second)


def test_the_record_is_played_merged_shown_and_compared() -> None:
    """The logic of the night is in commands, which have tests of their own."""
    found = [parse(words) for step in steps_of(RECORD) for words in commands(step.get("run", ""))]
    assert found == [
        "torch list", "toxiproxy install", "record run", "record merge", "record show", "record diff",
    ]  # fmt: skip


def test_the_matrix_is_what_the_index_has(jobs: dict[str, Any]) -> None:
    """No number of a release stands in the workflow: one that comes is played in the next night."""
    steps = jobs["releases"]["steps"]
    asking = steps[place(steps, "torch list --available --json")]
    assert jobs["releases"]["outputs"] == {"torches": f"${{{{ steps.{asking['id']}.outputs.torches }}}}"}
    assert 'torches=$torches" >>"$GITHUB_OUTPUT"' in asking["run"]
    matrix = jobs["play"]["strategy"]["matrix"]
    assert matrix == {"torch": "${{ fromJSON(needs.releases.outputs.torches) }}"}
    assert jobs["play"]["needs"] == "releases"
    lines = [line for line in RECORD.read_text(encoding="utf-8").splitlines() if "uses:" not in line]
    assert [line for line in lines if re.search(r"\b2\.\d+(\.\d+)?\b", line)] == []


def test_what_the_matrix_is_made_from_is_an_array(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On one line, since the runner reads a value of one line."""
    monkeypatch.setattr(torches, "available", lambda: ("2.6.0", "2.99.0"))
    assert main(["--no-config", "torch", "list", "--available", "--json"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out), said.out.count("\n"), said.err) == (["2.6.0", "2.99.0"], 1, "")


def test_each_torch_hands_over_its_record(jobs: dict[str, Any]) -> None:
    """Whatever came of the plays, under a name that the next job asks for."""
    steps, merging = jobs["play"]["steps"], jobs["merge"]["steps"]
    upload = steps[place(steps, "actions/upload-artifact@")]
    download = merging[place(merging, "actions/download-artifact@")]["with"]
    assert upload["if"] == "always()"
    assert f"--record {upload['with']['path']}" in steps[place(steps, "record run")]["run"]
    assert upload["with"]["name"] == download["pattern"].replace("*", "${{ matrix.torch }}")
    assert upload["with"]["include-hidden-files"] is True
    assert f"record merge {download['path']} " in merging[place(merging, "merge")]["run"]


def test_the_last_night_is_compared_and_then_replaced(jobs: dict[str, Any]) -> None:
    """Also if something differed; the first night compares with nothing."""
    steps = jobs["merge"]["steps"]
    restored, saved = place(steps, "actions/cache/restore@"), place(steps, "actions/cache/save@")
    compared, kept = place(steps, "record diff"), place(steps, "this night is the last one of the next")
    assert restored < compared < kept < saved
    before, after = steps[restored]["with"], steps[saved]["with"]
    assert before["path"] == after["path"] == ".rdzv/last-night"
    assert before["key"] == after["key"]
    assert after["key"].startswith(before["restore-keys"])
    assert steps[compared]["if"] == "${{ hashFiles('.rdzv/last-night/**') != '' }}"
    assert "record diff .rdzv/last-night .rdzv/record --format md" in steps[compared]["run"]
    assert "GITHUB_STEP_SUMMARY" in steps[compared]["run"]
    assert jobs["merge"]["defaults"]["run"]["shell"] == "bash"  # with pipefail
    assert all("!cancelled()" in steps[number]["if"] for number in (kept, saved))
    assert "!cancelled()" in jobs["merge"]["if"]


def test_the_python_of_the_environments_is_there(jobs: dict[str, Any]) -> None:
    """uv takes it and downloads none; uv itself is in the lock file that each job installs."""
    for job in jobs.values():
        steps = job["steps"]
        assert steps[place(steps, "actions/setup-python@")]["with"]["python-version"] == PYTHON
        assert "--require-hashes -r .ci/requirements.txt" in steps[place(steps, "--require-hashes")]["run"]
    locked = (WORKFLOWS.parents[1] / ".ci" / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(r"^uv==", locked, re.MULTILINE)
