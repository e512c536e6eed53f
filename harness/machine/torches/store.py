"""The folder of the environments: what is in it, who uses what, and what is removed from it.

FOLDER/uv/                 uv's cache, which shares its files with the environments by hard links
FOLDER/python3.11/2.9.1/   an environment, complete: it was renamed to this name when it was
FOLDER/python3.11/unfinished-2.9.1-...   one that is being made or removed
FOLDER/locks/2.9.1         held by those who use that version (shared), make it or remove it (alone)
FOLDER/locks/uv            held by those who fill uv's cache (shared), or empty it (alone)
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from harness.machine.process import cache
from harness.machine.torches.uv import PYTHON
from harness.values.errors import UsageError
from harness.values.refusals import cannot

VARIABLE = "RDZV_TORCHES"
UNFINISHED = "unfinished-"
FACTS = "rdzv-torch.json"
_LARGEST_POINTER = 100_000
Say = Callable[[str], None]


class InUse(UsageError):
    """Another process plays with this environment, makes it or removes it."""


@dataclass(frozen=True)
class Environment:
    """An installed version of torch.

    Attributes:
        version: of torch, as the index names it.
        path: its folder.
        python: version of its Python.
        size: of its files in bytes, also of those that it shares with others.
        used: when it was used last, in seconds since the epoch.
    """

    version: str
    path: Path
    python: str
    size: int
    used: float

    @property
    def interpreter(self) -> Path:
        return self.path / "bin" / "python"


def default_folder() -> Path:
    """RDZV_TORCHES, or a folder in the user's cache."""
    named = os.environ.get(VARIABLE)
    return Path(os.path.abspath(named)) if named else cache.folder() / "rdzv-harness" / "torches"


@dataclass(frozen=True)
class Store:
    """All environments of one folder; each method sees what other processes have made meanwhile."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "uv"

    @property
    def environments(self) -> Path:
        return self.folder / f"python{PYTHON}"

    def find(self, version: str) -> Environment | None:
        """An environment by its whole version; None if there is none that works."""
        path = self.environments / version
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            found = Environment(version, path, str(facts["python"]), int(facts["size"]), self._used(version))
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return found if found.interpreter.exists() else None

    def installed(self) -> tuple[Environment, ...]:
        """All that are complete, oldest version first."""
        names = [path.name for path in _entries(self.environments) if _is_version(path.name)]
        found = (self.find(name) for name in sorted(names, key=Version))
        return tuple(one for one in found if one is not None)

    @contextlib.contextmanager
    def locked(self, name: str, how: int) -> Iterator[int]:
        """Hold a lock for the block; yields its descriptor.

        Raises BlockingIOError if `how` is not to wait and it is held; HarnessError where locks do not work.
        """
        path = self.folder / "locks" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise cannot(f"make the lock {path}", error, f"set {VARIABLE} to another folder") from error
        try:
            lock(descriptor, how, path)
            yield descriptor
        finally:
            os.close(descriptor)

    def mark_used(self, version: str) -> None:
        """Write down that a version is used now."""
        os.utime(self.folder / "locks" / version)

    def _used(self, version: str) -> float:
        try:
            return (self.folder / "locks" / version).stat().st_mtime
        except OSError:
            return 0.0

    def unfinished(self, version: str) -> Path:
        """A new empty folder beside the environments; to be called with the version's lock held alone."""
        self.environments.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.environments, prefix=f"{UNFINISHED}{version}-"))

    def discard(self, folder: Path) -> None:
        """Remove a folder of `unfinished`; one that was given its name is gone already."""
        if os.path.lexists(folder):
            _delete(folder)

    def tidy(self) -> None:
        """Remove what processes that have ended left unfinished."""
        for path in _entries(self.environments):
            version = path.name.removeprefix(UNFINISHED).rpartition("-")[0]
            if path.name.startswith(UNFINISHED) and version:
                with contextlib.suppress(BlockingIOError), self.locked(version, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    _delete(path)

    def remove(self, version: str) -> None:
        """Remove an environment, and what only it used of uv's cache; raises InUse if it is in use."""
        try:
            with self.locked(version, fcntl.LOCK_EX | fcntl.LOCK_NB):
                self.clear(version)
        except BlockingIOError:
            raise InUse(f"torch {version} is in use; wait until the runs and installs that use it have ended") from None
        self.trim()

    def clear(self, version: str) -> None:
        """Remove an environment, or what is left of one; for the holder of its lock.

        It gets another name first, so that what is left of it if this process is killed is not taken for one.
        """
        path = self.environments / version
        if os.path.lexists(path):
            grave = self.unfinished(version)
            os.rename(path, grave / "removed")
            _delete(grave)

    def trim(self) -> None:
        """Remove those packages from uv's cache that no environment shares, unless they are being used just now.

        uv fetches again what it misses.
        """
        with contextlib.suppress(BlockingIOError), self.locked("uv", fcntl.LOCK_EX | fcntl.LOCK_NB):
            packages = [one for kind in self.cache.glob("archive-*") for one in _entries(kind)]
            unshared = [one for one in packages if all(status.st_nlink == 1 for status in _files(one))]
            for path in self._naming([one.name for one in unshared]):
                path.unlink()
            for package in unshared:
                _delete(package)

    def _naming(self, packages: Sequence[str]) -> list[Path]:
        """The entries of uv's cache that name one of these packages, as links or inside small files."""
        places = (path for kind in self.cache.glob("wheels-*") for path in kind.rglob("*"))
        return [path for path in places if packages and any(one.encode() in _pointer(path) for one in packages)]

    def on_disk(self) -> int:
        """Bytes on the disk; what several environments share counts once."""
        found = {(one.st_dev, one.st_ino): one.st_blocks * 512 for one in _files(self.folder)}
        return sum(found.values())

    def evict(self, limit: int, kept: str) -> tuple[str, ...]:
        """Remove those used the longest ago until the folder has `limit` bytes at most; returns their versions.

        What is in use stays, and so does the version `kept`.
        """
        evicted: list[str] = []
        if self.on_disk() <= limit:
            return ()
        self.trim()
        for environment in sorted(self.installed(), key=lambda one: one.used):
            if self.on_disk() <= limit:
                break
            if environment.version != kept:
                with contextlib.suppress(InUse):
                    self.remove(environment.version)
                    evicted.append(environment.version)
        return tuple(evicted)


def lock(descriptor: int, how: int, path: Path) -> None:
    """`flock`; raises BlockingIOError if it is held and `how` is not to wait, HarnessError where there are no locks."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise cannot(f"lock {path}", error, f"set {VARIABLE} to a folder on a local disk") from error


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, on the disk."""
    return sum(status.st_blocks * 512 for status in _files(folder))


def _is_version(name: str) -> bool:
    try:
        Version(name)
    except InvalidVersion:
        return False
    return True


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _files(folder: Path) -> Iterator[os.stat_result]:
    """The status of each regular file below a folder; what disappears meanwhile is left out."""
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield os.lstat(os.path.join(path, name))


def _pointer(path: Path) -> bytes:
    """What an entry of uv's cache says of where its package lies; empty for a folder and a large file."""
    try:
        if path.is_symlink():
            return os.fsencode(os.readlink(path))
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST_POINTER else b""
    except OSError:
        return b""


def _delete(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        shutil.rmtree(path)  # now with the reason
