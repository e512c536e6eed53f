"""Scenario files: YAML to frozen values, one per cell of the matrix, or every problem of the file at once."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.loader.finding import discover
    from harness.loader.keys.members import catalogue
    from harness.loader.reading import is_scenario, load, load_keys, load_mapping, load_text
    from harness.loader.writing import written

# pydantic and ruamel.yaml take a tenth of a second to import: only a program that loads a scenario pays for them.
_WHERE = {
    "load": "reading",
    "load_text": "reading",
    "is_scenario": "reading",
    "load_keys": "reading",
    "load_mapping": "reading",
    "written": "writing",
    "discover": "finding",
    "catalogue": "keys.members",
}

__all__ = ["catalogue", "discover", "is_scenario", "load", "load_keys", "load_mapping", "load_text", "written"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
