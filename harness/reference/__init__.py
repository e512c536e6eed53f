"""The format written down, from the loader's models: explanations, JSON Schema, the format's page, templates."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.reference.explanation import explain
    from harness.reference.json_schema import schema
    from harness.reference.templates import template

# pydantic takes a tenth of a second to import: only a program that asks for a text pays for it.
_WHERE = {"schema": "json_schema", "explain": "explanation", "template": "templates"}

__all__ = ["explain", "schema", "template"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
