"""Which files the paths of a command line mean, and that only regular files are read: nothing hangs or is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.archive import create_run
from harness.cli.selecting import load_all
from harness.loader import discover, load, load_text
from harness.loader.tree.limits import LARGEST_FILE_BYTES
from harness.values.errors import ScenarioError, UsageError

SOUND = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {step: join, is: ok}
"""
NAME = "x.rdzv.yaml"
NOBODY = 65534


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOUND)
    return path


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    place = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(place)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    sound(path / "inside.rdzv.yaml")


def link_to_folder(path: Path) -> None:
    sound(path.parent / ".hidden" / NAME)
    path.symlink_to(path.parent / ".hidden")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


KINDS = [
    (pipe, "this is a FIFO"),
    (listening, "this is a socket"),
    (endless, "this is a device"),
    (folder, "this is a folder"),
    (link_to_folder, "this is a folder"),
    (dangling, "cannot be read: No such file"),
    (loop, "cannot be read: Too many levels of symbolic links"),
]


@pytest.mark.parametrize(("make", "reason"), KINDS, ids=[make.__name__ for make, _ in KINDS])
def test_what_is_no_regular_file_is_refused_by_its_name(tmp_path: Path, make: object, reason: str) -> None:
    """Named, and found in a folder; the sound files beside it hide no problem, and nothing is waited for."""
    sound(tmp_path / "a.rdzv.yaml")
    make(tmp_path / NAME)  # type: ignore[operator]
    for path in (tmp_path, tmp_path / NAME):
        with pytest.raises((ScenarioError, UsageError)) as caught:
            load_all([path])
        assert str(caught.value).startswith(f"{tmp_path / NAME}"), caught.value
        assert reason in str(caught.value)


def test_a_file_that_grows_is_read_to_the_limit_only(tmp_path: Path) -> None:
    """The size is that of what was read, whatever the file system says it is."""
    path = tmp_path / NAME
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ScenarioError, match=f"which has at most {LARGEST_FILE_BYTES} bytes; write one claim per file"):
        load(path)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, if this is root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def common_folder() -> Iterator[Path]:
    """A folder that anybody may list, also below."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    for below in path.rglob("*"):
        below.chmod(0o700)
    shutil.rmtree(path)


def test_a_folder_that_cannot_be_listed_is_an_error_that_names_it(common_folder: Path) -> None:
    """Also below a folder that can, and all of them at once: a claim that is not read must not count as kept."""
    sound(common_folder / NAME)
    closed = [common_folder / "closed", common_folder / "open" / "closed"]
    for path in closed:
        path.mkdir(parents=True)
        path.chmod(0)
    with as_nobody(), pytest.raises(UsageError) as caught:
        discover([common_folder])
    lines = str(caught.value).split("\n")
    assert [line.partition(" cannot be listed: Permission denied; ")[0] for line in lines] == list(map(str, closed))
    with as_nobody(), pytest.raises(UsageError, match=r"closed/x\.rdzv\.yaml cannot be read: Permission denied; check"):
        discover([closed[0] / NAME])


def test_a_file_that_may_not_be_read_is_an_error_that_names_it(common_folder: Path) -> None:
    """With what to check."""
    sound(common_folder / NAME).chmod(0)
    with (
        as_nobody(),
        pytest.raises(ScenarioError, match=r"x\.rdzv\.yaml: cannot be read: Permission denied; check the"),
    ):
        load_all([common_folder])


def test_a_file_is_found_once_however_it_is_named(tmp_path: Path) -> None:
    """Twice, by way of another folder, and through links to it and to its folder: under its first name."""
    path = sound(tmp_path / "a" / NAME)
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c.rdzv.yaml").symlink_to(path)
    again = [path, tmp_path / "a" / ".." / "a" / NAME, tmp_path / "b", tmp_path / "c.rdzv.yaml", tmp_path]
    assert discover(again) == [path]
    assert discover([tmp_path / "c.rdzv.yaml", path]) == [tmp_path / "c.rdzv.yaml"]


def test_folders_may_lie_as_deep_as_a_path_can_name(tmp_path: Path) -> None:
    """Deeper than Python calls functions; a folder below that is an error that names it."""
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    with open(os.open(NAME, os.O_WRONLY | os.O_CREAT, dir_fd=place), "w") as file:
        file.write(SOUND)
    os.close(place)
    try:
        assert [path.name for path in discover([tmp_path])] == [NAME]
        assert len(load_all([tmp_path])) == 1
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # Python's own way is recursive


@pytest.mark.parametrize(
    "path", ["nul\0.rdzv.yaml", "x" * 300 + ".rdzv.yaml", "x/" * 3000, f"{__file__}/x.rdzv.yaml", ""]
)
def test_a_path_that_is_none_is_an_error(tmp_path: Path, path: str) -> None:
    """Whatever the operating system says to it."""
    with pytest.raises(UsageError, match=r"(cannot be read|does not exist|no scenario in|cannot be listed)"):
        discover([tmp_path / path if path else tmp_path])


def test_names_are_safe_to_print(tmp_path: Path) -> None:
    """Escape sequences, line breaks and bytes that are no text, in every error that names a path."""
    name = "\x1b[31m\n[bold]\u202e\udcff"
    shown = "\\x1b[31m\\n[bold]\\u202e\\udcff"
    (tmp_path / f"{name}.rdzv.yaml").write_text("x")
    for path in (tmp_path / f"{name}.rdzv.yaml", tmp_path / f"{name}.absent", tmp_path):
        with pytest.raises((ScenarioError, UsageError)) as caught:
            load_all([path])
        first = str(caught.value).split("\n")[0]
        assert first.startswith(f"{tmp_path}/{shown}."), ascii(first)


@pytest.mark.parametrize("name", ["../../x", "..", "", "-rf", "a" * 250, "\x1b\n\0", "[b]", "\udcff"])
def test_a_run_directory_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    """Whatever the file, and the label of its cell, are called."""
    runs = tmp_path / "runs"
    label = '"../../../y\\n"'
    (scenario,) = load_text(SOUND + f"matrix: {{world.run_id: [{label}]}}\n", Path("z") / f"{name}.rdzv.yaml")
    run_dir = create_run(runs, scenario, {})
    assert run_dir.parent == runs
    assert list(tmp_path.iterdir()) == [runs]
    assert run_dir.name.isascii()
    assert run_dir.name.isprintable()
