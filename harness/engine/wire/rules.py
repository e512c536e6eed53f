"""How a toxic selects a message, by its kind and key, and what happens to the message."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site, Wait
from harness.engine.wire.decoder import Message
from harness.engine.wire.grammar import ANY, GRAMMARS, KINDS

DROP, HOLD, CUT_BEFORE, CUT_AFTER = "drop", "hold", "cut before", "cut after"
SILENCE = "silence"


def matches(message: Message, side: str, kind: str, key: str) -> bool:
    """Whether a message is selected; a key matches with or without the `/` that torch puts before it."""
    return (
        message.side == side
        and kind in (ANY, message.kind)
        and (key == ANY or any(fnmatchcase(one, key) or fnmatchcase(one[1:], key) for one in message.keys))
    )


def kind_problem(kind: str) -> str:
    """Why a kind is invalid; empty if it is valid."""
    return "" if kind in KINDS else f"{kind!r} is not a kind of query; known: {', '.join(GRAMMARS)}, or *"


@dataclass(frozen=True)
class Hit:
    """What happens to a message that is hit."""

    what: str
    toxic: str
    kind: str
    duration_ns: int | None = None
    how: str = ""


def cutting(how: str, site: Site) -> Script:
    """End the stream in this way, or swallow all that follows."""
    if how == SILENCE:
        item: Item = yield RECEIVE
        while item is not None:
            item = yield RECEIVE
        yield Wait(None)
        return
    if how == "rst":
        site.reset_on_close()
    yield Send(None)
