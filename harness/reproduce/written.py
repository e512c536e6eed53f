"""Values of a scenario as Python: moments, steps, faults and claims, as a script writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.scenario.moment import START, AllMoments, FaultMoment, Moment, StepMoment, TimeMoment
from harness.scenario.scenario import Fault, Step

VERBS: Mapping[str, str] = {
    "set": "rank.store({handler}).set({key}, {value})",
    "get": "rank.store({handler}).get({key}).decode()",
    "add": "rank.store({handler}).add({key}, {amount})",
    "compare_set": "rank.store({handler}).compare_set({key}, {expected}, {desired}).decode()",
    "check": "rank.store({handler}).check({keys})",
    "delete_key": "rank.store({handler}).delete_key({key})",
    "num_keys": "rank.store({handler}).num_keys()",
    "append": "rank.store({handler}).append({key}, {value})",
    "multi_get": "[value.decode() for value in rank.store({handler}).multi_get({keys})]",
    "multi_set": "rank.store({handler}).multi_set({names}, {texts})",
    "queue_push": "rank.store({handler}).queue_push({key}, {value})",
    "queue_pop": "rank.store({handler}).queue_pop({key}).decode()",
    "clone": "rank.stores.update({{{name}: rank.store({handler}).clone()}})",
    "drop": "drop(rank, {name})",
    "shutdown": "rank.handler({handler}).shutdown()",
    "set_closed": "rank.handler({handler}).set_closed()",
    "is_closed": "rank.handler({handler}).is_closed()",
    "num_nodes_waiting": "rank.handler({handler}).num_nodes_waiting()",
}
"""What a verb calls; `rendezvous`, `wait`, `sleep` and `bind` have more than one form."""

STEPS = frozenset((*VERBS, "rendezvous", "wait", "sleep", "bind"))

TIMED = frozenset(
    ("set", "get", "add", "compare_set", "check", "delete_key", "num_keys", "append", "multi_get", "multi_set",
     "queue_push", "queue_pop", "wait", "rendezvous")
)  # fmt: skip
"""The verbs whose calls have a timeout."""


def text(value: str) -> str:
    """A text in double quotes where that needs no more escapes."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown[0] == "'" and '"' not in value and "\\'" not in shown else shown


def literal(value: Any) -> str:
    """Plain values as Python."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return f"{value:.9g}" if isinstance(value, float) else repr(value)


def seconds(duration_ns: int) -> float:
    return duration_ns / 1e9


def moment(of: Moment) -> str:
    """A moment as the call that makes it."""
    if isinstance(of, TimeMoment):
        return f"seconds({literal(seconds(of.offset_ns))})"
    if isinstance(of, AllMoments):
        return f"when_all({', '.join(map(moment, of.moments))})"
    plus = [f"plus={literal(seconds(of.plus_ns))}"] if of.plus_ns else []
    if isinstance(of, FaultMoment):
        state = [] if of.state == "injected" else [text(of.state)]
        return f"when_fault({', '.join([text(of.fault), *state, *plus])})"
    ranks = [f"ranks={literal(of.ranks)}"] if of.ranks else []
    if isinstance(of, StepMoment):
        life = [f"life={of.life}"] if of.life != 1 else []
        count = [f"count={of.count}"] if of.count is not None else []
        return f"when_step({', '.join([text(of.step), *map(text, of.state), *ranks, *life, *count, *plus])})"
    key = [] if of.key is None else [f"key={text(key_pattern(of.key))}"]
    count = [f"count={of.count}"] if of.count != 1 else []
    return f"when_message({', '.join([text(of.direction), text(of.kind), *key, *ranks, *count, *plus])})"


def key_pattern(key: str) -> str:
    """A key of the workload as it is on the wire; one with a slash or a wildcard is the whole key already."""
    return key if any(sign in key for sign in "/*?[") else f"*/{key}"


# -- steps -------------------------------------------------------------------------------------------------------------


def step(of: Step, timeout: Any) -> str:
    """A step; `timeout` is its handler's, for `bind`."""
    after = [f"after={moment(of.after)}"] if of.after is not None else []
    thread = [f"thread={text(of.thread)}"] if of.thread != "main" else []
    life = [f"life={of.life}"] if of.life is not None else []
    times = [f"times={of.times}"] if of.times != 1 else []
    return f"Step({', '.join([text(of.name), literal(of.ranks), _call(of, timeout), *after, *thread, *life, *times])})"


def _call(of: Step, timeout: Any) -> str:
    handler = "" if of.handler == "main" else text(of.handler)
    if of.do == "rendezvous":
        return f"Join({handler})"
    if of.do == "sleep":
        return f"lambda rank: time.sleep({literal(seconds(of.arguments['for']))})"
    if of.do == "bind":
        return f"lambda rank: bind(rank, {literal(timeout)}{', ' + handler if handler else ''})"
    given = {name: literal(value) for name, value in of.arguments.items() if value is not None}
    keys = of.arguments.get("keys") or [of.arguments.get("key")]
    values = dict(of.arguments.get("values") or {})
    given |= {"handler": handler, "name": text(of.handler), "keys": literal(list(keys))}
    given |= {"names": literal(list(values)), "texts": literal(list(values.values()))}
    if of.do == "wait":
        limit = of.arguments.get("timeout")
        lasting = "" if limit is None else f", lasting({literal(seconds(limit))})"
        return f"lambda rank: rank.store({handler}).wait({given['keys']}{lasting})"
    return f"lambda rank: {VERBS[of.do].format(**given)}"


# -- faults ------------------------------------------------------------------------------------------------------------


def fault(of: Fault) -> str:
    """A fault as the object that makes it; raises KeyError for a kind that a script does not have."""
    words = [text(of.name), *FAULTS[of.kind](of)]
    if of.ranks and of.kind not in ("occupy_port", "impostor"):
        words.append(f"ranks={literal(of.ranks)}")
    if of.after != START:
        words.append(f"after={moment(of.after)}")
    if of.until is not None:
        words.append(f"until={moment(of.until)}")
    return f"{class_of(of)}({', '.join(words)})"


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
