"""Building distributions from a copy of the tree, without the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[2]
HARNESS, STRICT = "rdzv_harness", "rdzv_static_strict"
WHEEL, SDIST = ".whl", ".tar.gz"
SOURCES = (
    ".ci/distributions",
    "harness",
    "scenarios",
    "examples",
    "docker",
    "packaging",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
"""Everything that the distributions are made of."""
NEEDED = Version("77")
"""Of setuptools: what `build-system` asks for; the lock file of CI has a later one."""

_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"

Build = Callable[[str, str], Path]
"""The file of that kind of a distribution."""


def wheel_of(source: Path, into: Path) -> Path:
    """The wheel that the folder of an sdist makes; the network is not used."""
    into.mkdir(parents=True)
    ran = subprocess.run([sys.executable, "-c", _BUILD, into], cwd=source, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (made,) = into.iterdir()
    return made


def copy_tree(target: Path) -> None:
    """Links stay links, as in a checkout; setuptools writes into the folder that it builds."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
            shutil.copytree(source, target / name, symlinks=True, ignore=ignore)
        else:
            (target / name).parent.mkdir(exist_ok=True, parents=True)
            shutil.copy(source, target / name)


def unpacked(archive: Path, into: Path) -> Path:
    """The folder of an sdist."""
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder
