"""Versions of torch: installed when they are asked for, listed, removed; safe for concurrent processes."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from harness.machine.torches import index
from harness.machine.torches.build import build
from harness.machine.torches.store import Environment, Say, Store, default_folder, lock
from harness.machine.torches.uv import Uv, find
from harness.values.errors import UsageError
from harness.values.suggest import nearest

PREFIX = "torch:"
"""Before a version where an interpreter may stand: `--python torch:2.9.1`."""

LIMIT = 40_000_000_000
"""Bytes that all environments may take together, unless another limit is given; one takes 6 to 7 GB, and shares what
others need too."""

_until_exit = contextlib.ExitStack()
_given: dict[tuple[Path, str], Path] = {}
"""Interpreters that this process was given, by folder and version; the kernel releases their locks when it ends."""


class NotInstalled(UsageError):
    """There is no environment of this version."""


def named(python: str) -> str | None:
    """The version that `torch:2.9.1` names; None for the path or the name of an interpreter."""
    return python.removeprefix(PREFIX) if python.startswith(PREFIX) else None


def available() -> tuple[str, ...]:
    """Every release of torch from 2.6 on that the index has for this machine, oldest first; some seconds.

    Raises NoUv, UvFailed.
    """
    return index.available(_uv(_store()))


def installed() -> tuple[Environment, ...]:
    """Every version that is installed, oldest first. What ended processes left unfinished is removed."""
    store = _store()
    store.tidy()
    return store.installed()


def on_disk() -> int:
    """Bytes that all environments and uv's cache take together."""
    return _store().on_disk()


def interpreter(version: str, say: Say = print, limit: int = LIMIT) -> Path:
    """The interpreter of a version, which is installed first if it is not; nobody removes it until this process ends.

    Arguments and errors as of `use`.
    """
    key = (default_folder(), version)
    if key not in _given:
        _given[key] = _until_exit.enter_context(use(version, say, limit)).interpreter
    return _given[key]


def called(python: str) -> str:
    """`torch:2.9.1` for the interpreter of an environment, any other as it is: how to ask for it again."""
    environments, version = _store().environments, Path(python).parent.parent.name
    return f"{PREFIX}{version}" if Path(python) == environments / version / "bin" / "python" else python


def check(version: str) -> None:
    """Raises NoSuchTorch for what is no version, or one that is too old; asks nobody."""
    index.specifier(version)


@contextlib.contextmanager
def use(version: str, say: Say = print, limit: int = LIMIT) -> Iterator[Environment]:
    """The environment of a version for the block, in which nobody removes it; it is installed first if it is not.

    If it is there, this takes milliseconds and asks nobody. If another process installs it just now, this waits.

    Args:
        version: a release (`2.9.1`), or `2.9` for the newest patch that is installed, else the newest on the index.
        say: is given a line before something takes long, and for each version that was removed.
        limit: bytes that all may take after an installation; those used the longest ago are removed. What is in use
            stays, and so does this one.

    Raises NoSuchTorch (a UsageError), NoUv, UvFailed, BrokenTorch; each says what to do.
    """
    store = _store()
    exact = index.newest_of([one.version for one in store.installed()], version)
    exact = exact or index.resolve(_uv(store), version)
    with _shared(store, exact, say, limit) as environment:
        yield environment


def install(version: str, say: Say = print, limit: int = LIMIT) -> Environment:
    """Install a version; `2.9` is the newest patch on the index. Arguments and errors as of `use`."""
    store = _store()
    check(version)  # before it becomes a path
    exact = version if store.find(version) else index.resolve(_uv(store), version)
    with _shared(store, exact, say, limit) as environment:
        return environment


def remove(version: str) -> str:
    """Remove a version, and what only it used of uv's cache; returns which it was. `2.9` is the only patch installed.

    Raises NotInstalled with those that are near, InUse while another process, or this one, uses it.
    """
    store = _store()
    store.tidy()
    versions = [one.version for one in store.installed()]
    wanted = index.specifier(version)
    fitting = [one for one in versions if wanted.contains(one, prereleases=True)]
    if len(fitting) > 1:
        raise UsageError(f"torch {version} is any of {', '.join(fitting)}; name one of them")
    if not fitting:
        near = nearest(version, versions)
        hint = f"did you mean {near}? " if near else ""
        there = f"installed: {', '.join(versions)}" if versions else "no version is installed"
        raise NotInstalled(f"torch {version} is not installed; {hint}{there}")
    store.remove(fitting[0])
    return fitting[0]


@contextlib.contextmanager
def _shared(store: Store, version: str, say: Say, limit: int) -> Iterator[Environment]:
    """Hold a version that is installed, together with others that use it."""
    while True:
        with _held(store, version, say) as descriptor:
            environment = store.find(version)
            if environment is not None:
                store.mark_used(version)
                yield environment
                return
            path = store.folder / "locks" / version
            lock(descriptor, fcntl.LOCK_EX, path)
            if store.find(version) is None:
                uv = _uv(store)
                build(store, uv, version, descriptor, say)
        store.tidy()
        for one in store.evict(limit, kept=version):
            say(f"removed torch {one}, which was used the longest ago: all together may take {limit / 1e9:.1f} GB")


@contextlib.contextmanager
def _held(store: Store, version: str, say: Say) -> Iterator[int]:
    """The lock of a version, shared; says so if it has to wait for who holds it alone."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(store.locked(version, fcntl.LOCK_SH | fcntl.LOCK_NB))
        except BlockingIOError:
            say(f"waiting for another process, which installs or removes torch {version}")
            descriptor = stack.enter_context(store.locked(version, fcntl.LOCK_SH))
        yield descriptor


def _store() -> Store:
    return Store(default_folder())


def _uv(store: Store) -> Uv:
    return Uv(find(), store.cache)
