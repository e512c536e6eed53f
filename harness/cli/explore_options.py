"""Options of `explore` alone, with their help."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli import known_values as known
from harness.cli.options import MOST_JOBS

ExploreJobs = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_JOBS, metavar="N", help="worlds side by side; by default four times the processors"),
]
Like = Annotated[
    str | None,
    typer.Option(
        metavar="SUBJECT",
        help="what is known of static or static-strict explains failures of a backend that is built on it",
        autocompletion=known.subjects,
    ),
]
UntilFind = Annotated[
    bool,
    typer.Option("--until-find", help="end at the first confirmed finding that is new, with exit code 1"),
]
RequireCanary = Annotated[
    bool, typer.Option("--require-canary", help="plant a claim that cannot hold; exit 3 unless it is found and shrunk")
]
Lane = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LANE",
        help="only this lane: systematic, mutation, uniform, clean, canary; repeatable",
        autocompletion=known.lanes,
    ),
]
Replay = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="play a draft of the corpus or a finding again, and explore nothing",
        autocompletion=known.findings,
    ),
]
