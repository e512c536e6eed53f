"""Commands that pages name in a line or in a block use commands and options that there are, also where nothing runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from blocks import PAGES, ROOT, blocks

from harness.cli.app import app
from harness.pytest_plugin.options import OPTIONS

PROGRAM = "rdzv-harness"
COMMANDS: Any = typer.main.get_command(app)
PYTEST_OPTIONS = {option.flag for option in OPTIONS}


def named_commands(text: str) -> Iterator[str]:
    """Commands of the harness in lines of prose and in blocks; a line that ends with a backslash goes on."""
    joined = text.replace("\\\n", " ")
    for match in re.finditer(rf"(?<![\w/=-]){PROGRAM} [a-z][^`\n|)]*", joined):
        yield re.split(r" #| && |; | \| |[\"']?$| >", match[0].replace("\\", ""))[0]


def mistakes(command: str) -> Iterator[str]:
    """Commands and options in it that there are not."""
    try:
        words = shlex.split(command)[1:]
    except ValueError:
        words = command.split()[1:]
    here = COMMANDS
    while words and hasattr(here, "commands"):
        word = words.pop(0).rstrip(".,:;")
        if word.isupper():
            return
        found = here.commands.get(word)
        if found is None:
            yield f"there is no command {word!r}"
            return
        here = found
    known = {option for parameter in here.params for option in [*parameter.opts, *parameter.secondary_opts]}
    for word in words[: words.index("--")] if "--" in words else words:
        option = word.partition("=")[0].rstrip(".,:;")
        if re.fullmatch(r"--[a-z][\w-]*|-[a-z]", option) and option not in known | {"--help", "-h"}:
            yield f"{here.name} has no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_options_exist(page: Path) -> None:
    """What a page tells people to type is understood."""
    text = page.read_text(encoding="utf-8")
    code = [span[1] for span in re.findall(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", text)]
    code += [block.commands for block in blocks(page) if block.is_shell]
    commands = [command for piece in code for command in named_commands(piece)]
    assert [f"{command}: {said}" for command in commands for said in mistakes(command)] == []
    options = {option for piece in code for option in re.findall(r"--rdzv-[\w-]+(?=[ =`]|$)", piece)}
    assert options - PYTEST_OPTIONS - TORCHRUN == set()


TORCHRUN = {"--rdzv-backend", "--rdzv-conf", "--rdzv-endpoint", "--rdzv-id"}
"""Options of torchrun that begin alike."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rdzv-harness rum scenarios", ["there is no command 'rum'"]),
        ("rdzv-harness run x --repeats 3", ["run has no option --repeats"]),
        ("rdzv-harness findings show CAUSE --quiet", ["show has no option --quiet"]),
        ("rdzv-harness run x \\\n  --jbs 3 -k y # --not read", ["run has no option --jbs"]),
        ("rdzv-harness run x --subject command -- ./my --own", []),
        ("$ RDZV=1 rdzv-harness explain WORD", []),
        ("rdzv-harness COMMAND --help", []),
    ],
)
def test_what_does_not_exist_is_noticed(text: str, said: list[str]) -> None:
    """Commands of groups too; what stands behind `--` or in a comment is not the harness's."""
    assert [problem for command in named_commands(text) for problem in mistakes(command)] == said
