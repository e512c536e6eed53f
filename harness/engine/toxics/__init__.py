"""The toxics, one file each, Toxiproxy's own and, with `x_` before their names, those that it does not have."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import all of them; each registers itself."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
