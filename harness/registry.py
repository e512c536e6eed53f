"""Families and their members: files of the harness, and members of other packages that entry points name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from harness.values.attribute import ATTRIBUTE_KINDS, Declaration
from harness.values.errors import UsageError
from harness.values.suggest import nearest

Member = TypeVar("Member")


@dataclass(frozen=True)
class Origin:
    """Where a member comes from.

    Attributes:
        package: the distribution with its version, `sample 1.0`; `harness` for our own.
        module: the module that its entry point names; empty for our own.
    """

    package: str
    module: str = ""


OURS = Origin("harness")


@dataclass(frozen=True)
class NotLoaded:
    """A member of another package that cannot be used.

    Attributes:
        package: the distribution with its version.
        because: what is wrong, as the rest of a sentence whose subject is the member.
    """

    family: str
    kind: str
    package: str
    because: str

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}"

    @property
    def message(self) -> str:
        """What is wrong, with the package that it comes from."""
        return f"the {self.family} {self.kind!r} of {self.package} {self.because}"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return f"update or uninstall {self.package.split(' ')[0]}"


class _Unfit(Exception):
    """Why an entry point gives no member; the text is the `because` of a NotLoaded."""


class Registry(Generic[Member]):
    """The members of one family: those that the modules of its package register, then those of entry points.

    Nothing is imported before somebody asks. A member of another package that cannot be used is in `not_loaded`; the
    others work.

    Args:
        family: what a member is called in messages (`fault`, `checker`, ...).
        package: the package whose modules register the harness's own members.
        group: the group of entry points of other packages' members; empty if the family is closed. An entry point's
            name is the kind; its value is the module that registers the member, or the member itself.
        base: the class that members are subclasses or instances of.
        members: where members are kept, if something else registers them there.
    """

    def __init__(
        self,
        family: str,
        package: str,
        group: str = "",
        base: type = object,
        members: dict[str, Member] | None = None,
    ) -> None:
        self.family = family
        self._package = package
        self._group = group
        self._base = base
        self._members: dict[str, Member] = {} if members is None else members
        self._origins: dict[str, Origin] = {}
        self._not_loaded: list[NotLoaded] = []
        self._own_loaded = self._loaded = False

    def register(self, kind: str) -> Callable[[Member], Member]:
        """Class decorator: make a member known under `kind`; raises ValueError if the kind is taken."""

        def remember(member: Member) -> Member:
            if not self._is_own(member):
                self._load_own()  # otherwise a package that is imported early could take a kind of ours
            if kind in self._members:
                raise ValueError(f"two {self.family}s are called {kind!r}; rename one")
            self._members[kind] = member
            return member

        return remember

    def __getitem__(self, kind: str) -> Member:
        """The member of that kind; raises UsageError that says why there is none."""
        self.load()
        if kind not in self._members:
            raise UsageError(self.why_not(kind))
        return self._members[kind]

    def __contains__(self, kind: object) -> bool:
        self.load()
        return kind in self._members

    def __iter__(self) -> Iterator[str]:
        self.load()
        return iter(sorted(self._members))

    def items(self) -> list[tuple[str, Member]]:
        """Kind and member, sorted by kind."""
        return [(kind, self[kind]) for kind in self]

    def origin(self, kind: str) -> Origin:
        """Where the member of that kind comes from; of one that no entry point names, only its module is known."""
        self.load()
        module = _module_of(self[kind])
        return self._origins.get(kind, Origin(module, module))

    @property
    def not_loaded(self) -> list[NotLoaded]:
        """The members of other packages that cannot be used, sorted by kind."""
        self.load()
        return list(self._not_loaded)

    def why_not(self, kind: str) -> str:
        """Why there is no member of that kind, and what to do: what is wrong with it, or the nearest known kind."""
        for problem in self.not_loaded:
            if problem.kind == kind:
                return str(problem)
        near = nearest(kind, self._members)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(self._members))}"
        return f"there is no {self.family} {kind!r}; {hint}"

    # -- loading -----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Import all members, if that has not been done."""
        if self._loaded:
            return
        self._loaded = True
        self._load_own()
        if self._group:
            for entry in sorted(_installed(tuple(sys.path)).select(group=self._group), key=_place):
                self._load_entry(entry)

    def _load_own(self) -> None:
        if self._own_loaded:
            return
        self._own_loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "base":
                importlib.import_module(f"{self._package}.{module.name}")
        self._origins.update({kind: OURS for kind, member in self._members.items() if self._is_own(member)})

    def _is_own(self, member: Member) -> bool:
        return _module_of(member).startswith(f"{self._package}.")

    def _load_entry(self, entry: EntryPoint) -> None:
        known = dict(self._members)
        origin = Origin(_distribution(entry), entry.module)
        try:
            self._members[entry.name] = self._member_of(entry)
        except _Unfit as unfit:
            # A module may register a member before something in it fails.
            self._members.clear()
            self._members.update(known)
            self._not_loaded.append(NotLoaded(self.family, entry.name, origin.package, str(unfit)))
        else:
            self._origins[entry.name] = origin

    def _member_of(self, entry: EntryPoint) -> Member:
        """The member that an entry point gives; raises _Unfit."""
        taken = self._origins.get(entry.name)
        if taken is not None:
            raise _Unfit(f"is not used: {taken.package} has a {self.family} of that name")
        try:
            loaded = entry.load()
        except (Exception, SystemExit) as error:
            raise _Unfit(f"could not be imported: {_first_line(error)}") from error
        member = loaded if self._fits(loaded) else self._members.get(entry.name)
        if member is None:
            raise _Unfit(f"is not used: {entry.value} registers no {self.family} of that name")
        wrong = self._wrong_with(entry.name, member)
        if wrong:
            raise _Unfit(f"is not used: {wrong}")
        return member

    def _fits(self, loaded: Any) -> bool:
        return isinstance(loaded, self._base) or (isinstance(loaded, type) and issubclass(loaded, self._base))

    def _wrong_with(self, kind: str, member: Any) -> str:
        """What the class of a family promises and this member does not have; empty if all is there."""
        if not self._fits(member):
            return f"it is no {self._base.__name__}"
        promised = [name for name, hint in inspect.get_annotations(self._base).items() if "ClassVar" in str(hint)]
        missing = [name for name in promised if not hasattr(member, name)]
        missing += sorted(getattr(member, "__abstractmethods__", ()))
        if missing:
            return f"it does not define {', '.join(missing)}"
        declaration = getattr(member, "declaration", None)
        return _wrong_in(declaration, kind) if isinstance(declaration, Declaration) else ""


def _wrong_in(declaration: Declaration, kind: str) -> str:
    """What does not fit in a declaration of that kind; empty if all does."""
    if declaration.kind != kind:
        return f"it declares itself as {declaration.kind!r}"
    unknown = [f"{one.name} ({one.kind})" for one in declaration.attributes if one.kind not in ATTRIBUTE_KINDS]
    return f"there is no such kind of attribute: {', '.join(unknown)}" if unknown else ""


def _module_of(member: Any) -> str:
    """The module that defines a member; a step is a function and what is declared of it."""
    return str(getattr(getattr(member, "run", member), "__module__", ""))


@cache
def _installed(_path: tuple[str, ...]) -> Any:
    """All entry points, read once for each search path: reading them takes 10 ms in an environment of 60 packages."""
    return entry_points()


def _place(entry: EntryPoint) -> tuple[str, str]:
    return entry.name, _distribution(entry)


def _distribution(entry: EntryPoint) -> str:
    """The name and version of the distribution that an entry point belongs to."""
    return "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")
