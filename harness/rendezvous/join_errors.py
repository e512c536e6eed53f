"""The errors of a join: torch's classes, with messages that say who, where, how long and why."""

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

from .failures import NotAStore, TimedOut, Unreachable
from .protocol import Refused, Withdrawn

_MOST_NAMED = 16


@dataclass(frozen=True)
class JoinErrors:
    """Makes the errors of one call of next_rendezvous; each message has the endpoint, rank, run and times."""

    endpoint: str
    rank: int
    run_id: str
    timeout_s: float
    begun: float

    def refused(self, refused: Refused) -> RendezvousError:
        kind = RendezvousClosedError if refused.closed else RendezvousStateError
        return kind(self._message(refused.because))

    def closed(self, because: str) -> RendezvousError:
        return RendezvousClosedError(self._message(because))

    def withdrawn(self, withdrawn: Withdrawn, whole: int = 0) -> RendezvousError:
        """The deadline came while the join waited for other ranks.

        Args:
            whole: the number of the round that was whole without this handler when it came; 0 if there was none.
        """
        awaited = [f"{_ranks(withdrawn.missing)} to join"] if withdrawn.missing else []
        awaited += [f"{_ranks(withdrawn.silent)} to answer"] if withdrawn.silent else []
        text = " and ".join(awaited) or "rank 0 to say that the round is whole"
        late = f"; it came when round {whole} was whole, and round {whole + 1} needs every rank again" if whole else ""
        return self.timed_out(f"{text}{late}")

    def timed_out(self, awaited: str, cause: Optional[BaseException] = None) -> RendezvousError:
        return _caused(RendezvousTimeoutError(self._message(f"gave up waiting for {awaited}")), cause)

    def failed(self, error: BaseException, phase: str = "") -> RendezvousError:
        """The deadline came while the store could not be reached; `phase` says how far the join had come."""
        before = f"{phase}; then " if phase else ""
        if isinstance(error, TimedOut):
            return self.timed_out(f"{before}{error}", error)
        if isinstance(error, NotAStore):
            text = f"{before}what listens there is not a TCPStore: it {error}"
            return _caused(RendezvousStateError(self._message(text)), error)
        return _caused(RendezvousConnectionError(self._message(f"{before}no connection: {error}")), error)

    def port_taken(self, error: BaseException, holder: str) -> RendezvousError:
        """The master cannot listen; `holder` is the process that holds the port, empty if unknown."""
        by = f", held by {holder}" if holder else ""
        return _caused(RendezvousConnectionError(self._message(f"cannot listen: {error}{by}")), error)

    def _message(self, because: str) -> str:
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
