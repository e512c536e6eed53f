"""The names of the checks in a module that runs only inside an interpreter with torch."""

from __future__ import annotations

import ast
from pathlib import Path


def names_in(module: str) -> list[str]:
    source = Path(__file__).with_name("inside") / f"{module}.py"
    found = ast.walk(ast.parse(source.read_text()))
    return [node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
