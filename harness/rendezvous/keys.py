"""The keys under which a run joins, and the prefix of each of its rounds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Tuple
from urllib.parse import quote

# Every key here begins with a plus sign. No prefix of a run does: there it is written %2B.
RUNS = "+?"


def record(run_id: str) -> str:
    """The key of the run's record: incarnation, world size, open round."""
    return f"+={quoted(run_id)}"


def quoted(run_id: str) -> str:
    """The run id without a slash, a plus or a space, so that it can be separated from what follows; injective."""
    # Most run ids need no quoting, and `quote` is much Python code that a process then runs for the first time.
    return run_id if run_id.isascii() and run_id.isalnum() else quote(run_id, safe="", errors="surrogatepass")


@dataclass(frozen=True)
class Incarnation:
    """One opening of a run by a master; its name was never used before."""

    name: str

    @classmethod
    def new(cls) -> Incarnation:
        """A new one, with a random name."""
        return cls(os.urandom(3).hex())

    @property
    def closed(self) -> str:
        return f"+{self.name}.x"

    def prefix(self, run_id: str, number: int) -> str:
        """The prefix of the store that a round hands out: no two runs, incarnations or rounds share one."""
        return f"{quoted(run_id)}+{self.name}.{number}"

    def round(self, number: int) -> RoundKeys:
        return RoundKeys(f"+{self.name}.{number}")


@dataclass(frozen=True)
class RoundKeys:
    """The keys by which one round is joined. They are short, because a slow link pays for every byte."""

    base: str

    @property
    def version(self) -> str:
        """A number: how many joins were withdrawn or replaced; from COMMITTED on, the round is whole."""
        return f"{self.base}v"

    @property
    def roster(self) -> str:
        return f"{self.base}r"

    @property
    def late(self) -> str:
        """The ranks that came when the round before it was whole."""
        return f"{self.base}w"

    def slot(self, rank: int) -> str:
        """The name of the join that claimed this rank."""
        return f"{self.base}s{rank}"

    def slots(self, ranks: range) -> Tuple[str, ...]:
        return tuple(self.slot(rank) for rank in ranks)

    def call(self, nonce: str) -> str:
        """Set when all slots are claimed: asks this join whether it is still there."""
        return f"{self.base}t{nonce}"

    def answer(self, nonce: str) -> str:
        """The answer of this join."""
        return f"{self.base}a{nonce}"

    def decision(self, nonce: str) -> str:
        """The outcome of this join: go, doubled or closed."""
        return f"{self.base}c{nonce}"
