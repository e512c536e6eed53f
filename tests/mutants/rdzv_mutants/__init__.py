"""Rendezvous backends with one deliberate fault each: they measure how much the scenarios and invariants notice.

The catalogue needs no torch, so that the harness's own process can read it. A mutant needs the package `harness` in the
process of the rank, where the harness puts it.
"""

from __future__ import annotations

from collections.abc import Callable

from rdzv_mutants import errors, identity, isolation, lifecycle, manners, network, resources, store, times
from rdzv_mutants.catalogue import CATALOGUE, CONTROLS, FAMILIES, STOCK, STRICT, Mutant

__all__ = ["CATALOGUE", "CONTROLS", "FAMILIES", "STOCK", "STRICT", "Mutant"]

_ROOMS = (errors, identity, isolation, lifecycle, manners, network, resources, store, times)


def __getattr__(name: str) -> Callable[[], Mutant]:
    """The entry point of each mutant, by its name with underscores: torch calls it to get what makes handlers."""
    listed = name.replace("_", "-")
    found = CATALOGUE.get(listed) or CONTROLS.get(listed)
    if found is None:
        raise AttributeError(name)
    return lambda: found
