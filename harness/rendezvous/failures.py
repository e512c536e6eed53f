"""What can go wrong on the way to the store, before it becomes one of torch's errors."""

from __future__ import annotations


class Unreachable(Exception):
    """The connection was refused, reset or closed, or the name does not resolve."""


class NotAStore(Exception):
    """The other side answered, but not like a TCPStore."""


class PortTaken(Exception):
    """The master cannot listen on its port."""


class TimedOut(Exception):
    """The deadline came first; the text says what was awaited."""
