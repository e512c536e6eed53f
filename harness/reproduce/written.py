"""Values, moments and calls of a scenario as Python, as a script writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.scenario.moment import (
    AllMoments,
    FaultMoment,
    Moment,
    SeenMoment,
    StepMoment,
    TimeMoment,
    WireMoment,
    parts,
)
from harness.scenario.scenario import Scenario, Step

WIDTH = 108
"""Of a call that is written in one line; what is inside of a function gets some columns more."""

_WORD = re.compile(r"""(?:"(?:[^"\\\\]|\\\\.)*"|'(?:[^'\\\\]|\\\\.)*'|\S)+""")
"""What is not broken: texts as Python writes them, and what stands beside them without a space."""

LONG_TEXT = 20
"""Signs of a text that is worth a product."""

TIMED = frozenset(
    ("set", "get", "add", "compare_set", "check", "delete_key", "num_keys", "append", "multi_get", "multi_set",
     "queue_push", "queue_pop", "wait", "rendezvous")
)  # fmt: skip
"""The verbs whose calls have a timeout."""


def text(value: str) -> str:
    """A text in double quotes where that needs no more escapes; a long run of one sign as a product."""
    if len(value) > LONG_TEXT and len(set(value)) == 1:
        return f"{text(value[0])} * {len(value)}"
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


def broken_up(line: str) -> list[str]:
    """A line, or several where it is too long: broken at the spaces outside of texts."""
    lines: list[str] = []
    for word in _WORD.findall(line):
        if lines and len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}" if lines else word)
    return lines


def call(function: str, words: Sequence[str], end: str = "") -> list[str]:
    """A call as lines: one, or one for each argument where it is too long."""
    whole = f"{function}({', '.join(words)}){end}"
    if len(whole) <= WIDTH:
        return [whole]
    return [f"{function}(", *(f"    {line}" for word in words for line in broken_up(f"{word},")), f"){end}"]


def who(rank: int, life: int = 1) -> str:
    """The name of a process: its rank, and that it is the one after a restart."""
    return str(rank) if life == 1 else text(f"{rank} again" + (f" {life}" if life > 2 else ""))


def lives(scenario: Scenario, rank: int) -> int:
    """How many processes a rank has, one after another."""
    kills = [fault for fault in scenario.faults if fault.restarts_ranks and fault.until is not None]
    return 1 + sum(rank in fault.ranks for fault in kills)


def moment(scenario: Scenario, of: Moment) -> str:
    """A moment as the call that makes it."""
    if isinstance(of, TimeMoment):
        return f"seconds({literal(seconds(of.offset_ns))})"
    if isinstance(of, AllMoments):
        return f"when_all({', '.join(moment(scenario, one) for one in of.moments)})"
    plus = [f"plus={literal(seconds(of.plus_ns))}"] if of.plus_ns else []
    if isinstance(of, FaultMoment):
        state = [] if of.state == "injected" else [text(of.state)]
        return f"when_fault({', '.join([text(of.fault), *state, *plus])})"
    if isinstance(of, StepMoment):
        return f"when_calls({', '.join([text(' '.join(of.state)), *_calls(scenario, of), *plus])})"
    if isinstance(of, SeenMoment):
        raise ValueError(f"{of}: only jobs have such moments, and no script is written of a job")
    key = [] if of.key is None else [f"key={text(key_pattern(of.key))}"]
    count = [f"count={of.count}"] if of.count != 1 else []
    words = [text(of.direction), text(of.kind), *map(str, of.ranks), *key, *count, *plus]
    return f"when_message({', '.join(words)})"


def _calls(scenario: Scenario, of: StepMoment) -> list[str]:
    step = scenario.step(of.step)
    times = [f"times={step.times}"] if step.times != 1 else []
    count = [f"count={of.count}"] if of.count is not None else []
    return [text(of.step), *(who(rank, of.life) for rank in of.ranks or step.ranks), *times, *count]


def key_pattern(key: str) -> str:
    """A key of the workload as it is on the wire; one with a slash or a wildcard is the whole key already."""
    return key if any(sign in key for sign in "/*?[") else f"*/{key}"


def arguments(step: Step) -> dict[str, str]:
    """By name the arguments of a step as Python."""
    found = {name: literal(value) for name, value in step.arguments.items() if value is not None}
    values = dict(step.arguments.get("values") or {})
    found["keys"] = literal(list(step.arguments.get("keys") or [step.arguments.get("key")]))
    found |= {"names": literal(list(values)), "texts": literal(list(values.values()))}
    limit = step.arguments.get("timeout")
    found["lasting"] = "" if limit is None or step.do != "wait" else f", lasting({literal(seconds(limit))})"
    found["for_s"] = literal(seconds(step.arguments.get("for") or 0))
    return found


def moments(scenario: Scenario) -> list[Moment]:
    """All that something waits for."""
    named = [step.after for step in scenario.steps] + [spec.start for spec in scenario.world.ranks]
    named += [moment for fault in scenario.faults for moment in (fault.after, fault.until)]
    return [part for moment in named if moment is not None for part in parts(moment)]


def wire_moments(scenario: Scenario) -> list[WireMoment]:
    """Those that are messages on a link."""
    return [one for one in moments(scenario) if isinstance(one, WireMoment)]
