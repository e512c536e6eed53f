"""`--shard I/N`: the part of the cells that one of N machines plays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.scenario.scenario import Scenario
from harness.values.errors import UsageError

MOST_SHARDS = 10_000
_WRITTEN = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")


@dataclass(frozen=True)
class Shard:
    """One of `count` parts; `number` is from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, cells: Sequence[Scenario]) -> list[Scenario]:
        """The cells of this part, in the order in which they came.

        The cells are sorted by their ids and dealt out in turn. So each cell is in exactly one part, the numbers of
        cells differ by one at most, cells of one matrix are spread, and every machine that has the same files and
        selects the same cells finds the same parts.
        """
        by_id = sorted(range(len(cells)), key=lambda place: (cells[place].id, cells[place].path.as_posix()))
        return [cells[place] for place in sorted(by_id[self.number - 1 :: self.count])]


def parse(text: str) -> Shard:
    """`2/3` as a value; raises UsageError for anything else."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--shard {text}: write which part and of how many, as 1/3, 2/3 and 3/3")
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.count <= MOST_SHARDS:
        raise UsageError(f"--shard {text}: there are 1 to {MOST_SHARDS} parts")
    if not 1 <= shard.number <= shard.count:
        raise UsageError(f"--shard {text}: the first part is 1/{shard.count}, the last {shard.count}/{shard.count}")
    return shard
