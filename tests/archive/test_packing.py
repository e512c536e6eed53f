"""Run directories as archives: what comes back is what was packed, and what another machine may send is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.archive import packing
from harness.archive.packing import NotUnpacked, pack, unpack


def _files(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def _archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def _special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_what_was_packed_comes_back(tmp_path: Path) -> None:
    """Files and folders, empty ones too; links and sockets stay behind, whatever they lead to."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "steady" / "ops").mkdir(parents=True)
    (source / "run.json").write_text("{}")
    (source / "steady" / "ops" / "rank-0.jsonl").write_bytes(b"\0\xff")
    (source / "passwords").symlink_to("/etc/passwd")
    packed = pack(source)
    assert packed is not None
    target.mkdir()
    unpack(packed, target)
    assert _files(target) == {
        "run.json": b"{}",
        "steady": None,
        "steady/ops": None,
        "steady/ops/rank-0.jsonl": b"\0\xff",
    }


def test_what_is_too_large_is_not_packed(tmp_path: Path) -> None:
    """Neither by its size as an archive, nor by what it unpacks to."""
    (tmp_path / "a").write_bytes(bytes(range(256)) * 100)
    assert pack(tmp_path, most_bytes=100) is None
    assert pack(tmp_path) is not None
    with open(tmp_path / "b", "wb") as file:
        file.truncate(packing.MOST_UNPACKED)
    assert pack(tmp_path) is None


HOSTILE = {
    "a path above": lambda: _archive(_file("../escaped")),
    "a path above, inside": lambda: _archive(_file("ops/../../escaped")),
    "an absolute path": lambda: _archive(_file("/tmp/escaped")),
    "a hidden file": lambda: _archive(_file(".bashrc")),
    "a name with an escape": lambda: _archive(_file("a\x1b[2J")),
    "a backslash": lambda: _archive(_file("..\\escaped")),
    "an empty name": lambda: _archive(_file("")),
    "a long name": lambda: _archive(_file("a" * 300)),
    "deep folders": lambda: _archive(_file("a/b/c/d/e")),
    "a symbolic link": lambda: _archive(_special("ops", tarfile.SYMTYPE, "/tmp")),
    "a link, and a file behind it": lambda: _archive(_special("ops", tarfile.SYMTYPE, ".."), _file("ops/escaped")),
    "a hard link": lambda: _archive(_special("a", tarfile.LNKTYPE, "/etc/passwd")),
    "a device": lambda: _archive(_special("a", tarfile.CHRTYPE)),
    "a FIFO": lambda: _archive(_special("a", tarfile.FIFOTYPE)),
    "a file twice": lambda: _archive(_file("a"), _file("a")),
    "a file that is a folder": lambda: _archive(_special("a", tarfile.DIRTYPE), _file("a")),
    "a folder that is a file": lambda: _archive(_file("a"), _file("a/b")),
    "many files": lambda: _archive(*(_file(f"f{number}") for number in range(packing.MOST_MEMBERS + 1))),
    "no archive": lambda: b"hello",
    "nothing": lambda: b"",
    "compressed noise": lambda: gzip.compress(b"\xff" * 2000),
    "cut short": lambda: _archive(_file("a", bytes(range(256)) * 50))[:-20],
    "large": lambda: bytes(packing.MOST_PACKED + 1),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archives_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]
) -> None:
    """And nothing is written outside the folder."""
    monkeypatch.setattr(packing, "MOST_MEMBERS", 20)
    folder = tmp_path / "in" / "folder"
    folder.mkdir(parents=True)
    with pytest.raises((NotUnpacked, OSError)):
        unpack(make(), folder)
    assert [path for path in tmp_path.rglob("*") if folder not in path.parents and path != folder] == [tmp_path / "in"]
    assert not Path("/tmp/escaped").exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of zeros, and a header that says how large it is: both are far larger than they look."""
    monkeypatch.setattr(packing, "MOST_UNPACKED", 1 << 20)
    bomb = _archive(_file("zeros", bytes(4 << 20)))
    header = _special("a", tarfile.XHDTYPE)[0]
    header.size = 1 << 40
    lying = gzip.compress(header.tobuf() + bytes(2 << 20))
    for packed in (bomb, lying):
        assert len(packed) < 20_000
        with pytest.raises(NotUnpacked, match="more than 1048576 bytes"):
            unpack(packed, tmp_path)
    assert _files(tmp_path) == {}


def test_a_header_that_says_too_much_is_refused(tmp_path: Path) -> None:
    """The archive is as large as it is, whatever one of its headers says."""
    header = _special("a", tarfile.XHDTYPE)[0]
    header.size = 1 << 40
    with pytest.raises(NotUnpacked):
        unpack(gzip.compress(header.tobuf() + bytes(1024)), tmp_path)


def test_modes_and_owners_are_not_taken_over(tmp_path: Path) -> None:
    """No file that comes back can be executed."""
    member, content = _file("a")
    member.mode, member.uid, member.mtime = 0o6777, 12345, 0
    unpack(_archive((member, content)), tmp_path)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "a").stat().st_uid != 12345
