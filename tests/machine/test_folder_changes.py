"""Watched folders, with real files: what counts as a change, and what the system refuses."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.machine.folder_changes import FolderChanges
from harness.values.errors import HarnessError

# A change is seen in a fifth of a second; only a machine that stands still takes this long.
PATIENCE_MS = 60_000


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[FolderChanges]:
    """Watches a folder with one file."""
    (tmp_path / "file").write_text("1")
    with FolderChanges() as changes:
        assert changes.follow([tmp_path])
        yield changes


def replace(folder: Path) -> None:
    (folder / ".partial").write_text("2")
    os.replace(folder / ".partial", folder / "file")


ACTS: dict[str, Callable[[Path], object]] = {
    "saved": lambda folder: (folder / "file").write_text("2"),
    "saved by renaming": replace,
    "new": lambda folder: (folder / "other").touch(),
    "a new folder": lambda folder: (folder / "other").mkdir(),
    "gone": lambda folder: (folder / "file").unlink(),
    "moved away": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_change_ends_the_wait(changes: FolderChanges, tmp_path: Path, act: Callable[[Path], object]) -> None:
    """Also one that came before anybody waited."""
    act(tmp_path)
    assert changes.wait(PATIENCE_MS)


def test_reading_is_no_change(changes: FolderChanges, tmp_path: Path) -> None:
    """Nor is what happens in a folder that is watched no more; else a play would cause the next one."""
    (tmp_path / "file").read_text()
    assert not changes.wait(1)
    (tmp_path / "other").mkdir()
    assert changes.follow([tmp_path / "other"])
    (tmp_path / "file").write_text("2")
    assert not changes.wait(1)


def test_a_folder_that_is_gone_leaves_the_others_watched(changes: FolderChanges, tmp_path: Path) -> None:
    """The caller is to look again what is there."""
    assert not changes.follow([tmp_path, tmp_path / "gone"])
    (tmp_path / "file").write_text("2")
    assert changes.wait(PATIENCE_MS)


def test_a_folder_that_the_system_refuses_is_an_error_with_what_to_do(changes: FolderChanges) -> None:
    """Here by its name, which is no text."""
    with pytest.raises(HarnessError, match=r"cannot watch 1 folders .*; name fewer folders, or raise the limits"):
        changes.follow([Path(os.fsdecode(b"/tmp/\xff"))])


def test_a_signal_interrupts_the_wait(changes: FolderChanges) -> None:
    """Ctrl-C ends it, whatever the handler raises."""

    def handler(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            changes.wait(PATIENCE_MS)
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_is_left_watched(tmp_path: Path) -> None:
    """Neither a thread nor a descriptor, also of folders that were watched before others."""
    with FolderChanges() as changes:
        for _ in range(20):
            assert changes.follow([tmp_path])
        assert set(_left()) == {"thread", "descriptor"}
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while _left():  # the library's threads end by themselves
        assert time.monotonic() < deadline, _left()
        time.sleep(0.01)


def _left() -> list[str]:
    """What of the library this process has."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += ["thread"] if (task / "comm").read_text().startswith("notify") else []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += ["descriptor"] if os.readlink(descriptor) == "anon_inode:inotify" else []
    return found
