"""Moments of drafts: which ones a run offers, and which messages and calls come after one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from harness.explore.documents import (
    Document,
    Entry,
    faults_of,
    keys_in,
    name_of,
    names_of,
    size_of,
    steps_of,
    timeout_ns_of,
)
from harness.explore.draft import Anchor, Profile
from harness.explore.draws import Draws
from harness.explore.ranges import FEW_BYTES, MS, Scope
from harness.faults.base import FAULTS
from harness.steps import STEP_MEMBERS

AT_START, AT_FAULT, AT_TIME = "start", "fault", "time"
"""Kinds of moments beside those of anchors."""
MESSAGES = ("query ", "reply ")
"""The begins of kinds of anchors that are messages."""
MESSAGE_SIDES = tuple(one.strip() for one in MESSAGES)
"""Attributes of faults that name a kind of message."""
LATER_NS = 500 * MS
"""How long after the end of a clean run a fault at a drawn time may come."""
BYTES_OF_A_MESSAGE = 12
"""About: a reply to `add` has 8, a query has its key."""


@dataclass(frozen=True)
class Where:
    """A moment to inject at.

    Attributes:
        moment: `after` of the fault; None is the start.
        kind: of the anchor, for the budget of its cell.
        rank: whose message or call it is; None if nobody's.
        place: position of its anchor in the profile; -1 if all of the run comes after it.
    """

    moment: Any
    kind: str
    rank: int | None = None
    place: int = -1


def at_anchor(draws: Draws, document: Document, profile: Profile, layer: str) -> Where:
    """An anchor, each kind of anchor as likely as another; or the start, or a moment of an earlier fault.

    A fault of a link or a rank comes before the last step of its rank, which can wait for it, so that it meets
    something. One that works on the port is there from the start more often, since the master takes the port only once.
    """
    earlier = faults_of(document)
    start = {"port": 86, "link": 6}.get(layer, 3)
    after = 0 if not earlier or (layer == "port" and not is_restarted(document)) else 110
    form = draws.weighted({"anchor": 90 - start, "start": start, "fault": after})
    last = last_places(profile)
    anchors = [(place, one) for place, one in usable_anchors(document, profile) if place < last.get(one.rank, 0)]
    if form == "fault":
        return _at_fault(draws, earlier)
    if form == "start" or not anchors:
        return Where(None, AT_START)
    kinds = sorted({(anchor.kind, anchor.role) for _, anchor in anchors})
    kind = draws.choice(kinds)
    return where_of(*draws.choice([one for one in anchors if (one[1].kind, one[1].role) == kind]), draws)


def last_places(profile: Profile) -> dict[int, int]:
    """By rank, the position before which a fault meets something: where its last step with calls of the store begins.

    Of a rank that has none, the position of its first reply: the rest of its join is still to come.
    """
    replies: dict[int, int] = {}
    steps: dict[tuple[int, Any], int] = {}
    for place, one in enumerate(profile.anchors):
        if one.kind.startswith("reply "):
            replies.setdefault(one.rank, place)
        elif _begins_call(one):
            steps.setdefault((one.rank, one.moment.get("step")), place)
    return replies | {rank: place for (rank, _), place in steps.items()}


def _begins_call(anchor: Anchor) -> bool:
    """Whether a call of the store begins."""
    verb = anchor.kind.removeprefix("step ").removesuffix(" begun")
    return verb in STEP_MEMBERS and STEP_MEMBERS[verb].needs == "store" and anchor.kind == f"step {verb} begun"


def where_of(place: int, anchor: Anchor, draws: Draws | None = None) -> Where:
    """The moment of an anchor; sometimes a little later."""
    moment = dict(anchor.moment)
    if draws is not None and draws.chance(0.15):
        moment["plus"] = f"{draws.choice((1, 2, 5, 10, 20, 50))}ms"
    return Where(moment, anchor.kind, anchor.rank, place)


def usable_anchors(document: Document, profile: Profile) -> list[tuple[int, Anchor]]:
    """The anchors that can still come in this document, which may have lost steps, with their positions."""
    names = names_of(document)
    return [
        (place, anchor)
        for place, anchor in enumerate(profile.anchors)
        if ("step" not in anchor.moment or anchor.moment["step"] in names) and anchor.rank < size_of(document)
    ]


def _at_fault(draws: Draws, earlier: list[Entry]) -> Where:
    fault = draws.choice(earlier)
    state = "healed" if "for" in fault and draws.chance(0.4) else "injected"
    moment: Entry = {"fault": name_of(fault), "is": state}
    if draws.chance(0.5):
        moment["plus"] = f"{draws.choice((5, 20, 50, 100))}ms"
    return Where(moment, AT_FAULT)


def at_time(draws: Draws, _document: Document, profile: Profile, _layer: str) -> Where:
    """A time, uniform over the run as it was without faults and a little longer, in whole milliseconds."""
    return Where(f"{int(draws.uniform(0, profile.lasted_ns + LATER_NS)) // MS}ms", AT_TIME)


def is_restarted(document: Document) -> bool:
    """Whether a fault starts ranks again."""
    return any(FAULTS[fault["inject"]].restarts_ranks for fault in faults_of(document))


def next_call(document: Document, profile: Profile, where: Where, ranks: tuple[int, ...]) -> tuple[int, str] | None:
    """The step whose first call comes next on a rank that is hit, and the position of that call; None without one."""
    if where.moment is None:
        return None
    hit = ranks or tuple(range(size_of(document)))
    begun = [(place, one) for place, one in enumerate(profile.anchors) if _begins_call(one)]
    under_way = {one.moment.get("step") for place, one in begun if place <= where.place}
    waiting = names_of(document) - under_way
    for place, one in begun:
        if place > where.place and one.rank in hit and one.moment.get("step") in waiting:
            return place, str(one.moment["step"])
    return None


def scope_of(
    document: Document, profile: Profile, place: int, ranks: tuple[int, ...], step: str = "", is_next: bool = False
) -> Scope:
    """What the values of a fault may speak of: messages of these ranks that come after a position, and keys.

    Args:
        step: the one that waits for the fault; its keys are the first to be met. Empty if none does.
        is_next: whether only messages of its first call count, where there are some.
    """
    later = [one for one in profile.anchors[place + 1 :] if one.rank in ranks]
    first = list(takewhile(lambda one: not _begins_call(one), later)) if is_next else []
    messages = _messages(first) or _messages(later)
    steps = steps_of(document)
    keys = keys_in(one for one in steps if name_of(one) == step) or keys_in(steps) or ("a",)
    few_bytes = min(FEW_BYTES, BYTES_OF_A_MESSAGE * max(len(messages), 2))
    timeout_ns, size = timeout_ns_of(document), size_of(document)
    return Scope(timeout_ns, size, keys, words=frozenset(messages), texts=keys, few_bytes=few_bytes)


def names_messages(kind: str) -> bool:
    """Whether a fault of this kind can name the kind of message that it acts on."""
    return any(attribute.name in MESSAGE_SIDES for attribute in FAULTS[kind].declaration.attributes)


def _messages(anchors: Iterable[Anchor]) -> list[str]:
    return [anchor.kind for anchor in anchors if anchor.kind.startswith(MESSAGES)]
