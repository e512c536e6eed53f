"""Builds the pinned toxiproxy-server from its public Go module into the cache; called by an explicit command only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.machine.toxiproxy.server import VERSION, cache_path, version_of
from harness.values.errors import HarnessError

MODULE = "github.com/Shopify/toxiproxy/v2"
GO_NEEDED = (1, 23)
_WAYS_WITHOUT_GO = (
    "install Go >= 1.23 (https://go.dev/dl/), or download toxiproxy-server from "
    "https://github.com/Shopify/toxiproxy/releases, put it on PATH or name it by RDZV_TOXIPROXY_SERVER"
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def install(cache_dir: Path | None = None, run: Run = subprocess.run) -> Path:
    """Build toxiproxy-server into the cache, unless it is there already; returns its path.

    Args:
        cache_dir: the folder for it; default: the one where `server.find_server` looks.
        run: `subprocess.run`, which tests replace.

    Raises HarnessError if Go is missing, too old, or cannot build; the text says what to do.
    """
    target = cache_path() if cache_dir is None else cache_dir / cache_path().name
    if version_of(target) == VERSION:
        return target
    go = _go(run)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as build:
        _build(go, Path(build), run)
        built = Path(build) / "server"
        version = version_of(built)
        if version != VERSION:
            raise HarnessError(f"the build of {MODULE} reports version {version}, not {VERSION}; {_WAYS_WITHOUT_GO}")
        os.replace(built, target)  # atomic: another process sees the whole binary or none
    return target


def _go(run: Run) -> str:
    go = shutil.which("go")
    if go is None:
        raise HarnessError(f"there is no `go` on PATH to build toxiproxy-server with; {_WAYS_WITHOUT_GO}")
    reported = run([go, "env", "GOVERSION"], capture_output=True, text=True).stdout.strip()
    version = re.match(r"go(\d+)\.(\d+)", reported)
    if version and (int(version[1]), int(version[2])) < GO_NEEDED:
        raise HarnessError(f"{go} is {reported}, and toxiproxy {VERSION} needs Go >= 1.23; {_WAYS_WITHOUT_GO}")
    return go


def _build(go: str, directory: Path, run: Run) -> None:
    """`go install` of the pinned module, static, and stamped: an unstamped build reports the version `git`."""
    environment: dict[str, Any] = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(directory), "GOFLAGS": ""}
    stamp = f"-s -w -X {MODULE}.Version={VERSION}"
    built = run(
        [go, "install", "-ldflags", stamp, f"{MODULE}/cmd/server@v{VERSION}"],
        env=environment,
        cwd=directory,  # outside any Go module of the user's
        capture_output=True,
        text=True,
    )
    if built.returncode:
        raise HarnessError(
            f"`go install {MODULE}/cmd/server@v{VERSION}` failed:\n{built.stderr.strip()}\n{_WAYS_WITHOUT_GO}"
        )
