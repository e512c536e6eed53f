"""The examples that ship with the harness, to be copied: folders of a program, scenarios that break it, and a page."""

from __future__ import annotations

import re
from pathlib import Path

from harness import __version__
from harness.reference.addresses import REPOSITORY, SCHEMA_LINE
from harness.values.errors import UsageError
from harness.values.printable import printable
from harness.values.suggest import nearest

# Each is a link to its folder of examples/ in a checkout, a folder in an installed package.
FOLDER = Path(__file__).parents[1] / "builtin_examples"

_PAGE = "README.md"


def names() -> list[str]:
    """Of each example the name, which is that of its folder, sorted."""
    return sorted(page.parent.name for page in FOLDER.glob(f"*/{_PAGE}"))


def copy_of(name: str) -> dict[str, str]:
    """The files of an example as they stand in a copy: of each its name and its text.

    Raises UsageError with what may have been meant if there is no such example.
    """
    if name not in names():
        close = nearest(name, names())
        hint = f"did you mean {close}?" if close else f"there is {', '.join(names())}"
        raise UsageError(f"{printable(name)}: no example of that name; {hint}")
    files = sorted(path for path in (FOLDER / name).iterdir() if path.suffix in (".md", ".py", ".yaml"))
    return {path.name: _copied(path, name) for path in files}


def _copied(path: Path, name: str) -> str:
    """Its text, understood outside of a checkout: absolute links, and where a scenario comes from."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        return f"{SCHEMA_LINE}# From the example {name} of rdzv-harness {__version__}.\n{text}"
    if path.suffix == ".md":
        text = re.sub(r"^<!-- (?:not )?executed.*-->\n", "", text, flags=re.MULTILINE)
        return text.replace("](../../", f"]({REPOSITORY}/blob/main/")
    return text
