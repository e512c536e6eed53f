"""What a mutant is, the list of all, and how one is made: the base's own code with one thing replaced."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STRICT, STOCK = "static-strict", "static"

ERRORS, IDENTITY, ISOLATION, LIFECYCLE, MANNERS, NETWORK, RESOURCES, STORE, TIMES = FAMILIES = (
    "errors",
    "identity",
    "isolation",
    "lifecycle",
    "manners",
    "network",
    "resources",
    "store",
    "times",
)

BOTH = (STRICT, STOCK)
_PREFIXES = {STRICT: "strict", STOCK: "stock"}


class Base:
    """The modules and classes of a base, in this process, for a mutant to change.

    Attributes:
        name: `static-strict` or `static`.
        handler: the class of its handlers.
        store: the class of the stores that it hands out.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        if name == STRICT:
            self.module: Any = importlib.import_module("harness.rendezvous.static")
            self.store: Any = importlib.import_module("harness.rendezvous.store").StrictStore
        else:
            self.module = importlib.import_module("torch.distributed.elastic.rendezvous.static_tcp_rendezvous")
            # Torch's own class belongs to all; a class of our own can be changed.
            self.store = type("StockStore", (importlib.import_module("torch.distributed").PrefixStore,), {})
            self.module.PrefixStore = self.store
        self.handler: Any = self.module.StaticTCPRendezvous

    def part(self, name: str) -> Any:
        """A module of static-strict."""
        return importlib.import_module(f"harness.rendezvous.{name}")

    def create(self, parameters: Any) -> Any:
        """A handler, as the base makes it; torchrun gives the rank as text to all backends but stock's own."""
        if self.name == STOCK and "rank" in parameters.config:
            parameters.config["rank"] = int(parameters.config["rank"])
        return self.module.create_rdzv_handler(parameters)


@dataclass(frozen=True)
class Mutant:
    """A backend with one fault, or with none (a control).

    Attributes:
        name: as torch's registry has it.
        base: what it is made from: `static-strict` or `static`.
        family: one of FAMILIES; empty for a control.
        fault: what a user could notice, as one sentence.
        likely: names of scenarios that probably kill it; they are played first.
        survives: why nothing kills it; empty if something must.
        change: puts the fault into a base.
    """

    name: str
    base: str
    family: str
    fault: str
    likely: tuple[str, ...]
    survives: str
    change: Callable[[Base], None]

    def __call__(self, parameters: Any) -> Any:
        """A handler: torch's registry calls this."""
        return _changed(self.name).create(parameters)


CATALOGUE: dict[str, Mutant] = {}
"""All mutants by name, without the controls."""


def mutant(
    family: str, fault: str, likely: tuple[str, ...] = (), of: tuple[str, ...] = (STRICT,), survives: str = ""
) -> Callable[[Callable[[Base], None]], Callable[[Base], None]]:
    """List a function that puts a fault into a base; its name is the mutant's, once for each base in `of`."""

    def listed(change: Callable[[Base], None]) -> Callable[[Base], None]:
        for base in of:
            name = f"{_PREFIXES[base]}-{change.__name__.replace('_', '-')}"
            CATALOGUE[name] = Mutant(name, base, family, fault, likely, survives, change)
        return change

    return listed


def _nothing(base: Base) -> None:
    """The change of a control."""


CONTROLS: dict[str, Mutant] = {
    f"{prefix}-control": Mutant(f"{prefix}-control", base, "", "none", (), "", _nothing)
    for base, prefix in _PREFIXES.items()
}
"""The bases without a fault, made as the mutants are: whatever kills one of these is a fault of the harness."""


@functools.cache
def _changed(name: str) -> Base:
    """The base with the fault; a process has one, because a rank tests one backend."""
    found = CATALOGUE.get(name) or CONTROLS[name]
    base = Base(found.base)
    # Torch compares it with the name that was asked for.
    base.handler.get_backend = lambda self: name
    found.change(base)
    return base


def around(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace a function of a class or module; the replacement gets the original first, then the arguments."""

    def put(replacement: Callable[..., Any]) -> Callable[..., Any]:
        original = getattr(owner, name)

        @functools.wraps(original)
        def replaced(*arguments: Any, **named: Any) -> Any:
            return replacement(original, *arguments, **named)

        setattr(owner, name, replaced)
        return replacement

    return put


def joined_with(info: Any, **changes: Any) -> Any:
    """The outcome of a rendezvous with some of its facts changed."""
    facts = {name: getattr(info, name) for name in ("store", "rank", "world_size", "bootstrap_store_info")}
    return type(info)(**{**facts, **changes})
