"""The contract of a subject: it builds handlers that join and release, and reports facts about itself."""

from __future__ import annotations

from typing import Any, Dict, Protocol

from harness.values.plan import HandlerPlan


class Handler(Protocol):
    """One handler of a subject, built the first time a step needs it."""

    store: Any
    """The newest store, with the methods of torch's Store; None before the first join has returned."""

    def join(self) -> Dict[str, Any]:
        """The next rendezvous; returns rank, world_size, and what else the subject reports."""

    def shutdown(self) -> bool: ...

    def set_closed(self) -> None: ...

    def is_closed(self) -> bool: ...

    def release(self) -> None:
        """Release all resources, so that the port becomes free unless somebody else holds it."""


class Subject(Protocol):
    """The system under test, as one rank sees it."""

    def prepare(self) -> Dict[str, Any]:
        """Import what is needed; returns facts for the rank's first operation.

        May raise any exception if the subject is not available here; the rank then ends before it is ready.
        """

    def open(self, plan: HandlerPlan) -> Handler:
        """Build a handler; raises what the subject raises."""
