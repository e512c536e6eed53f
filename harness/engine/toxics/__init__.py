"""The toxics, one file each: Toxiproxy's, and with the prefix `x_` those that Toxiproxy does not have."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import all of them; each registers itself."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
