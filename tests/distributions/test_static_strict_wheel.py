"""`rdzv-static-strict`: the rendezvous by itself, from the same files, for images of training jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from building import HARNESS, ROOT, SDIST, STRICT, WHEEL, Build, unpacked, wheel_of
from packaging.metadata import Metadata

from harness import __version__

RENDEZVOUS = ROOT / "harness" / "rendezvous"

# Two ranks in one process, as torchrun makes their handlers; torch finds the backend by its entry point.
JOIN = """
import json, socket, sys, threading
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
joined, handlers = {}, []

def join(rank):
    params = RendezvousParameters("static-strict", f"127.0.0.1:{port}", "job", 2, 2, rank=rank, timeout=60)
    handler = get_rendezvous_handler(params)
    info = handler.next_rendezvous()
    if rank == 0:
        info.store.set("said", "by 0")
    handlers.append((handler, info.store))
    joined[rank] = (info.rank, info.world_size, info.store.get("said").decode(), type(handler).__module__)

ranks = [threading.Thread(target=join, args=(rank,)) for rank in (0, 1)]
for thread in ranks:
    thread.start()
for thread in ranks:
    thread.join()
print(json.dumps([joined.get(0), joined.get(1), "harness" in sys.modules]))
"""


@pytest.fixture
def site(build: Build, tmp_path: Path) -> Path:
    """A folder with what the wheel installs."""
    with zipfile.ZipFile(build(WHEEL, STRICT)) as wheel:
        wheel.extractall(tmp_path / "site")
    return tmp_path / "site"


def test_it_is_the_same_files_under_a_name_of_its_own(site: Path) -> None:
    """No folder `harness` that the harness's own package would share."""
    files = {path for path in RENDEZVOUS.iterdir() if path.is_file()}
    package = site / "rdzv_static_strict"
    assert {path.name: path.read_bytes() for path in package.iterdir()} == {one.name: one.read_bytes() for one in files}
    assert {path.name for path in site.iterdir()} == {package.name, f"rdzv_static_strict-{__version__}.dist-info"}


def test_it_shares_no_file_with_the_harness(build: Build) -> None:
    """So both are installed together, and either is uninstalled without harm to the other."""
    assert _files(build(WHEEL, STRICT)).keys() & _files(build(WHEEL, HARNESS)).keys() == set()


def test_it_needs_nothing_and_is_of_the_same_version(site: Path) -> None:
    """Not even torch, which the image brings: a requirement could replace the build that it has."""
    about = Metadata.from_email((site / f"rdzv_static_strict-{__version__}.dist-info" / "METADATA").read_bytes())
    assert about.requires_dist is None
    assert about.license_expression == "BSD-3-Clause"


@pytest.mark.nightly
def test_its_sdist_builds_the_same_wheel(build: Build, tmp_path: Path) -> None:
    """Although the link to its source leads out of its folder in a checkout."""
    source = unpacked(build(SDIST, STRICT), tmp_path / "unpacked")
    again, first = wheel_of(source, tmp_path / "wheel"), build(WHEEL, STRICT)
    assert _files(again) == _files(first)


def _files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_its_entry_point_needs_no_other_package(site: Path) -> None:
    """It loads in an interpreter that has neither torch nor the harness: torch loads it in every process."""
    program = (
        "from importlib.metadata import distribution\n"
        "(one,) = distribution('rdzv-static-strict').entry_points\n"
        "print(one.group, one.name, one.load()().__module__)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "torchrun.handlers static-strict rdzv_static_strict.entry\n"


@pytest.mark.needs_torch
def test_torch_finds_it_and_two_ranks_join(site: Path, rank_python: str, tmp_path: Path) -> None:
    """By the name `static-strict`, without the harness."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    ran = subprocess.run([rank_python, "-c", JOIN], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    module = "rdzv_static_strict.static"
    assert json.loads(ran.stdout) == [[0, 2, "by 0", module], [1, 2, "by 0", module], False]
