"""Where the project is found, for files and messages that must name it; `pyproject.toml` says the same."""

from __future__ import annotations

from harness import __version__

REPOSITORY = "https://github.com/rdzv-harness/rdzv-harness"
DOCS = "https://rdzv-harness.github.io/rdzv-harness"
SCHEMA = f"{DOCS}/schema/{__version__}.json"
"""The JSON Schema of this version: its `$id`, and a file of the docs."""
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA}\n"
"""What tells an editor which schema a scenario has."""
