"""What clusters do alike: events that other threads leave, a package that is needed, calls that may hang."""

from __future__ import annotations

import importlib
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from harness.clusters.base import Event
from harness.values.errors import UsageError

MOST_LOCAL = 64


class Inbox:
    """Events from any thread, in the order in which they came."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        self._events.put(event)

    def take(self, within_s: float) -> list[Event]:
        """All there are; waits at most so many seconds for the first."""
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=within_s))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events


def count_of(text: str) -> int:
    """How many machines are asked for; 0 if the text is no such number."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    return number if number <= MOST_LOCAL else 0


def needed(package: str, kind: str) -> None:
    """Import the package of an engine; raises UsageError that says how to get it."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        how = f"install it beside the harness: python -m pip install 'rdzv-harness[{kind}]'"
        raise UsageError(f"--cluster {kind}: there is no package `{package}` ({error}); {how}") from error


def attempt(within_s: float, act: Callable[..., Any], *words: Any, **named: Any) -> threading.Thread:
    """Call something that may fail or hang, in a thread that is waited for so long; returns the thread."""

    def run() -> None:
        with suppress(Exception):
            act(*words, **named)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within_s)
    return thread


def answer(within_s: float, act: Callable[..., Any], *words: Any, **named: Any) -> Any:
    """What something returns that may fail or hang; None if it does."""
    answers: list[Any] = []
    attempt(within_s, lambda: answers.append(act(*words, **named)))
    return answers[0] if answers else None
