"""The distributions as they are released: each is built at most once in a session."""

from __future__ import annotations

import fcntl
from importlib import metadata
from pathlib import Path

import pytest
from building import NEEDED, Build, built, copy_tree
from packaging.version import Version


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Build:
    """With xdist all workers share what one of them has built. Skipped where setuptools is too old."""
    if Version(metadata.version("setuptools")) < NEEDED:
        pytest.skip(f"needs setuptools {NEEDED} or later; pip install -r .ci/requirements.txt has one")
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "distributions"
    shared.mkdir(exist_ok=True)

    def once(kind: str, folder: Path) -> Path:
        place = shared / f"{folder.name or 'harness'}-{kind}"
        with open(shared / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / "tree").exists():
                copy_tree(shared / "tree")
            if not place.exists():
                built(kind, shared / "tree" / folder, place)
        (made,) = place.iterdir()
        return made

    return once
