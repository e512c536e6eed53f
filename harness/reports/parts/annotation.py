"""GitHub's workflow commands: a message at a line of a file, as its runner reads it in a log."""

from __future__ import annotations

import os
from pathlib import Path


def annotation(level: str, message: str, file: str, line: int, title: str) -> str:
    """`::error file=...,line=...,title=...::message`, of one line.

    Args:
        level: `error`, `warning` or `notice`.
        file: from the root of the repository.
    """
    properties = {"file": file, "line": str(line), "title": title}
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {said}::{_data(message)}"


def in_repository(path: str, root: str) -> str:
    """A path from the root of the repository; as it is where it lies elsewhere, or no root is known."""
    whole = Path(os.path.abspath(path))
    return str(whole.relative_to(root)) if root and whole.is_relative_to(root) else path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
