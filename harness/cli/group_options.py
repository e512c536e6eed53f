"""The options of the commands that have a group of their own, as `options` has those of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Base = Annotated[
    str | None,
    typer.Option(
        metavar="IMAGE", help="what the ranks' image is built on; by default a public image, else Debian's packages"
    ),
]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="build also what is up to date")]
Checkout = Annotated[
    Path | None, typer.Option(metavar="DIR", help="build the image of the harness too, from this checkout")
]
Torch = Annotated[
    str, typer.Option(metavar="WORDS", help="what pip installs in it too: 'torch numpy'; by default it has no torch")
]
TorchVersions = Annotated[list[str], typer.Argument(metavar="VERSION...", help="2.9.1, or 2.9 for its newest patch")]
TorchLimit = Annotated[
    str,
    typer.Option(
        metavar="SIZE", help="what all versions may take on disk; those used the longest ago are removed; as 40GB"
    ),
]
Available = Annotated[bool, typer.Option("--available", help="every release that the package index has, from 2.6 on")]
EngineDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="a folder for everything of the engine")]
VersionsAsJson = Annotated[
    bool, typer.Option("--json", help="only the versions, as an array: the matrix of a job in CI")
]
DiffForm = Annotated[str, typer.Option("--format", metavar="FORM", help="text or md")]

ApiPort = Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="of the API; 0 is any free one")]
ApiHost = Annotated[str, typer.Option(metavar="ADDRESS", help="where the API listens")]
EngineSeed = Annotated[
    str | None, typer.Option(metavar="TEXT", help="seed of everything random; by default drawn, and printed")
]
AllowHost = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="a further host that requests may name; repeatable")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="the token that all requests must carry; default: $RDZV_TOXIPROXY_TOKEN, or none"
    ),
]
