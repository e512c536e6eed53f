"""The options of `doctor` that are about the track record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import known_values as known

Torch = Annotated[
    str | None,
    typer.Option(
        "--torch",
        metavar="VERSION",
        help="print what the track record knows of this torch, in place of the checks; as 2.9.1, or 2.9",
        autocompletion=known.recorded_torches,
    ),
]
Record = Annotated[
    Path | None,
    typer.Option("--record", metavar="DIR", help="the track record; by default the one that ships with the harness"),
]
