"""A living process does not hold more descriptors or threads from one cycle of joins to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.wording import counted, joined
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.json import mapping, whole
from harness.values.ops import HOLDS, Op, Process
from harness.values.verdict import Verdict

FEWEST = 5
"""How many looks in the same state it takes, beside the first: what is made once is made in the first cycle."""
GROWTH = 3
"""What is left of threads and connections that are still ending is less, and does not grow from look to look."""

_NOT_JUDGED = "accepted sockets"
"""Each client of a server has one, for as long as the client wants."""

_State = tuple[Process, str, tuple[str, ...]]


@CHECKERS.register("no_leak")
class NoLeak(Checker):
    """Judged by what the process itself counted after each call of one kind, with the same handlers open."""

    declaration = Declaration(
        kind="no_leak",
        summary="a living process holds no more descriptors and threads from one join or shutdown to the next",
        example="{check: no_leak}",
        details=(
            "A rank counts its sockets, pipes, event descriptors, files and threads after each `shutdown` and `drop`,"
            " and after each join but the first. Sockets that a server accepted depend on its clients and do not count."
            " Of the looks after the same verb, with the same handlers open, the"
            f" first does not count. Of the others, {FEWEST} at least, a kind is leaked if its number never falls, and"
            f" grows by {GROWTH} at least and by one in every other cycle. One look alone is never judged."
        ),
    )
    standing = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        series = [looks[1:] for looks in _looks(history).values() if len(looks) > FEWEST]
        if not series:
            return self.nothing(f"no process was looked at {FEWEST + 1} times in the same state")
        findings = [finding for looks in series for finding in _leaks(looks)]
        return self.verdict(findings, f"{counted(len(series), 'series')} of looks, and no number grows")


def _looks(history: History) -> dict[_State, list[Op]]:
    found: dict[_State, list[Op]] = defaultdict(list)
    for op in history:
        if op.f == HOLDS and op.process.rank is not None:
            value = mapping(op.value)
            handlers = value.get("handlers")
            names = tuple(map(str, handlers)) if isinstance(handlers, list) else ()
            found[op.process, str(value.get("after")), names].append(op)
    return found


def _leaks(looks: Sequence[Op]) -> Iterator[Finding]:
    counts = [mapping(mapping(op.value).get("counts")) for op in looks]
    for kind in dict.fromkeys(kind for count in counts for kind in count if kind != _NOT_JUDGED):
        numbers = [whole(count.get(kind, 0)) or 0 for count in counts]
        grown = numbers[-1] - numbers[0]
        never_falls = all(later >= earlier for earlier, later in pairwise(numbers))
        if never_falls and grown >= max(GROWTH, (len(numbers) - 1) / 2):
            after = mapping(looks[0].value).get("after")
            happened = f"{kind}: {joined([str(number) for number in numbers])}"
            because = f"{looks[0].process} holds more and more {kind} after each {after}: {happened.partition(': ')[2]}"
            yield Finding(because, happened, tuple(op.index for op in looks))
