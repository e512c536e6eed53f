"""One sentence for the waits of a run: the call that waited first, and the chain of those that it waited for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.waiting.edges import CERTAIN, UNKNOWN, Edge, doubt
from harness.history.wording import counted, ranks_named
from harness.values.history import Call

_RANKS_NAMED = 6
_LONGEST_CHAIN = 5


@dataclass(frozen=True)
class Waits:
    """Who waited for whom in one run.

    Attributes:
        edges: ordered by the begin of their calls; those of one call with the one that explains it best first.
        left_out: how many more calls got no answer in time, beyond those that were looked at.
    """

    edges: tuple[Edge, ...] = ()
    left_out: int = 0

    @property
    def sentence(self) -> str:
        """What a person should know first; empty if no cause is known."""
        return sentence(self.edges, left_out=self.left_out)

    def sentence_about(self, evidence: Collection[int]) -> str:
        """Likewise, of the calls to which these operations belong; empty if none of them waited."""
        concerned = any(not one.isdisjoint(evidence) for one in (set(edge.call.evidence) for edge in self.edges))
        return sentence(self.edges, evidence, self.left_out) if concerned else ""

    def to_json(self) -> dict[str, Any]:
        """For the JSON report."""
        return {"sentence": self.sentence, "edges": [edge.to_json() for edge in self.edges], "left_out": self.left_out}


def sentence(edges: Sequence[Edge], about: Collection[int] = (), left_out: int = 0) -> str:
    """What a person should know first; empty if no cause is known.

    Args:
        about: indexes of operations: of the calls that they belong to, if any of these waited; else of all.
        left_out: how many more calls waited.
    """
    known = [edge for edge in edges if edge.cause.sure != UNKNOWN]
    first = _first(known, about)
    if first is None:
        return ""
    chain, is_cycle = _chain(known, first)
    alike = _alike(known, first)
    parts = [_together(alike), *(edge.text for edge in chain[1:])]
    counted_already = {id(edge.call) for edge in (*alike, *chain)}
    more = left_out + len({id(edge.call) for edge in known} - counted_already)
    cycle = ": a cycle" if is_cycle else ""
    return "; ".join(parts) + cycle + (f" (and {counted(more, 'more wait')})" if more else "")


def _first(edges: Sequence[Edge], about: Collection[int]) -> Edge | None:
    """The edge to begin with: one whose call no other waits for, a hang before a timeout, the surest, the earliest."""
    chosen = [edge for edge in edges if any(index in about for index in edge.call.evidence)] or list(edges)
    awaited = {id(edge.cause.inside) for edge in edges if edge.cause.inside is not None}

    def order(edge: Edge) -> tuple[bool, bool, bool, int]:
        hung = edge.call.outcome in ("hung", "running")
        best = any(one.cause.sure == CERTAIN for one in edges if one.call is edge.call)
        return (not hung, id(edge.call) in awaited, not best, edge.call.begun_ns or 0)

    return min(chosen, key=order, default=None)


def _chain(edges: Sequence[Edge], first: Edge) -> tuple[list[Edge], bool]:
    """The edges from call to awaited call, and whether they come back to one of them."""
    chain = [first]
    while len(chain) < _LONGEST_CHAIN:
        inside = chain[-1].cause.inside
        if inside is None:
            return chain, False
        if any(edge.call is inside for edge in chain):
            return chain, True
        following = _of(edges, inside)
        if following is None:
            return chain, False
        chain.append(following)
    return chain, False


def _of(edges: Sequence[Edge], call: Call) -> Edge | None:
    return next((edge for edge in edges if edge.call is call), None)


def _alike(edges: Sequence[Edge], first: Edge) -> list[Edge]:
    """The edges of other ranks that say the same, and as surely."""
    return [
        edge
        for edge in edges
        if (edge.where, edge.cause.phrase, edge.cause.sure) == (first.where, first.cause.phrase, first.cause.sure)
    ]


def _together(edges: Sequence[Edge]) -> str:
    ranks = sorted({edge.call.rank for edge in edges})
    if len(ranks) == 1:
        return edges[0].text
    who = ranks_named(ranks) if len(ranks) <= _RANKS_NAMED else f"{len(ranks)} ranks"
    where = "their joins" if edges[0].where == "its join" else edges[0].where
    return f"{who} wait in {where}{edges[0].cause.phrase}{doubt(edges[0].cause)}"
