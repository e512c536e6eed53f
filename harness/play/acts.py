"""Acts of a play: each is undone in reverse order, and what fails on the way out is kept while the rest is undone."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import partial
from types import TracebackType
from typing import TypeVar

Entered = TypeVar("Entered")


class Acts(ExitStack):
    """An ExitStack that remembers every error, not only the last one.

    Attributes:
        errors: what the body raised, then what each exit raised, in that order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []

    def enter_context(self, context: AbstractContextManager[Entered]) -> Entered:
        """Enter a context; its exit is undone with the others."""
        entered = context.__enter__()
        self.push(partial(self._leave, context))
        return entered

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._keep(error)
        return bool(super().__exit__(kind, error, traceback))

    def _leave(
        self,
        context: AbstractContextManager[object],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            context.__exit__(kind, error, traceback)
        except Exception as raised:
            self._keep(raised)
            raise
        return False

    def _keep(self, error: BaseException | None) -> None:
        if isinstance(error, Exception) and not any(error is kept for kept in self.errors):
            self.errors.append(error)
