"""Builds the image of the harness itself from a checkout and from wheels that this machine's pip fetches."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.machine.docker.images import (
    BASE_LABEL,
    FILES,
    HARNESS,
    PROXY,
    RECIPE_LABEL,
    Say,
    build_in,
    digest,
    remove_superseded,
)
from harness.values.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from docker import DockerClient

_FETCHED_WITHIN_S = 900
# Oldest first; pip accepts a wheel for any of them.
_PLATFORMS = ("manylinux1", "manylinux2010", "manylinux2014", "manylinux_2_5", "manylinux_2_17", "manylinux_2_28")


def build(client: DockerClient, checkout: Path, base: str, torch: str = "", tell: Say = print) -> None:
    """Build `rdzv-harness/harness` on a base, with the proxy server of the image `rdzv-harness/proxy`.

    The build itself needs no network: pip fetches wheels for the base's Python here, where its settings are.

    Args:
        torch: additional requirements for pip, `torch numpy`; empty: no torch, for the subject echo or a mounted torch.

    Raises UsageError for a folder that is not a checkout, HarnessError if pip or the build fails.
    """
    if not (checkout / "pyproject.toml").is_file() or not (checkout / "scenarios").is_dir():
        raise UsageError(f"{checkout} is not a checkout of the harness; name the folder with its pyproject.toml")
    version, machine = _python_of(client, base)
    with tempfile.TemporaryDirectory(prefix="rdzv-image-") as folder:
        context = Path(folder)
        shutil.copy(FILES / "harness" / "Dockerfile", context / "Dockerfile")
        shutil.copytree(checkout / "scenarios", context / "scenarios")
        _fetch(context / "wheels", checkout, version, machine, torch)
        install = "--no-index --find-links /source/wheels rdzv-harness"
        arguments = {"BASE": base, "PROXY": PROXY, "INSTALL": install, "TORCH": torch}
        build_in(client, HARNESS, context, arguments, {RECIPE_LABEL: digest(torch.encode()), BASE_LABEL: base})
    remove_superseded(client)
    tell(f"{HARNESS}: built on {base}, " + (f"with {torch}" if torch else "without torch"))


def _python_of(client: DockerClient, base: str) -> tuple[str, str]:
    """The Python version and the machine of an image: (`3.11`, `x86_64`)."""
    question = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.machine())"
    answer = client.containers.run(base, ["python3", "-c", question], remove=True, network_mode="none")
    version, machine = bytes(answer).decode().split()
    return version, machine


def _fetch(wheels: Path, checkout: Path, version: str, machine: str, torch: str) -> None:
    """Build the harness's wheel, then fetch everything that it and torch need, for another Python than this one."""
    source = wheels.parent / "checkout"
    # From a copy, because setuptools writes into the folder that it builds.
    shutil.copytree(checkout / "harness", source / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(checkout / name, source / name)
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source))
    shutil.rmtree(source)
    (own,) = wheels.glob("rdzv_harness-*.whl")
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_{machine}")]
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", version, *platforms]
    _pip("download", "--dest", str(wheels), *target, str(own), *shlex.split(torch))


def _pip(*words: str) -> None:
    command: Sequence[str] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_FETCHED_WITHIN_S)
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"{shlex.join(command)} took longer than {_FETCHED_WITHIN_S} s; try again") from late
    if ran.returncode:
        raise HarnessError(f"{shlex.join(command)} failed:\n{ran.stderr.strip()[-1500:]}\nrepair pip, or its network")
