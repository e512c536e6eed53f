"""Where a torch is that an interpreter does not find, and how it can be reached: advice for the user."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

# `lib/python3.12/site-packages` of a venv or of conda, `dist-packages` of Debian.
_FOLDERS = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib64/python3*/site-packages")
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")


def elsewhere(python: Path, prefix: str, environment: Mapping[str, str], root: Path) -> Iterator[str]:
    """What was seen beside an interpreter without torch, each with what to do; nothing is run.

    Args:
        prefix: the interpreter's `sys.prefix`.
        environment: of this process: its PYTHONPATH and active environments.
        root: the folder that the harness is imported from, which ranks do not get.
    """
    paths = [Path(path) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    if any(path.resolve() == root for path in paths) and _has_torch(root):
        yield (
            f"PYTHONPATH names {root}, which has one, but the harness lies there too, and ranks get no packages from "
            f"beside it: write that path into a file torch.pth in a site-packages folder of {python}"
        )
    for name in _ACTIVE:
        active = environment.get(name, "")
        if active and os.path.realpath(active) != os.path.realpath(prefix) and _sites_with_torch(Path(active)):
            yield f"{name} is {active}, which has one: give --python {active}/bin/python"
    base = _base_of(Path(prefix))
    if base is not None and _sites_with_torch(base):
        yield (
            f"{base}, from which this environment was made, has one: write `include-system-site-packages = true` into "
            f"{prefix}/pyvenv.cfg"
        )


def _base_of(prefix: Path) -> Path | None:
    """The installation that a virtual environment was made from, as its pyvenv.cfg says."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    settings = {name.strip().lower(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    if settings.get("include-system-site-packages", "").lower() == "true" or not settings.get("home"):
        return None
    return Path(settings["home"]).parent


def _sites_with_torch(prefix: Path) -> list[Path]:
    return [site for pattern in _FOLDERS for site in prefix.glob(pattern) if _has_torch(site)]


def _has_torch(folder: Path) -> bool:
    return (folder / "torch" / "__init__.py").is_file()
