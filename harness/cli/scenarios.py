"""The scenarios and examples that ship with the harness: as a list, and as the beginning of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cli.exit_codes import AS_EXPECTED
from harness.values.errors import UsageError
from harness.values.printable import printable

SUFFIX = ".rdzv.yaml"


def list_scenarios() -> int:
    """Print of each its name, its title, its world and its tags."""
    from harness.loader import builtin, load_keys

    for name in builtin.shipped():
        keys = load_keys(builtin.file_of(name).read_text(encoding="utf-8"), name)
        print(f"{name}\n    {printable(str(keys['title']))} ({_about(keys)})")
    print(
        "\n`rdzv-harness run NAME` plays one or a folder of them, `rdzv-harness new YOURS --from NAME` copies one, "
        "and `rdzv-harness run` plays all"
    )
    return AS_EXPECTED


def _about(keys: Mapping[str, Any]) -> str:
    """`processes, 2 ranks; store, timeout`."""
    world = keys["world"]
    size = world["size"]
    ranks = f"{size} rank{'s' if str(size) != '1' else ''}"
    tags = ", ".join(map(str, keys.get("tags", ())))
    return printable(f"{world.get('kind', 'processes')}, {ranks}" + (f"; {tags}" if tags else ""))


def write_new(path: Path, text: str, instead: str) -> None:
    """Write a file that is not there yet, with its folder.

    Args:
        instead: what to choose another of if the file exists.

    Raises UsageError if it exists or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already; choose another {instead}") from None
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}); choose another --dir") from error


def new(name: str, directory: Path, source: str | None = None, job: bool = False) -> int:
    """Write a scenario to begin with: the commented template, or a copy of the built-in scenario `source`.

    Args:
        job: the template for a job of one's own, which has a program in place of steps.

    Raises UsageError for an invalid name, a file that exists, or a source that there is not.
    """
    claim = Path(name).name.removesuffix(SUFFIX)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim):
        raise UsageError(
            f"{claim!r} is not a name for a scenario; write the claim in small letters and hyphens: a-late-worker-joins"
        )
    text = _beginning(claim, source, job)
    path = directory / Path(name).parent / f"{claim}{SUFFIX}"
    write_new(path, text, "name")
    subject = " --subject command" if job else ""
    print(printable(f"{path}: run it with `rdzv-harness run {path}{subject}`"))
    return AS_EXPECTED


def new_example(name: str, directory: Path, example: str) -> int:
    """Copy an example that ships with the harness into a new folder.

    Args:
        name: of the folder, which lies in `directory`.

    Raises UsageError for a folder that exists or cannot be written, or an example that there is not.
    """
    from harness.reference import examples

    files = examples.copy_of(example)
    folder = directory / name
    if folder.exists():
        raise UsageError(f"{folder} exists already; choose another name")
    for file, text in files.items():
        write_new(folder / file, text, "name")
    print(printable(f"{folder}: run it with `cd {folder} && rdzv-harness run . --subject command`"))
    return AS_EXPECTED


def _beginning(claim: str, source: str | None, job: bool) -> str:
    from harness.reference import template

    if source is None:
        return template(claim, job)
    from harness import __version__
    from harness.loader import builtin
    from harness.reference.addresses import SCHEMA_LINE

    origin = builtin.one(source)
    text = builtin.file_of(origin).read_text(encoding="utf-8")
    return f"{SCHEMA_LINE}# From {origin} of rdzv-harness {__version__}.\n{text}"
