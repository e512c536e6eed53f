"""Packages that exist for tests only: modules beside the metadata of an installed distribution."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a command of rdzv-harness; `sites` are folders with packages."""

Program = Callable[..., str]
"""Runs a program with the same `sites`; what it prints."""


def install(folder: Path, name: str, modules: Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """Put version 1.0 of a package into a folder that is, or will be, on the search path.

    Args:
        modules: source text by module name.
        entry_points: by group, what each name leads to.
    """
    folder.mkdir(exist_ok=True)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{kind} = {value}" for kind, value in values.items())])
        for group, values in entry_points.items()
    ]
    (metadata / "entry_points.txt").write_text("\n\n".join(groups) + "\n", encoding="utf-8")
