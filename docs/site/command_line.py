"""The page of the command line: every command with its options, as typer describes them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "rdzv-harness"


def page(root: Path) -> str:
    """The page as Markdown, of the harness that this interpreter imports."""
    words = [sys.executable, "-m", "typer", "harness.cli.app", "utils", "docs", "--name", PROGRAM]
    text = subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout
    return tidied(text.replace(sys.executable, "the harness's own"))


def tidied(text: str) -> str:
    """Typer's page: without the option that every command has, and with whole sentences in lists of commands."""
    text = re.sub(r"^\* `(-h, )?--help`: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\*\*Options\*\*:\n\n(?=\n|$)", "", text)
    # A line that says how a command is used is no command to be copied and run.
    text = re.sub(r"```console\n\$ (.*)\n```", r"```text\n\1\n```", text)
    return "\n".join(_with_whole_lists(text)).replace(f"# `{PROGRAM}`", "# The command line", 1).rstrip() + "\n"


def _with_whole_lists(text: str) -> Iterator[str]:
    sentences = dict(re.findall(rf"^#+ `{PROGRAM} (.+)`\n\n(.+)$", text, re.MULTILINE))
    group, in_list = "", False
    for line in text.splitlines():
        heading = re.fullmatch(rf"#+ `{PROGRAM} ?(.*)`", line)
        item = re.match(r"\* `([\w-]+)`", line)
        if heading:
            group, in_list = heading[1], False
        elif line == "**Commands**:":
            in_list = True
        elif in_list and item:
            command = f"{group} {item[1]}".strip()
            line = f"* [`{item[1]}`](#{PROGRAM}-{command.replace(' ', '-')}): {sentences[command]}"
        yield line
