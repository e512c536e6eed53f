"""An interpreter is examined without importing its torch, and refused with what to do."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.machine.process.interpreter import clean_environment, examine, require
from harness.machine.process.torch_elsewhere import elsewhere
from harness.values.errors import UsageError


@pytest.fixture
def with_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A function that makes this interpreter look as if it had a given torch."""

    def pretend(version: str) -> None:
        folder = tmp_path / f"torch-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return pretend


def python_that_says(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_interpreter_with_a_torch_is_fit(with_torch) -> None:
    """Python, torch and prefix are read without an import: there is no torch to import."""
    with_torch("2.15.0+cpu")
    info = require(Path(sys.executable))
    assert (info.version, info.torch, info.prefix) == (platform.python_version(), "2.15.0+cpu", sys.prefix)


@pytest.mark.parametrize("version", ["2.5.1", "1.13.0+cu117"])
def test_torch_that_is_too_old_is_refused(with_torch, version: str) -> None:
    """The error names both versions and the command that upgrades."""
    with_torch(version)
    with pytest.raises(UsageError, match=r"2\.6 is the oldest") as refusal:
        require(Path(sys.executable))
    assert f"torch {version}" in str(refusal.value)
    assert "pip install 'torch>=2.6'" in str(refusal.value)


@pytest.mark.parametrize("version", ["2.6.0", "2.10.0", "3.0.0a1"])
def test_numbers_of_versions_are_compared_as_numbers(with_torch, version: str) -> None:
    """2.10 is newer than 2.6."""
    with_torch(version)
    assert examine(Path(sys.executable)).problem == ""


def test_interpreter_without_torch_is_refused_where_torch_is_needed(tmp_path: Path) -> None:
    """`echo` and `command` do not need it."""
    python = python_that_says(tmp_path, """echo '{"version": "3.12.1", "prefix": "/usr", "torch": null}'""")
    with pytest.raises(UsageError, match="has no torch; install it"):
        require(python)
    assert require(python, needs_torch=False).version == "3.12.1"


def test_python_that_is_too_old_is_always_refused(tmp_path: Path) -> None:
    """Not even `echo` runs there."""
    python = python_that_says(tmp_path, """echo '{"version": "3.8.10", "prefix": "/usr", "torch": "2.6.0"}'""")
    with pytest.raises(UsageError, match=r"Python 3\.8\.10, and 3\.9 is the oldest"):
        require(python, needs_torch=False)


def installed(prefix: Path) -> Path:
    """A folder of packages below a prefix, with a torch."""
    site = prefix / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    (site / "torch").mkdir(parents=True)
    (site / "torch" / "__init__.py").write_text("__version__ = '2.9.0'\n")
    (site / "torch" / "version.py").write_text("__version__ = '2.9.0'\n")
    return site


def environment(folder: Path, *options: str) -> Path:
    """The interpreter of a new virtual environment without packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, str(folder)], check=True)
    return folder / "bin" / "python"


def test_a_torch_behind_a_pth_file_is_found(tmp_path: Path) -> None:
    """Its version is read where the file leads."""
    python = environment(tmp_path / "venv")
    site = next((tmp_path / "venv").glob("lib/python3*/site-packages"))
    (site / "torch.pth").write_text(f"{installed(tmp_path / 'other')}\n")
    assert require(python).torch == "2.9.0"


@pytest.mark.parametrize(("options", "version"), [((), None), (("--system-site-packages",), "2.9.0")])
def test_a_torch_of_the_base_is_found_where_its_packages_are_let_in(
    tmp_path: Path, options: tuple[str, ...], version: str | None
) -> None:
    """The base is an installation with the standard library of this one, and packages of its own."""
    library = installed(tmp_path / "base").parent
    ours = Path(os.__file__).parent
    for part in ours.iterdir():
        if part.name != "site-packages":
            (library / part.name).symlink_to(part)
    python = environment(tmp_path / "venv", *options)
    settings = tmp_path / "venv" / "pyvenv.cfg"
    settings.write_text(re.sub("(?m)^home = .*$", f"home = {tmp_path}/base/bin", settings.read_text()))
    assert examine(python).torch == version


def test_a_torch_of_conda_is_found_by_its_egg_info(tmp_path: Path) -> None:
    """Conda's packages have other metadata than those of pip."""
    python = environment(tmp_path / "venv")
    site = next((tmp_path / "venv").glob("lib/python3*/site-packages"))
    egg = site / "torch-2.9.0-py3.11.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.0\n")
    assert require(python).torch == "2.9.0"


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_without_torch_the_active_environment_that_has_one_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The harness may be installed apart from it; what is printed is the option to give."""
    installed(tmp_path / "env")
    monkeypatch.setenv(name, str(tmp_path / "env"))
    python = python_that_says(tmp_path, """echo '{"version": "3.12.1", "prefix": "/usr", "torch": null}'""")
    with pytest.raises(UsageError, match=rf"{name} is .*: give --python {tmp_path}/env/bin/python"):
        require(python)


def test_without_torch_that_of_the_base_is_suggested(tmp_path: Path) -> None:
    """A virtual environment without the packages of its base says which line lets them in."""
    installed(tmp_path / "base")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {tmp_path}/base/bin\ninclude-system-site-packages = false\n")
    said = f'{{"version": "3.12.1", "prefix": "{tmp_path}/venv", "torch": null}}'
    with pytest.raises(UsageError, match=r"include-system-site-packages = true` into .*/venv/pyvenv\.cfg"):
        require(python_that_says(tmp_path, f"echo '{said}'"))


def test_a_torch_beside_the_harness_on_pythonpath_is_answered_with_a_file_that_reaches_it(tmp_path: Path) -> None:
    """Ranks do not get that folder from PYTHONPATH, so another PYTHONPATH is no advice."""
    root = installed(tmp_path)
    (hint,) = elsewhere(Path("/usr/bin/python3"), "/usr", {"PYTHONPATH": f"/x:{root}"}, root)
    assert f"PYTHONPATH names {root}" in hint
    assert "torch.pth" in hint


@pytest.mark.parametrize("what", ["absent", "folder", "text", "other"])
def test_a_path_without_an_interpreter_is_refused(tmp_path: Path, what: str) -> None:
    """Nothing, a folder, a text, another program: each with a reason, none with a traceback."""
    (tmp_path / "text").write_text("not a program")
    paths = {"absent": tmp_path / "absent", "folder": tmp_path, "text": tmp_path / "text", "other": Path("/bin/true")}
    with pytest.raises(UsageError, match="give --python") as refusal:
        require(paths[what])
    assert str(paths[what]) in str(refusal.value)


@pytest.mark.needs_torch
def test_a_real_torch_is_recognized_without_an_import(rank_python: str) -> None:
    """The version in the metadata is that of the import."""
    shown = subprocess.run(
        [rank_python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True
    )
    info = require(Path(rank_python))
    assert (info.torch or "").split("+")[0] == shown.stdout.strip().split("+")[0]


def test_ranks_get_an_environment_that_is_clean() -> None:
    """Names are matched whole: a variable that only contains one stays, and given ones take precedence."""
    given = {"MASTER_PORT": "1", "KEPT": "given"}
    unwanted = "RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR MASTER_PORT TORCH_LOGS TORCHELASTIC_RUN_ID http_proxy NO_PROXY"
    unwanted += " LD_PRELOAD COVERAGE_FILE PYTEST_XDIST_WORKER"
    environment = dict.fromkeys([*unwanted.split(), "KEPT", "FRANK", "HOME"], "outer")
    assert clean_environment(environment, given) == {
        "KEPT": "given",
        "FRANK": "outer",
        "HOME": "outer",
        "MASTER_PORT": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def test_folder_of_the_harness_is_not_put_before_the_packages_of_ranks() -> None:
    """It may be a site-packages with other versions; other folders on PYTHONPATH stay."""
    root = Path(__file__).resolve().parents[3]
    paths = os.pathsep.join([str(root), "/elsewhere"])
    assert clean_environment({"PYTHONPATH": paths})["PYTHONPATH"] == "/elsewhere"
    assert "PYTHONPATH" not in clean_environment({"PYTHONPATH": str(root)})
