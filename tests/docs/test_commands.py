"""Each command of the pages is executed here, or marked as not executed with the reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from blocks import MARK, PAGES, ROOT, Block, blocks, problems
from ruamel.yaml import YAML

from harness.loader import load_text

WITHIN_S = 120


def executed(page: Path, *, with_torch: bool, at_night: bool) -> list[Block]:
    """The blocks of a page that are executed then: at night also those that a push executes."""
    chosen = []
    for block in blocks(page):
        mark = MARK.fullmatch(block.mark)
        if block.is_shell and mark and not mark["reason"] and not mark["test"]:
            is_slow = bool(mark["night"]) or bool(mark["torch"])
            if (with_torch or not mark["torch"]) and (at_night or not is_slow):
                chosen.append(block)
    return chosen


def pages(*, with_torch: bool, at_night: bool) -> list[Path]:
    """The pages with such blocks; the tutorial is executed by test_tutorial.py, which also compares what is printed."""
    others = [page for page in PAGES if page.name != "tutorial.md"]
    return [page for page in others if executed(page, with_torch=with_torch, at_night=at_night)]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run_in_order(page: Path, chosen: Sequence[Block], folder: Path, path: str) -> Iterator[str]:
    """Run blocks in one folder that has the scenarios and the page's files; what went wrong, block by block."""
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    environment = {**os.environ, "PATH": path, "HOME": str(folder)}
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")
        if block not in chosen:
            continue
        mark = MARK.fullmatch(block.mark)
        assert mark is not None
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.commands],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        if done.returncode != int(mark["code"] or 0):
            yield f"{block.where}: exit code {done.returncode}\n{block.commands}\n{done.stdout}\n{done.stderr}"


def own_path() -> str:
    """PATH with the programs of this interpreter first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


@pytest.fixture
def path_with_torch(tmp_path: Path) -> str:
    """PATH on which `rdzv-harness` has its ranks run where torch is, if this environment has none."""
    python = os.environ.get("RDZV_TEST_PYTHON")
    if python is None:
        return own_path()
    programs = tmp_path / "programs"
    programs.mkdir()
    script = f"#!{sys.executable}\nimport sys\nfrom harness.cli import main\n"
    script += (
        "words = sys.argv[1:]\nif words[0] in ('run', 'explore', 'doctor', 'reproduce') "
        "and not {'--python', '--torch'} & {*words}:\n"
    )
    script += f"    words[1:1] = ['--python', {python!r}]\nsys.exit(main(words))\n"
    (programs / "rdzv-harness").write_text(script, encoding="utf-8")
    (programs / "rdzv-harness").chmod(0o755)
    return os.pathsep.join([str(programs), own_path()])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_command_is_executed_or_says_why_not(page: Path) -> None:
    """A command that nothing runs goes wrong unnoticed."""
    assert [problem for block in blocks(page) for problem in problems(block)] == []


@pytest.mark.parametrize("page", pages(with_torch=False, at_night=False), ids=name)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    """From top to bottom, in one folder with the scenarios and the files that the page writes."""
    chosen = executed(page, with_torch=False, at_night=False)
    assert list(run_in_order(page, chosen, tmp_path, own_path())) == []


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.parametrize("page", pages(with_torch=True, at_night=True), ids=name)
def test_all_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path, path_with_torch: str) -> None:
    """Also those that play scenarios, and those that need torch."""
    chosen = executed(page, with_torch=True, at_night=True)
    folder = tmp_path / "page"
    folder.mkdir()
    assert list(run_in_order(page, chosen, folder, path_with_torch)) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_command_hides_in_an_indented_block(page: Path) -> None:
    """Where no mark could stand; blocks of commands are fenced."""
    text = re.sub(r"^(```+).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    programs = r"(?:\$ |rdzv-harness|pytest|pip|python3?|torchrun|docker|tox|mypy|ruff|\.ci/)"
    assert re.findall(rf"(?<=\n\n)    {programs}\b.*", text) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_the_pages_can_be_read(page: Path) -> None:
    """YAML is YAML, a scenario is one, Python compiles. Scenarios with the page's own members are played at night."""
    has_members = any("rdzv_harness." in block.text for block in blocks(page))
    for block in blocks(page):
        if block.title.endswith(".rdzv.yaml") and not has_members:
            load_text(block.text, Path(block.title))
        elif block.language == "yaml":
            list(YAML(typ="safe", pure=True).load_all(block.text))
        elif block.title.endswith(".py"):
            compile(block.text, block.title, "exec")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```sh\nls\n```\n", "say `<!-- executed -->`"),
        ("<!-- not executed: -->\n```sh\nls\n```\n", "is no mark"),
        ("<!-- executed sometimes -->\n```sh\nls\n```\n", "is no mark"),
        ("<!-- executed -->\n```yaml\na: 1\n```\n", "has no mark"),
        ("<!-- executed by tests/docs/nowhere.py -->\n```sh\nls\n```\n", "there is no tests/docs/nowhere.py"),
        ("<!-- executed -->\n\n```console\n$ ls\n```\n", "say `<!-- executed -->`"),
    ],
)
def test_a_block_without_a_mark_is_noticed(text: str, said: str) -> None:
    """No mark, none that can be read, one where none belongs, or one that stands apart."""
    (found,) = [problem for block in blocks(PAGES[0], text) for problem in problems(block)]
    assert said in found


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    """By its exit code, in each line of a block, and a pipe's in each of its parts."""
    for commands, code in (("true", 0), ("false\ntrue", 1), ("false | true", 1), ("$ exit 3\noutput", 3)):
        (block,) = blocks(PAGES[0], f"<!-- executed -->\n```sh\n{commands}\n```\n")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.commands], cwd=tmp_path, check=False)
        assert done.returncode == code
