"""A hosts file whose names can be hidden and moved while processes read it, by several hands at once.

It is rewritten in place, because a bind mount shows a file and not a name: a new file under its name would be seen by
nobody. What is hidden stays as a comment that says by whom, so that each hand takes back its own and nobody else's:

    #hidden by late-name: 198.18.0.2 r0
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_MARK = re.compile(r"#hidden by ([^:\s]+): ")


@dataclass(frozen=True)
class Entry:
    """One line that gives names to an address.

    Attributes:
        hidden_by: who hides it, the latest first; empty if it can be read.
    """

    address: str
    names: tuple[str, ...]
    hidden_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(map(mark, self.hidden_by)) + f"{self.address} {' '.join(self.names)}"


def entries(path: Path) -> list[Entry]:
    """All entries, the hidden ones too, in the file's order."""
    return [line for line in _read(path) if isinstance(line, Entry)]


def address_of(path: Path, name: str) -> str | None:
    """The first address that a name has, hidden or not."""
    return next((entry.address for entry in entries(path) if name in entry.names), None)


def name_of(path: Path, address: str) -> str | None:
    """The first name that an address has, hidden or not."""
    return next((entry.names[0] for entry in entries(path) if entry.address == address), None)


def hide(path: Path, by: str, names: Collection[str] | None = None) -> None:
    """Make these names (default: all but those of loopback) unknown to whoever reads the file."""

    def hidden(entry: Entry) -> Iterator[Entry]:
        if names is None:
            gone = () if _stays(entry.address) else entry.names
        else:
            gone = tuple(name for name in entry.names if name in names)
        kept = tuple(name for name in entry.names if name not in gone)
        if kept:
            yield replace(entry, names=kept)
        if gone:
            yield replace(entry, names=gone, hidden_by=(word(by), *entry.hidden_by))

    _rewrite(path, hidden)


def show(path: Path, by: str) -> None:
    """Take back what was hidden by this hand; what others hide as well stays hidden."""

    def shown(entry: Entry) -> Iterator[Entry]:
        yield replace(entry, hidden_by=tuple(hider for hider in entry.hidden_by if hider != word(by)))

    _rewrite(path, shown)


def move(path: Path, old: str, new: str) -> None:
    """Give every name of one address to another address, the hidden names too."""

    def moved(entry: Entry) -> Iterator[Entry]:
        yield replace(entry, address=new) if entry.address == old else entry

    _rewrite(path, moved)


# -- files that several hands change ----------------------------------------------------------------------------------


def word(text: str) -> str:
    """A fault's name as one word."""
    return re.sub(r"[:\s]", "-", text)


def mark(by: str) -> str:
    """What stands before a line that is hidden by this hand."""
    return f"#hidden by {word(by)}: "


def unmarked(line: str) -> str:
    """A line as it was before anybody hid it."""
    while (found := _MARK.match(line)) is not None:
        line = line[found.end() :]
    return line


def lines(path: Path) -> list[str]:
    """The lines of a file that are not empty."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def overwrite(path: Path, lines: Iterable[object]) -> None:
    """Give a file other lines, in place."""
    data = "".join(f"{line}\n" for line in lines).encode()
    descriptor = os.open(path, os.O_RDWR)
    try:
        # Filled up to the old length, so that a reader in between never meets the end of an old line.
        os.pwrite(descriptor, data.ljust(os.fstat(descriptor).st_size, b"\n"), 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


# -- the lines of a hosts file -----------------------------------------------------------------------------------------


def _rewrite(path: Path, change: Callable[[Entry], Iterator[Entry]]) -> None:
    changed: list[Entry | str] = []
    for line in _read(path):
        changed += change(line) if isinstance(line, Entry) else [line]
    overwrite(path, changed)


def _read(path: Path) -> list[Entry | str]:
    return [_entry(line) or line for line in lines(path)]


def _entry(line: str) -> Entry | None:
    text = unmarked(line)
    hidden_by = tuple(_MARK.findall(line[: len(line) - len(text)]))
    address, *names = text.partition("#")[0].split() or [""]
    return Entry(address, tuple(names), hidden_by) if names else None


def _stays(address: str) -> bool:
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    return number.is_loopback or number.is_multicast or number.is_unspecified
