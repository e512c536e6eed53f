"""Faults as Python: the objects that make them in a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.reproduce.written import call, key_pattern, literal, moment, seconds, text, who
from harness.scenario.moment import START
from harness.scenario.scenario import Fault, Scenario


def fault(scenario: Scenario, of: Fault) -> list[str]:
    """A fault as the object that makes it; raises KeyError for a kind that a script does not have."""
    words = [text(of.name), *FAULTS[of.kind](of)]
    if of.ranks and of.kind not in ("occupy_port", "impostor"):
        words.append(f"ranks=({', '.join(_met(scenario, of))},)")
    if of.after != START:
        words.append(f"after={moment(scenario, of.after)}")
    if of.until is not None:
        words.append(f"until={moment(scenario, of.until)}")
    return call(class_of(of), words, ",")


def _met(scenario: Scenario, of: Fault) -> list[str]:
    """The ranks, or for a kill the processes: each kill of a rank meets the next."""
    before = [one for one in scenario.faults[: scenario.faults.index(of)] if one.kind == of.kind]
    earlier = [sum(rank in one.ranks for one in before) if of.kind == "kill" else 0 for rank in of.ranks]
    return [who(rank, 1 + count) for rank, count in zip(of.ranks, earlier, strict=True)]


def class_of(of: Fault) -> str:
    """The class of a fault in a script."""
    at_message = of.attributes.get("query") or of.attributes.get("reply")
    return "CutAt" if of.kind == "x_cut" and at_message else CLASSES[of.kind]


CLASSES: Mapping[str, str] = {
    "kill": "Kill", "pause": "Pause", "occupy_port": "OtherProgram", "impostor": "OtherProgram",
    "latency": "Latency", "slicer": "Slicer", "blackhole": "Blackhole", "partition": "Blackhole",
    "limit_data": "LimitData", "reset_peer": "ResetPeer", "down": "Down", "x_rst_now": "ResetNow", "x_stall": "Stall",
    "x_cut": "LimitData", "x_drop_query": "Drop", "x_drop_reply": "Drop", "x_hold": "Hold",
}  # fmt: skip

MESSAGE_CLASSES = frozenset(("CutAt", "Drop", "Hold"))
LINK_CLASSES = MESSAGE_CLASSES | {
    "Latency",
    "Slicer",
    "Blackhole",
    "LimitData",
    "ResetPeer",
    "Down",
    "ResetNow",
    "Stall",
}


def _streams(of: Fault) -> list[str]:
    streams = of.stream or of.attributes.get("stream") or "both"
    return [] if streams == "both" else [f"streams={literal((streams,))}"]


def _named(of: Fault, **attributes: Any) -> list[str]:
    return [*(f"{name}={literal(value)}" for name, value in attributes.items()), *_streams(of)]


def _message(of: Fault) -> list[str]:
    given = of.attributes
    side = "query" if given.get("query") else "reply"
    words = [text(side), text(given[side])]
    if given.get("key") is not None:
        words.append(f"key={text(key_pattern(given['key']))}")
    return [*words, *(f"{name}={given[name]}" for name in ("nth", "times") if given[name] != 1)]


def _cut(of: Fault) -> list[str]:
    given = of.attributes
    if given.get("query") or given.get("reply"):
        return [*_message(of), f"when={text(given['when'])}", f"how={text(given['how'])}"]
    return _named(of, limit=given["bytes"], how=given["how"])


def _held(of: Fault) -> list[str]:
    duration = of.attributes["duration"]
    return [*_message(of), *([f"duration={literal(seconds(duration))}"] if duration else [])]


FAULTS: Mapping[str, Any] = {
    "kill": lambda of: [],
    "pause": lambda of: [],
    "occupy_port": lambda of: [f"address={text(of.attributes['address'])}"],
    "impostor": lambda of: [
        f"answers={text(of.attributes['answers'])}",
        f"address={text(of.attributes['address'])}",
    ],
    "latency": lambda of: _named(
        of,
        latency=seconds(of.attributes["latency"]),
        **({"jitter": seconds(of.attributes["jitter"])} if of.attributes["jitter"] else {}),
    ),
    "slicer": lambda of: _named(
        of,
        average_size=of.attributes["average_size"],
        size_variation=of.attributes["size_variation"],
        delay=seconds(of.attributes["delay"]),
    ),
    "blackhole": lambda of: _named(of),
    "partition": lambda of: _named(of),
    "limit_data": lambda of: _named(of, limit=of.attributes["bytes"]),
    "reset_peer": lambda of: _named(of, timeout=seconds(of.attributes["timeout"])),
    "down": lambda of: [],
    "x_rst_now": lambda of: [],
    "x_stall": lambda of: _named(of),
    "x_cut": _cut,
    "x_drop_query": _message,
    "x_drop_reply": _message,
    "x_hold": _held,
}
"""By kind, the words between its name and its ranks."""
