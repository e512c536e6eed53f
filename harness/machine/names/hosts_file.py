"""A hosts file whose names faults can hide and move while processes read it; several faults may change it in turn.

It is rewritten in place, because a bind mount refers to a file and not to a name: no process would see a new file under
the old name. A hidden line stays as a comment that names the fault, so that each fault restores only its own changes:

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
    """One line: an address and its names.

    Attributes:
        hidden_by: the faults that hide it, the latest first; empty if it is visible.
    """

    address: str
    names: tuple[str, ...]
    hidden_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(map(mark, self.hidden_by)) + f"{self.address} {' '.join(self.names)}"


def entries(path: Path) -> list[Entry]:
    """All entries in the file's order, including hidden ones."""
    return [line for line in _read(path) if isinstance(line, Entry)]


def address_of(path: Path, name: str) -> str | None:
    """The first address of a name, hidden or not; None if it has none."""
    return next((entry.address for entry in entries(path) if name in entry.names), None)


def name_of(path: Path, address: str) -> str | None:
    """The first name of an address, hidden or not; None if it has none."""
    return next((entry.names[0] for entry in entries(path) if entry.address == address), None)


def hide(path: Path, by: str, names: Collection[str] | None = None) -> None:
    """Hide these names (default: all but those of loopback) from readers of the file.

    Args:
        by: the name of the fault, by which `show` takes the change back.
    """

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
    """Show again what this fault hid; what other faults hide too stays hidden."""

    def shown(entry: Entry) -> Iterator[Entry]:
        yield replace(entry, hidden_by=tuple(hider for hider in entry.hidden_by if hider != word(by)))

    _rewrite(path, shown)


def move(path: Path, old: str, new: str) -> None:
    """Give every name of one address to another address, including hidden names."""

    def moved(entry: Entry) -> Iterator[Entry]:
        yield replace(entry, address=new) if entry.address == old else entry

    _rewrite(path, moved)


# -- files that several faults change ----------------------------------------------------------------------------------


def word(text: str) -> str:
    """A fault's name as one word."""
    return re.sub(r"[:\s]", "-", text)


def mark(by: str) -> str:
    """The prefix of a line that this fault hides."""
    return f"#hidden by {word(by)}: "


def unmarked(line: str) -> str:
    """A line without the marks of the faults that hide it."""
    while (found := _MARK.match(line)) is not None:
        line = line[found.end() :]
    return line


def lines(path: Path) -> list[str]:
    """The lines of a file, without empty ones."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def overwrite(path: Path, lines: Iterable[object]) -> None:
    """Replace the lines of a file in place."""
    data = "".join(f"{line}\n" for line in lines).encode()
    descriptor = os.open(path, os.O_RDWR)
    try:
        # Padded to the old length, so that a reader in between never sees the end of an old line.
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
