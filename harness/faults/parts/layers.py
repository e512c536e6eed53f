"""What several faults make of one target at the same time; healing one of them leaves the others in force."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class _Layer(Generic[Value]):
    """The wish of one fault; two equal wishes are two layers."""

    value: Value


def latest(values: Sequence[Value]) -> Value:
    """The value of the fault that was injected last; the first value is the one from before all faults."""
    return values[-1]


class Layers(Generic[Value]):
    """One setting of many targets. It keeps a target only while a fault holds it, so all plays can share it.

    If each fault restored what it found, the first of two to heal would end the other's effect, and the second would
    restore what the first had set, for good.

    Args:
        in_force: which value applies, of that from before all faults and those of the faults, in order of injection.
    """

    def __init__(self, in_force: Callable[[Sequence[Value]], Value] = latest) -> None:
        self._in_force = in_force
        self._layers: dict[Hashable, list[_Layer[Value]]] = {}

    @contextlib.contextmanager
    def hold(self, target: Hashable, value: Value, former: Value, apply: Callable[[Value], None]) -> Iterator[None]:
        """Hold a value for the block. `apply` is called where what is in force changes; it may raise.

        Args:
            former: what is in force now; without meaning if another fault holds the target.
        """
        layers = self._layers.setdefault(target, [_Layer(former)])
        mine, before = _Layer(value), self._now(layers)
        layers.append(mine)
        try:
            if self._now(layers) != before:
                apply(self._now(layers))
            yield
        finally:
            held = self._now(layers)
            layers.remove(mine)
            if len(layers) == 1:
                del self._layers[target]
            if self._now(layers) != held:
                apply(self._now(layers))

    def _now(self, layers: Sequence[_Layer[Value]]) -> Value:
        return self._in_force([layer.value for layer in layers])
