"""How a join ended badly, in torch's error classes and in words that say who, where, how long and why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Optional, Sequence

from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from harness.rendezvous.failures import NotAStore, Silent, Unreachable
from harness.rendezvous.protocol import Left, Refused

_MOST_NAMED = 16


@dataclass(frozen=True)
class JoinErrors:
    """Knows what every message says: the endpoint, the rank, the run, the times."""

    endpoint: str
    rank: int
    run_id: str
    timeout_s: float
    begun: float

    def refused(self, refused: Refused) -> RendezvousError:
        kind = RendezvousClosedError if refused.closed else RendezvousStateError
        return kind(self._say(refused.because))

    def closed(self, because: str) -> RendezvousError:
        return RendezvousClosedError(self._say(because))

    def left(self, left: Left, cause: Optional[BaseException]) -> RendezvousError:
        """The deadline came while others were awaited."""
        awaited = [f"{_ranks(left.missing)} to join"] if left.missing else []
        awaited += [f"{_ranks(left.silent)} to answer"] if left.silent else []
        return self.late(" and ".join(awaited) or "rank 0 to say that the round is whole", cause)

    def late(self, awaited: str, cause: Optional[BaseException] = None) -> RendezvousError:
        return _caused(RendezvousTimeoutError(self._say(f"gave up waiting for {awaited}")), cause)

    def failed(self, error: BaseException, phase: str = "") -> RendezvousError:
        """The deadline came while a store was looked for; `phase` says how far the join had come."""
        before = f"{phase}; then " if phase else ""
        if isinstance(error, Silent):
            return self.late(f"{before}{error}", error)
        if isinstance(error, NotAStore):
            told = f"{before}what listens there is not a TCPStore: it {error}"
            return _caused(RendezvousStateError(self._say(told)), error)
        return _caused(RendezvousConnectionError(self._say(f"{before}no connection: {error}")), error)

    def held(self, error: BaseException, holder: str) -> RendezvousError:
        """The port could not be taken."""
        by = f", held by {holder}" if holder else ""
        return _caused(RendezvousConnectionError(self._say(f"cannot listen: {error}{by}")), error)

    def _say(self, because: str) -> str:
        elapsed = time.monotonic() - self.begun
        who = f"rank {self.rank} of run {self.run_id!r} at {self.endpoint}"
        return f"{who}: {because} ({elapsed:.1f} s elapsed, timeout {self.timeout_s:g} s)"


def unreachable(error: RuntimeError) -> Unreachable:
    """An error of torch's own constructor, by its first line."""
    return Unreachable(str(error).splitlines()[0] if str(error) else type(error).__name__)


def _caused(error: RendezvousError, cause: Optional[BaseException]) -> RendezvousError:
    error.__cause__ = cause
    return error


def _ranks(ranks: Sequence[int]) -> str:
    named = ", ".join(f"rank {rank}" for rank in ranks[:_MOST_NAMED])
    more = len(ranks) - _MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
