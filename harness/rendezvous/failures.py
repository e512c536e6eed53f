"""What can go wrong on the way to the store, before it is put into torch's words."""

from __future__ import annotations


class Unreachable(Exception):
    """Nobody took the connection, or it broke: refused, reset, closed, a name that does not resolve."""


class NotAStore(Exception):
    """Somebody answered, but not as a TCPStore does."""


class Held(Exception):
    """The master's port cannot be listened on."""


class Silent(Exception):
    """The deadline came before the answer."""
