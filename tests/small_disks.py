"""A command on a disk of a few pages: a tmpfs in a mount namespace of its own, for root and for ordinary users."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
"""What a tmpfs gives at least to a file that is not empty."""

_NEWNS, _NEWUSER, _REC, _PRIVATE, _RDONLY = 0x00020000, 0x10000000, 0x4000, 1 << 18, 1
_REFUSED = 99


@dataclass(frozen=True)
class OnDisk:
    """A command that ran on a small disk.

    Attributes:
        files: path from the disk's root and size of each file at its end, in the order in which they were made.
        nodes: how many files and folders there were.
        seconds: how long it ran.
    """

    code: int
    out: str
    err: str
    files: Mapping[str, int]
    nodes: int
    seconds: float

    @property
    def pages(self) -> int:
        return sum(-(-size // PAGE) for size in self.files.values())


def run(
    disk: Path, options: str, argv: Sequence[str], env: Mapping[str, str] | None = None, within_s: float = 120
) -> OnDisk:
    """Run a command while a tmpfs with these mount options is at `disk`; raises LookupError where that is refused."""
    listing = disk.parent / "listing.json"
    listing.unlink(missing_ok=True)
    disk.mkdir(exist_ok=True)
    words = [sys.executable, __file__, str(disk), options, str(listing), *argv]
    begun = time.monotonic()
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=within_s, errors="replace")
    seconds = time.monotonic() - begun
    if done.returncode == _REFUSED:
        raise LookupError(f"no private mounts here: {done.stderr.strip()}")
    files, nodes = json.loads(listing.read_text())
    return OnDisk(done.returncode, done.stdout, done.stderr, files, nodes, seconds)


def _main(disk: str, options: str, listing: str, argv: Sequence[str]) -> int:
    try:
        _mount(disk, options)
    except OSError as error:
        print(error, file=sys.stderr)
        return _REFUSED
    code = subprocess.run(argv).returncode
    found = [(entry.stat().st_ino, entry) for entry in Path(disk).rglob("*") if not entry.is_symlink()]
    files = {str(entry.relative_to(disk)): entry.stat().st_size for _, entry in sorted(found) if entry.is_file()}
    Path(listing).write_text(json.dumps([files, len(found)]))
    return code


def _mount(disk: str, options: str) -> None:
    user, group = os.geteuid(), os.getegid()
    _do("unshare", _NEWNS | (_NEWUSER if user else 0))
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            Path("/proc/self", name).write_text(text)
    _do("mount", b"none", b"/", None, ctypes.c_ulong(_REC | _PRIVATE), None)
    read_only = "ro" in options.split(",")
    _do("mount", b"none", os.fsencode(disk), b"tmpfs", ctypes.c_ulong(_RDONLY if read_only else 0), _data(options))


def _data(options: str) -> bytes:
    return ",".join(word for word in options.split(",") if word != "ro").encode()


def _do(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
