"""Families and their members: a member registers itself under its kind; nothing else in the tree knows it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from harness.values.errors import UsageError
from harness.values.suggest import nearest

Member = TypeVar("Member")


class Registry(Generic[Member]):
    """The members of one family, found by importing every module of the family's package.

    Args:
        family: what a member is called in messages (`fault`, `checker`, ...).
        package: the package whose modules register the members.
    """

    def __init__(self, family: str, package: str) -> None:
        self.family = family
        self._package = package
        self._members: dict[str, Member] = {}
        self._loaded = False

    def register(self, kind: str) -> Callable[[Member], Member]:
        """Class decorator: make a member known under `kind`; raises ValueError if the kind is taken."""

        def remember(member: Member) -> Member:
            if kind in self._members:
                raise ValueError(f"two {self.family}s are called {kind!r}; rename one")
            self._members[kind] = member
            return member

        return remember

    def __getitem__(self, kind: str) -> Member:
        """The member of that kind; raises UsageError that names the nearest known kinds."""
        self._load()
        if kind not in self._members:
            near = nearest(kind, self._members)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(self._members))}"
            raise UsageError(f"there is no {self.family} {kind!r}; {hint}")
        return self._members[kind]

    def __contains__(self, kind: str) -> bool:
        self._load()
        return kind in self._members

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._members))

    def items(self) -> list[tuple[str, Member]]:
        """Kind and member, sorted by kind."""
        return [(kind, self[kind]) for kind in self]

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "base":
                importlib.import_module(f"{self._package}.{module.name}")
