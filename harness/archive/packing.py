"""A run directory as one compressed archive, and back, with no trust in what another machine has packed."""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO

from harness.values.errors import HarnessError

MOST_PACKED = 16 << 20
"""Of an archive, in bytes; most have some ten thousand."""

MOST_UNPACKED = 256 << 20
"""Of all that an archive has, headers included."""

MOST_MEMBERS = 4000
DEEPEST = 4
"""Folders inside each other: the steady state has a folder of its own."""

_NAME = re.compile(r"[A-Za-z0-9_=,+@-][A-Za-z0-9_.=,+@-]{0,120}")
_CHUNK = 1 << 16


class NotUnpacked(HarnessError):
    """An archive that is not what `pack` makes; the text says why."""


def pack(run_dir: Path, most_bytes: int = MOST_PACKED) -> bytes | None:
    """The regular files and folders of a run directory; None if they are larger than that, before or after.

    Raises OSError.
    """
    packed = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for path in sorted(run_dir.rglob("*")):
            name = path.relative_to(run_dir).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                continue
            size += path.stat().st_size + 1024
            if size > MOST_UNPACKED or packed.tell() > most_bytes:
                return None
            archive.add(path, name, recursive=False)
    return packed.getvalue() if len(packed.getvalue()) <= most_bytes else None


def unpack(packed: bytes, folder: Path) -> None:
    """Unpack into an empty folder.

    Only regular files and folders, with plain names, inside this folder, and not more than a run directory may have:
    anything else is refused, and then the folder has a part of it. Owners, modes and times are not taken over.

    Raises NotUnpacked, OSError.
    """
    if len(packed) > MOST_PACKED:
        raise NotUnpacked(f"it has {len(packed)} bytes, at most {MOST_PACKED} are allowed")
    with tempfile.TemporaryFile() as plain:
        _decompress(packed, plain)
        plain.seek(0)
        try:
            with tarfile.open(fileobj=plain, mode="r:") as archive:
                _extract(archive, folder)
        except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
            raise NotUnpacked(f"it is no archive ({type(error).__name__}: {error})") from error


def _decompress(packed: bytes, plain: IO[bytes]) -> None:
    """Before anything is read of it: headers of an archive may be as large as they say."""
    stream = zlib.decompressobj(wbits=31)
    size = 0
    waiting = packed
    try:
        while waiting and not stream.eof:
            chunk = stream.decompress(waiting, _CHUNK)
            size += len(chunk)
            if size > MOST_UNPACKED:
                raise NotUnpacked(f"it unpacks to more than {MOST_UNPACKED} bytes")
            plain.write(chunk)
            waiting = stream.unconsumed_tail
    except zlib.error as error:
        raise NotUnpacked(f"it is not compressed as it should be ({error})") from error
    if not stream.eof:
        raise NotUnpacked("it is cut short")


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    for number, member in enumerate(archive, 1):
        if number > MOST_MEMBERS:
            raise NotUnpacked(f"it has more than {MOST_MEMBERS} members")
        parts = member.name.split("/")
        if len(parts) > DEEPEST or not all(map(_NAME.fullmatch, parts)):
            raise NotUnpacked(f"a member is named {member.name[:80]!r}")
        path = folder.joinpath(*parts)
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.isreg() and not member.issparse():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(archive, member, path)
        else:
            raise NotUnpacked(f"{member.name[:80]!r} is neither a regular file nor a folder")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """A new file: a second member of one name is refused."""
    source = archive.extractfile(member)
    if source is None:
        raise NotUnpacked(f"{member.name[:80]!r} has no content")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise NotUnpacked(f"{member.name[:80]!r} is there twice") from error
    with open(descriptor, "wb") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
