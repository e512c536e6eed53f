"""The distributions as they are released: built once in a session, from a copy of the tree."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from building import NEEDED, Build, copy_tree
from packaging.version import Version


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Build:
    """With xdist all workers share what one of them has built. Skipped where setuptools is too old."""
    if Version(metadata.version("setuptools")) < NEEDED:
        pytest.skip(f"needs setuptools {NEEDED} or later; pip install -r .ci/requirements.txt has one")
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "distributions"
    shared.mkdir(exist_ok=True)
    with open(shared / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "released").exists():
            copy_tree(shared / "tree")
            command = [shared / "tree" / ".ci" / "distributions", shared / "making"]
            environment = {**os.environ, "PYTHON": sys.executable}
            ran = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            (shared / "making").rename(shared / "released")

    def released(kind: str, name: str) -> Path:
        (found,) = (shared / "released").glob(f"{name}-*{kind}")
        return found

    return released
