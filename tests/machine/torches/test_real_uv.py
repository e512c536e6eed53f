"""The real program uv installs small wheels that are called torch and numpy: what the fake one takes for granted."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from harness.machine.torches import torches
from harness.machine.torches.index import NoSuchTorch
from harness.machine.torches.uv import PYTHON

pytestmark = [pytest.mark.nightly]


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """A package of two files, and a program that imports it."""
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    information = f"{name}-{version}.dist-info"
    contents = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{name}/data.txt": f"{name} {version}\n" * 1000,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": f"[console_scripts]\n{name}run = {name}:run\n",
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{information}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**contents, f"{information}/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in place of an index: three releases of torch, which share numpy and a library."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for version, library in (("2.6.0", "1.0"), ("2.9.0", "2.0"), ("2.9.1", "2.0")):
        wheel(folder, "torch", version, f"cudalibrary=={library}")
    for name, version in (("numpy", "2.0"), ("cudalibrary", "1.0"), ("cudalibrary", "2.0")):
        wheel(folder, name, version)
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))  # pip's settings count where uv has none
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("RDZV_TORCHES", str(tmp_path / "torches"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def copies(folder: Path, name: str) -> set[int]:
    """The different files of that name below a folder; a hard link is no other file."""
    return {path.stat().st_ino for path in folder.rglob(name) if not path.is_symlink()}


def test_versions_share_their_files_and_are_removed_one_by_one(links: Path, tmp_path: Path):
    """Each package is on the disk once; a removal frees what no other version needs, and uv fetches that again."""
    said: list[str] = []
    for version in ("2.6.0", "2.9.0", "2.9.1"):
        with torches.use(version, said.append) as environment:
            assert environment.python.startswith(f"{PYTHON}.")
            assert environment.interpreter.parent.joinpath("torchrun").read_text().count(str(tmp_path)) == 0
    folder = tmp_path / "torches"
    assert len(copies(folder, "data.txt")) == 3 + 1 + 2  # torch, numpy, the library
    assert [line.split(":")[1].split(",")[0] for line in said] == [" 3 packages"] * 3
    assert torches.available() == ("2.6.0", "2.9.0", "2.9.1")
    assert torches.remove("2.6.0") == "2.6.0"
    assert len(copies(folder, "data.txt")) == 2 + 1 + 1
    assert [one.version for one in torches.installed()] == ["2.9.0", "2.9.1"]
    torches.install("2.6", said.append)
    assert len(copies(folder, "data.txt")) == 6


def test_a_release_that_is_not_on_the_index_is_told_from_an_index_that_does_not_answer(
    links: Path, monkeypatch: pytest.MonkeyPatch
):
    """By what uv says of each."""
    with pytest.raises(NoSuchTorch, match=r"did you mean 2\.9\.1\? the index has 2\.6\.0, 2\.9\.0, 2\.9\.1$"):
        torches.interpreter("2.9.2", print)
    monkeypatch.setenv("PIP_FIND_LINKS", str(links / "nowhere"))
    with pytest.raises(Exception, match=r"^`uv pip compile` failed: .*nowhere"):
        torches.interpreter("2.9.1", print)
