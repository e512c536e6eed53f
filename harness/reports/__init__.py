"""Reports: one file for each kind, which registers itself under the file's name."""

from __future__ import annotations

import pkgutil


def kinds() -> list[str]:
    """The kinds that are files here, by their names; imports none of them, so that `--help` is quick."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if module.name != "base" and not module.ispkg
    )
