"""The sample package, installed into a folder of its own; commands see it through PYTHONPATH."""

from __future__ import annotations

import configparser
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packages import Command, Program

SAMPLE = Path(__file__).parents[1] / "sample_package"
PATIENCE_S = 120


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into."""
    folder = tmp_path_factory.mktemp("sample")
    # The build leaves files beside the sources.
    source = Path(shutil.copytree(SAMPLE, folder / "source"))
    site = folder / "site"
    if all(importlib.util.find_spec(name) for name in ("pip", "setuptools", "wheel")):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--target", str(site), str(source)], check=True, timeout=PATIENCE_S)
    else:
        _unpack(source, site)
    return site


def _unpack(source: Path, site: Path) -> None:
    """What installing comes to: the modules, and the entry points of pyproject.toml as metadata."""
    shutil.copytree(source / "rdzv_sample", site / "rdzv_sample")
    project = configparser.ConfigParser()
    project.read(source / "pyproject.toml")
    metadata = site / "rdzv_sample-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rdzv-sample\nVersion: 1.2\n")
    with open(metadata / "entry_points.txt", "w") as file:
        for section in project.sections():
            if section.startswith("project.entry-points."):
                print(f"[{section.split('.', 2)[2].strip(chr(34))}]", file=file)
                print(
                    *(f"{name} = {value.strip(chr(34))}" for name, value in project[section].items()),
                    sep="\n",
                    file=file,
                )


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs a command of rdzv-harness where the packages of these folders are installed."""

    def command(*words: str | Path, sites: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        return _run(["-m", "harness.cli", *map(str, words)], tmp_path, sites)

    return command


@pytest.fixture
def python(tmp_path: Path) -> Program:
    """Runs a program there; what it prints."""

    def python(program: str, sites: tuple[Path, ...] = ()) -> str:
        done = _run(["-c", program], tmp_path, sites)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


def _run(words: list[str], folder: Path, sites: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    paths = [*map(str, sites), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
