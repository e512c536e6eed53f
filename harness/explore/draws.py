"""Choices that a seed determines: the same on every machine and in every version of Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from random import Random
from typing import TypeVar

Thing = TypeVar("Thing")


class Draws:
    """A stream of choices.

    Everything is made from `random.Random(seed).random()`: of no other method does Python promise that it gives the
    same numbers in every version.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = Random(seed).random

    def child(self, name: str) -> Draws:
        """A stream of its own, by this one's seed and a name: what is drawn from it moves nothing here."""
        return Draws(int.from_bytes(sha256(f"{self.seed}/{name}".encode()).digest()[:6], "big"))

    def share(self) -> float:
        """A number from 0 up to, and without, 1; uniform."""
        return self._random()

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self._random() < probability

    def whole(self, lowest: int, highest: int) -> int:
        """A whole number of a range, both ends included; uniform."""
        return lowest + int(self._random() * (highest - lowest + 1))

    def uniform(self, lowest: float, highest: float) -> float:
        """A number of a range."""
        return lowest + self._random() * (highest - lowest)

    def log_uniform(self, lowest: float, highest: float) -> float:
        """A number of a range above 0, each order of magnitude as likely as another."""
        return math.exp(self.uniform(math.log(lowest), math.log(highest)))

    def choice(self, things: Sequence[Thing]) -> Thing:
        """One of several, all as likely; raises IndexError if there is none."""
        return things[int(self._random() * len(things))]

    def weighted(self, weights: Mapping[Thing, float]) -> Thing:
        """One of several by their weights, of which one must be above 0; raises IndexError if none is."""
        possible = [(thing, weight) for thing, weight in weights.items() if weight > 0]
        left = self._random() * sum(weight for _, weight in possible)
        for thing, weight in possible[:-1]:
            left -= weight
            if left < 0:
                return thing
        return possible[-1][0]

    def shuffled(self, things: Sequence[Thing]) -> list[Thing]:
        """All of them, in any order."""
        left, found = list(things), []
        while left:
            found.append(left.pop(int(self._random() * len(left))))
        return found

    def some(self, things: Sequence[Thing], count: int) -> list[Thing]:
        """So many different ones, or all if there are fewer, in their own order."""
        places = sorted(self.shuffled(range(len(things)))[:count])
        return [things[place] for place in places]

    def subset(self, things: Sequence[Thing]) -> list[Thing]:
        """At least one of them, in their own order; each number of them is as likely as another."""
        return self.some(things, self.whole(1, len(things)))

    def swarm(self, things: Sequence[Thing]) -> dict[Thing, float]:
        """A subset with weights from 1 to 100: what one draft is made of, so that drafts differ in kind."""
        return {thing: self.log_uniform(1, 100) for thing in self.subset(things)}
