"""Under which keys of the server a run joins, and under which prefix each round of it keeps its own keys."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Tuple
from urllib.parse import quote

# Every key here begins with a plus sign, which no prefix of a run does: there it is written %2B.
RUNS = "+?"


def record(run_id: str) -> str:
    """The key of the run's record: which incarnation, how large, which round is open."""
    return f"+={quoted(run_id)}"


def quoted(run_id: str) -> str:
    """The run id without a slash, a plus or a space, so that it can be told from what follows; injective."""
    # Most need none, and `quote` is a good deal of Python that a process then runs for the first time.
    return run_id if run_id.isascii() and run_id.isalnum() else quote(run_id, safe="", errors="surrogatepass")


@dataclass(frozen=True)
class Incarnation:
    """One opening of a run by a process told rank 0; its name was never used before."""

    name: str

    @classmethod
    def new(cls) -> Incarnation:
        """One that was never there before, as far as chance goes."""
        return cls(os.urandom(3).hex())

    @property
    def closed(self) -> str:
        return f"+{self.name}.x"

    def prefix(self, run_id: str, number: int) -> str:
        """Of the store that a round hands out: no two runs, openings or rounds have one in common."""
        return f"{quoted(run_id)}+{self.name}.{number}"

    def round(self, number: int) -> RoundKeys:
        return RoundKeys(f"+{self.name}.{number}")


@dataclass(frozen=True)
class RoundKeys:
    """The keys by which one round is joined. They are short: a slow link pays for every byte."""

    base: str

    @property
    def version(self) -> str:
        """A number: how often a join was taken back or replaced, and, from COMMITTED on, that the round is whole."""
        return f"{self.base}v"

    @property
    def roster(self) -> str:
        return f"{self.base}r"

    @property
    def late(self) -> str:
        """Who came when the round before it was whole."""
        return f"{self.base}w"

    def slot(self, rank: int) -> str:
        """Who joined as this rank."""
        return f"{self.base}s{rank}"

    def slots(self, ranks: range) -> Tuple[str, ...]:
        return tuple(self.slot(rank) for rank in ranks)

    def call(self, nonce: str) -> str:
        """Set when everybody is there, and this join is asked whether it still is."""
        return f"{self.base}t{nonce}"

    def answer(self, nonce: str) -> str:
        """What it answered."""
        return f"{self.base}a{nonce}"

    def fate(self, nonce: str) -> str:
        """What became of this join."""
        return f"{self.base}c{nonce}"
