"""What `num_keys` may return: never less than the keys that were certainly there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.linearizability.calls import Timed
from harness.values.history import Call


@dataclass(frozen=True)
class TooFew:
    """A `num_keys` that returned less than the number of keys that were there from its begin to its end."""

    call: Call
    there: tuple[str, ...]
    proofs: tuple[Call, ...]


def too_few(counts: Sequence[Call], parts: Sequence[Timed]) -> Iterator[TooFew]:
    """Every `num_keys` that missed a key.

    More than these is always possible: torch counts the keys of all prefixes of a server, and its own bookkeeping.

    Args:
        counts: calls of `num_keys`.
        parts: all parts of calls on the keys of the same server.
    """
    for call in counts:
        returned = call.returned
        if not isinstance(returned, int) or call.begun_ns is None or call.ended_ns is None:
            continue
        proofs = _there(parts, call.begun_ns, call.ended_ns)
        if returned < len(proofs):
            yield TooFew(call, tuple(sorted(proofs)), tuple(proofs.values()))


def _there(parts: Sequence[Timed], from_ns: int, to_ns: int) -> dict[str, Call]:
    """Keys that were there throughout, each with the last call that proves that it was there before."""
    proofs: dict[str, Timed] = {}
    for part in parts:
        if part.must and part.ended_ns is not None and part.ended_ns <= from_ns:
            proofs.update((key, part) for key in part.action.keys if _leaves_it_there(part))
    for part in parts:
        if part.action.verb in ("delete_key", "queue_pop") and part.begun_ns <= to_ns:
            for key in part.action.keys:
                proof = proofs.get(key)
                if proof is not None and (part.ended_ns is None or part.ended_ns >= proof.begun_ns):
                    del proofs[key]
    return {key: proof.call for key, proof in proofs.items()}


def _leaves_it_there(part: Timed) -> bool:
    action = part.action
    if action.verb in ("set", "multi_set", "add", "append", "get", "multi_get", "wait"):
        return True
    return action.verb == "check" and action.result is True
